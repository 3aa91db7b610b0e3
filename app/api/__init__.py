"""The HTTP API: each contract maps its own names to the one service beneath."""
