"""Calls to participants, and the meaning of their replies."""
