"""A record of the SQL statements that an engine executes."""

import pytest
from sqlalchemy import Engine, event

from app.store.statements import Statement


def recorded(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return a list to which each statement on this engine is appended."""
    sent: list[str] = []
    event.listen(engine, "before_cursor_execute", lambda _c, _u, statement, *_: sent.append(statement))
    for name in ("run", "fetch"):
        real = getattr(Statement, name)

        def noted(self, values, real=real):
            sent.append(self.sql)
            return real(self, values)

        monkeypatch.setattr(Statement, name, noted)
    return sent
