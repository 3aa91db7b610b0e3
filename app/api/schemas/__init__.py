"""Every reply of the API as a schema: what its documentation says, and what the fuzzer holds it to.

The docstring of a schema is the description of the reply it stands for.
"""
