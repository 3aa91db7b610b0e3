"""Tests of a table, without a database, a server or a participant: `given(TRAVEL).when(pay=refused()).run()`.

The tests run the loop of the service (`machines.loop`) in memory, so a saga in a test does what it does in production.
docs/testing.md describes every word.
"""

from machines.testing.answers import (
    Always,
    Answer,
    Items,
    accepted,
    always,
    busy,
    died,
    died_before,
    down,
    failed,
    items,
    lost,
    ok,
    pending,
    refused,
    replies,
    unheard,
)
from machines.testing.cases import every_outcome, every_outcome_of
from machines.testing.names import UnknownNameError
from machines.testing.run import Run
from machines.testing.scenario import Scenario, given
from machines.testing.sent import Sent
from machines.testing.signals import NotAllowedError
from machines.testing.unused import NotUsedError

__all__ = [
    "Always",
    "Answer",
    "Items",
    "NotAllowedError",
    "NotUsedError",
    "Run",
    "Scenario",
    "Sent",
    "UnknownNameError",
    "accepted",
    "always",
    "busy",
    "died",
    "died_before",
    "down",
    "every_outcome",
    "every_outcome_of",
    "failed",
    "given",
    "items",
    "lost",
    "ok",
    "pending",
    "refused",
    "replies",
    "unheard",
]
