"""A saga's journal as a test: run it again by the present table, compare, and change one outcome.

Nothing is called and nothing is stored: `machines.testing` runs the saga in memory.
"""
