"""Journals of sagas that a test has run in memory, as a database returns them."""

import datetime as dt
from types import SimpleNamespace

from machines.replay.trees import Journalled
from machines.testing import Run

BEGAN = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)


def journal_of(run: Run) -> list[SimpleNamespace]:
    return [SimpleNamespace(**vars(move), at=BEGAN + dt.timedelta(seconds=move.made)) for move in run._memory.journal]


def journalled(run: Run) -> Journalled:
    """Return a run as the database stores it, with its children."""
    return Journalled(
        definition=run.definition, data=run._memory.data, journal=journal_of(run), state=run.state,
        step=run._memory.parent_step or "", number=run._memory.child_number,
        children=[journalled(child) for child in run.children],
    )  # fmt: skip
