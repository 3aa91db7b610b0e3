"""Every reply of the API as a schema, for the API's description and for the fuzzer, which checks each reply.

The docstring of a schema is the description of the reply.
"""
