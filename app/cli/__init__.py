"""The command line `saga`: the same service, queries and JSON as the API, for people at a terminal and for scripts."""

from app.cli import auditing, keeping, keys, listing, moving, seeding, showing, users
from app.cli.group import saga

__all__ = ["auditing", "keeping", "keys", "listing", "moving", "saga", "seeding", "showing", "users"]
