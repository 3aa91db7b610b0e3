"""The command `saga` (also `python -m app.cli`): `flask --app app saga`, and commands that start the service."""

import os
import sys
from collections.abc import Callable

import click
from flask.cli import ScriptInfo

from app.cli import saga
from app.cli.author import check, draw, types
from app.cli.conform import conform
from app.cli.diff import diff
from app.cli.group import SagaGroup
from app.cli.new import new
from app.cli.verify import verify

#: Command → the Python module to run with the rest of the command line, and the help of the command.
_PROCESSES = {
    "serve": (("app",), "Serve the API and the pages, and run sagas; HOST, PORT and WORKERS set how."),
    "worker": (
        ("celery", "-q", "-A", "app.worker", "worker", "--without-gossip", "--without-mingle"),
        "Run sagas on this machine; needs BROKER_URL.",
    ),
    "beat": (("celery", "-q", "-A", "app.worker", "beat"), "Wake the workers at intervals: one process in all."),
    "migrate": (("flask", "--app", "app", "db", "upgrade"), "Bring the database up to date."),
}


def main() -> None:
    """Run the command line of an installed service."""
    # The application is given by its name. An import of app here would be circular, because app imports app.cli.
    command_line()(prog_name="saga", obj=ScriptInfo(app_import_path="app"))


def command_line() -> SagaGroup:
    """Return the command `saga` with all its commands."""
    own = {"check": check, "client-types": types, "conform": conform, "diff": diff, "draw": draw, "new": new}
    own["verify"] = verify
    commands = dict(saga.commands) | own
    for name, (module, text) in _PROCESSES.items():
        commands[name] = click.Command(
            name,
            callback=_starter(module),
            params=[click.Argument(["more"], nargs=-1, type=click.UNPROCESSED)],
            context_settings={"ignore_unknown_options": True},
            help=text,
        )
    return SagaGroup(
        saga.name, commands, callback=saga.callback, params=saga.params, help=saga.help, epilog=saga.epilog
    )


def _starter(module: tuple[str, ...]) -> Callable[[tuple[str, ...]], None]:
    def start(more: tuple[str, ...]) -> None:
        """Replace this process by the started one, so that signals reach the started process."""
        sys.stdout.flush()
        os.execv(sys.executable, [sys.executable, "-m", *module, *more])  # noqa: S606  no shell

    return start


if __name__ == "__main__":
    main()
