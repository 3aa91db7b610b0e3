"""The command line `saga`: the same service, queries and JSON as the API, for people at a terminal and for scripts."""

from app.cli import keeping, listing, moving, showing
from app.cli.group import saga

__all__ = ["keeping", "listing", "moving", "saga", "showing"]
