"""`flask db`: flask_migrate's own commands, imported when one is asked for: it takes a process a fifth of a second."""

from typing import Any

import click
from flask import Flask
from flask.cli import ScriptInfo

from app.store.database import db


def let_migrate(app: Flask) -> None:
    """Let flask_migrate, and its command, work on this application."""
    from flask_migrate import Migrate  # noqa: PLC0415

    Migrate(app, db)


class Migrating(click.Command):
    """Stands in for that command until somebody gives it."""

    def make_context(
        self, info_name: str | None, args: list[str], parent: click.Context | None = None, **extra: Any
    ) -> click.Context:
        assert parent
        assert info_name
        app = parent.ensure_object(ScriptInfo).load_app()
        let_migrate(app)  # which puts the command itself into this one's place
        return app.cli.commands[info_name].make_context(info_name, args, parent, **extra)
