"""The facts that /ready reads from the database: its migration, and whether it can store every text."""

from dataclasses import dataclass

from sqlalchemy import Engine, text

_FOUND = {
    "sqlite": "SELECT version_num, 'UTF8' AS encoding FROM alembic_version",
    "postgresql": "SELECT version_num, current_setting('server_encoding') AS encoding FROM alembic_version",
}


@dataclass(frozen=True, kw_only=True)
class Schema:
    """The state of the schema."""

    #: Last migration applied; None: none.
    migration: str | None
    #: Encoding of the database.
    encoding: str


def schema(engine: Engine) -> Schema:
    with engine.connect() as connection:
        row = connection.execute(text(_FOUND[engine.dialect.name])).first()
    return Schema(migration=row.version_num, encoding=row.encoding) if row else Schema(migration=None, encoding="UTF8")
