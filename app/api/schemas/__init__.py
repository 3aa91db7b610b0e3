"""The schemas of all replies of the API. /openapi.json shows them, and the fuzz test checks each reply against them.

The docstring of a schema is the description of the reply.
"""
