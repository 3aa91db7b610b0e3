"""The record, in the database, of the tables that sagas use. A table must not be edited under its running sagas.

A saga's row names its table by a digest (machines.digest), and only a process with that table moves the saga. So two
processes with different tables of one name and version do not move each other's sagas. A row without a digest was
written before migration 0006. Its saga uses the first recorded table of its name and version.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import structlog
from sqlalchemy import ColumnElement, Connection, Row, Table, and_, false, func, not_, or_, select, tuple_
from sqlalchemy import Engine as Database
from sqlalchemy.dialects import postgresql, sqlite

from app.settings import ConfigError
from app.store.database import db, db_now
from app.store.models import ENDED, UNFINISHED, SagaRow, SagaTableRow
from machines.digest import change
from machines.registry import Registry
from machines.saga import Saga

_SAGA = SagaRow.__table__
_TABLE: Table = SagaTableRow.__table__
_log = structlog.get_logger("store")

_VersionKey = tuple[str, int]


class TableChangedError(ConfigError):
    """A table of this release was edited, but unfinished sagas of its name and version still need the earlier table."""


def table_is_known(registry: Registry) -> ColumnElement[bool]:
    """Return the SQL condition for sagas whose table the registry has. It must agree with `Registry.knows`."""
    table = tuple_(_SAGA.c.definition, _SAGA.c.definition_version, func.coalesce(_SAGA.c.table_digest, ""))
    known = [
        (definition.name, definition.version, digest)
        for definition in registry
        for digest in (definition.digest, *([""] if registry.takes_unnamed(definition) else []))
    ]
    # While the table is not analyzed, PostgreSQL expects few rows from the plain condition. It would then read and sort
    # all matching rows. With coalesce it expects half of the rows, so it follows an index.
    return func.coalesce(table.in_(known), false())


def without_table(registry: Registry) -> ColumnElement[bool]:
    """Return the SQL condition for unfinished sagas whose table the registry lacks. This process cannot move them."""
    return and_(UNFINISHED, not_(table_is_known(registry)))


def stored_types(name: str) -> set[str]:
    """Return the types of all recorded tables, and this name if a stored saga has it as its type."""
    found = set(db.session.scalars(select(_TABLE.c.definition).distinct()))
    # Two conditions, because each has an index. A saga from before migration 0006 may have no recorded table.
    of_name = [select(_SAGA.c.id).where(_SAGA.c.definition == name, part).exists() for part in (UNFINISHED, ENDED)]
    return found | ({name} if db.session.scalar(select(or_(*of_name))) else set())


def stored_state(name: str) -> bool:
    """Return True when a stored saga is in this state. Without an index, so ask only for a state of no table."""
    return bool(db.session.scalar(select(select(_SAGA.c.id).where(_SAGA.c.state == name).exists())))


class Tables:
    """Compares the tables of this release with the recorded tables, and records new tables. owner: this process."""

    def __init__(self, database: Database, registry: Registry, owner: str) -> None:
        self._database, self._registry, self._owner = database, registry, owner
        #: True once the tables were compared and recorded.
        self.compared = False

    def compare(self) -> None:
        """Compare each table of this release with the tables of unfinished sagas, and record it.

        Raise TableChangedError when a table was edited under unfinished sagas; then nothing is recorded.
        """
        with self._database.connect() as connection:
            recorded = _recorded(connection)
            held = connection.execute(_HELD).all()
            for definition in self._registry:
                self._check(definition, recorded.get(_version_key(definition), []), held)
            for definition in self._registry:
                self._record(connection, definition, recorded.get(_version_key(definition), []))
            first = {key: rows[0].digest for key, rows in _recorded(connection).items()}
        self._registry.know_first(first)
        self.compared = True

    def _check(self, definition: Saga, recorded: Sequence[Row[Any]], held: Sequence[Row[Any]]) -> None:
        contents = {row.digest: row.content for row in recorded}
        first = recorded[0].digest if recorded else definition.digest
        for row in held:
            digest = row.table_digest or first
            if (row.definition, row.definition_version) == _version_key(definition) and digest != definition.digest:
                what = change(contents[digest], definition.content) if digest in contents else "its steps"
                raise TableChangedError(
                    f"the table of {definition} was changed while {row.sagas} unfinished saga(s) of it run by another "
                    f"one: {what}; give the changed table the next version, version={definition.version + 1}, and "
                    f"keep version {definition.version} as it was beside it"
                )

    def _record(self, connection: Connection, definition: Saga, recorded: Sequence[Row[Any]]) -> None:
        if any(row.digest == definition.digest for row in recorded):
            return
        if recorded:
            what = change(recorded[-1].content, definition.content)
            _log.warning("definition.changed", saga=definition.name, version=definition.version, change=what)
        insert = sqlite.insert if connection.dialect.name == "sqlite" else postgresql.insert
        new = insert(_TABLE).values(
            definition=definition.name,
            definition_version=definition.version,
            digest=definition.digest,
            content=definition.content,
            recorded_at=db_now(),
            recorded_by=self._owner,
        )
        # Another process that started at the same time may have recorded the table first.
        connection.execute(new.on_conflict_do_nothing())


def _recorded(connection: Connection) -> Mapping[_VersionKey, list[Row[Any]]]:
    found: dict[_VersionKey, list[Row[Any]]] = {}
    for row in connection.execute(select(_TABLE).order_by(_TABLE.c.id)):
        found.setdefault((row.definition, row.definition_version), []).append(row)
    return found


def _version_key(definition: Saga) -> _VersionKey:
    return definition.name, definition.version


_BY = (_SAGA.c.definition, _SAGA.c.definition_version, _SAGA.c.table_digest)
_HELD = select(*_BY, func.count().label("sagas")).where(UNFINISHED).group_by(*_BY)
