"""`flask db`: flask_migrate's own commands, imported when one is asked for: it takes a process a fifth of a second."""

from typing import Any

import click
from flask import Flask
from flask.cli import ScriptInfo
from sqlalchemy.exc import SQLAlchemyError

from app.cli.group import one_line
from app.database_file import check_database_file
from app.store.database import db
from app.store.database_errors import Meaning, meaning


def let_migrate(app: Flask) -> None:
    """Let flask_migrate, and its command, work on this application."""
    from flask_migrate import Migrate  # noqa: PLC0415

    Migrate(app, db)


class Migrating(click.Command):
    """Stands in for that command until somebody gives it, and ends with one line where the database cannot do it."""

    def __init__(self, name: str, **options: Any) -> None:
        # All that is given is for flask_migrate's own command, --help as well.
        settings = {"ignore_unknown_options": True, "allow_extra_args": True}
        super().__init__(name, add_help_option=False, context_settings=settings, **options)

    def invoke(self, ctx: click.Context) -> Any:
        app = ctx.ensure_object(ScriptInfo).load_app()
        let_migrate(app)  # which puts the command itself into this one's place
        command = app.cli.commands[str(ctx.info_name)]
        try:
            with command.make_context(ctx.info_name, [*ctx.args], parent=ctx.parent) as inner:
                check_database_file(app.config["SQLALCHEMY_DATABASE_URI"], writes=True)
                return command.invoke(inner)
        except SQLAlchemyError as error:
            if meaning(error) is Meaning.DEFECT:
                raise
            with one_line(ctx):
                raise
