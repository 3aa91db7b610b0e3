"""Journals of sagas that a test has run in memory, as a database returns them."""

import datetime as dt
from types import SimpleNamespace

from machines.testing import Run

BEGAN = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)


def journal_of(run: Run) -> list[SimpleNamespace]:
    return [SimpleNamespace(**vars(move), at=BEGAN + dt.timedelta(seconds=move.made)) for move in run._memory.journal]
