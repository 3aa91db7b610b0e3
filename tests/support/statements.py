"""A record of the SQL statements that an engine executes."""

import pytest
from sqlalchemy import Engine, event

from app.store.statements import Statement


def recorded(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return a list to which each statement on this engine is appended."""
    sent: list[str] = []
    event.listen(engine, "before_cursor_execute", lambda _c, _u, statement, *_: sent.append(statement))
    run = Statement.run

    def noted(self, values):
        sent.append(self.sql)
        return run(self, values)

    monkeypatch.setattr(Statement, "run", noted)
    return sent
