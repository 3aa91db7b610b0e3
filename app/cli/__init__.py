"""The command line `saga`, for people and for scripts. It uses the service, the queries and the JSON of the API."""

from app.cli import (
    accounts,
    actions,
    advise,
    audit,
    bulk,
    cases,
    erasure,
    migrate_running,
    participants,
    replay,
    retention,
    schedules,
    show,
    stuck,
    tail,
    webhooks,
)
from app.cli.group import saga

__all__ = [
    "accounts",
    "actions",
    "advise",
    "audit",
    "bulk",
    "cases",
    "erasure",
    "migrate_running",
    "participants",
    "replay",
    "retention",
    "saga",
    "schedules",
    "show",
    "stuck",
    "tail",
    "webhooks",
]
