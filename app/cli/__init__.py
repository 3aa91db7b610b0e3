"""The command line `saga`: the service, queries and JSON of the API, for people at a terminal and for scripts."""

from app.cli import accounts, actions, audit, retention, show
from app.cli.group import saga

__all__ = ["accounts", "actions", "audit", "retention", "saga", "show"]
