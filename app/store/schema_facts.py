"""The facts that /ready reads from the database: its migration, its encoding, and what this process may not do."""

from dataclasses import dataclass

from sqlalchemy import Engine, text

#: Table → the rights without which no saga runs. The other tables serve people; they may be more restricted.
_NEEDED = {
    "saga": ("SELECT", "INSERT", "UPDATE"),
    "journal": ("SELECT", "INSERT"),
    "outbox": ("INSERT",),
    "replica": ("SELECT", "INSERT", "UPDATE"),
    "saga_table": ("SELECT", "INSERT"),
}
_RIGHTS = ", ".join(f"('{table}', '{right}')" for table, rights in _NEEDED.items() for right in rights)
_FOUND = {
    "sqlite": "SELECT version_num, 'UTF8' AS encoding, NULL AS missing FROM alembic_version",
    "postgresql": f"""SELECT version_num, current_setting('server_encoding') AS encoding,
        (SELECT min(needed."right" || ' on ' || needed.name) FROM (VALUES {_RIGHTS}) AS needed(name, "right")
         WHERE NOT has_table_privilege(needed.name, needed."right")) AS missing FROM alembic_version""",  # noqa: S608  of the constants above
}


@dataclass(frozen=True, kw_only=True)
class Schema:
    """The state of the schema."""

    #: Last migration applied; None: none.
    migration: str | None
    #: Encoding of the database.
    encoding: str
    #: A right that the database user lacks, such as "INSERT on journal"; None: it has every right it needs.
    missing_right: str | None


def schema(engine: Engine) -> Schema:
    with engine.connect() as connection:
        row = connection.execute(text(_FOUND[engine.dialect.name])).first()
    if row is None:
        return Schema(migration=None, encoding="UTF8", missing_right=None)
    return Schema(migration=row.version_num, encoding=row.encoding, missing_right=row.missing)
