"""A saga as people see it, without HTTP: its steps, effects, available actions, JSON, filters and durations.

The API, the operator's pages and the command line show the same facts because all of them call this package.
"""
