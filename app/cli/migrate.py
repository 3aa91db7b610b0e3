"""`flask db`: the commands of flask_migrate, imported only when they are used, because the import takes 0.2 s."""

import logging
from typing import Any

import click
import structlog
from flask import Flask
from flask.cli import ScriptInfo
from sqlalchemy import inspect
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from app.cli.group import one_line
from app.errors import ConflictError
from app.readiness import MIGRATIONS
from app.store.database import db
from app.store.database_errors import Meaning, in_one_line, meaning, sqlstate
from app.store.database_health import schema
from app.store.service_role import grant_rights
from app.store.sqlite_file import check_database_file

log = structlog.get_logger(__name__)
#: PostgreSQL's error code (SQLSTATE) "duplicate_table".
_DUPLICATE_TABLE = "42P07"


def enable_migrations(app: Flask) -> None:
    """Register flask_migrate and its command `db` on this application."""
    from flask_migrate import Migrate  # noqa: PLC0415

    Migrate(app, db, directory=str(MIGRATIONS))
    # It logs its errors as JSON before it exits. `MigrateCommand` writes them as every command writes its errors.
    logging.getLogger("flask_migrate").disabled = True


class MigrateCommand(click.Command):
    """Replaces `flask db` until its first use, which imports flask_migrate. A database error becomes one line."""

    def __init__(self, name: str, **options: Any) -> None:
        # flask_migrate's own command interprets all arguments, including --help.
        settings = {"ignore_unknown_options": True, "allow_extra_args": True}
        super().__init__(name, add_help_option=False, context_settings=settings, **options)

    def invoke(self, ctx: click.Context) -> Any:
        app = ctx.ensure_object(ScriptInfo).load_app()
        enable_migrations(app)  # replaces this command by flask_migrate's
        command = app.cli.commands[str(ctx.info_name)]
        try:
            with command.make_context(ctx.info_name, [*ctx.args], parent=ctx.parent) as inner:
                check_database_file(app.config["SQLALCHEMY_DATABASE_URI"], writes=True)
                before = _migration(app)
                done = command.invoke(inner)
                _grant_rights(app, ctx)
                if (after := _migration(app)) != before:
                    log.info("database.migrated", from_migration=before, to_migration=after)
                return done
        except SystemExit as error:
            if not error.code:
                ctx.exit(0)
            with one_line(ctx):  # the context is Alembic's error, such as an unknown revision
                raise click.ClickException(
                    f"{error.__context__}; `flask --app app db history` lists revisions"
                ) from error
        except SQLAlchemyError as error:
            if _is_foreign(error):
                with one_line(ctx):
                    text = f"the database has tables of something else ({in_one_line(error)}); name an empty database"
                    raise click.ClickException(text) from error
            if meaning(error) is Meaning.DEFECT:
                raise
            with one_line(ctx):
                raise


def _migration(app: Flask) -> str | None:
    """Return the number of the last migration; None: no migration."""
    with app.app_context():
        return schema(db.engine).migration if inspect(db.engine).has_table("alembic_version") else None


def _grant_rights(app: Flask, ctx: click.Context) -> None:
    """Grant the role of DATABASE_SERVICE_ROLE its rights, also those on tables that a migration has made."""
    role, password = app.config["DATABASE_SERVICE"]
    if role:
        try:
            with app.app_context():
                grant_rights(db.engine, role, password)
        except ConflictError as error:
            with one_line(ctx):
                raise click.ClickException(error.detail) from error


def _is_foreign(error: SQLAlchemyError) -> bool:
    """Return True when a migration failed because a table that it creates exists already."""
    return isinstance(error, DBAPIError) and (
        sqlstate(error.orig) == _DUPLICATE_TABLE or "already exists" in in_one_line(error)
    )
