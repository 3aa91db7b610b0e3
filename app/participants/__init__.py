"""Calls out to participants, and what their replies mean."""
