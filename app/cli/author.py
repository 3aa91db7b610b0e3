"""Commands for the author of a table. They need no database and no service: `saga check` and `saga draw`."""

import os
import sys

import click

from app.cli.group import FAULT, NOT_FOUND
from app.cli.output import printable, write_json
from diagrams.files import RENDERERS
from machines.discovery import discover, problems
from machines.registry import BadTablesError

#: Environment variable that GitHub Actions sets. GitHub shows output lines that begin with `::error::` beside the
#: commit.
_ON_GITHUB = "GITHUB_ACTIONS"
_SAGAS = click.option("--sagas", metavar="LIST", help="Folders and modules with tables, instead of SAGAS.")


@click.command("check")
@click.option("--json", "as_json", is_flag=True, help="Write the problems as JSON.")
@_SAGAS
def check(sagas: str | None, as_json: bool) -> None:
    """Check every table and list all problems, one per line. Exit code 1: a table has a problem."""
    found = problems(sagas)
    if as_json:
        write_json({"problems": found})
    elif found:
        form = "::error::{}" if os.environ.get(_ON_GITHUB) == "true" else "{}"
        for problem in found:
            click.echo(form.format(printable(problem)))
    else:
        registry = discover(sagas)
        click.echo(f"{len(list(registry))} legal: {', '.join(sorted(map(str, registry)))}")
    sys.exit(FAULT if found else 0)


@click.command("draw")
@click.argument("name")
@click.option("--kind", type=click.Choice(list(RENDERERS)), default="svg", show_default=True)
@_SAGAS
def draw(name: str, kind: str, sagas: str | None) -> None:
    """Write the diagram of the newest version of a saga to the standard output."""
    try:
        registry = discover(sagas)
    except BadTablesError as error:
        raise click.ClickException(str(error)) from error
    if name not in registry.names:
        click.echo(f"saga: there is no saga {name}; use one of {', '.join(registry.names)}", err=True)
        sys.exit(NOT_FOUND)
    click.echo(RENDERERS[kind](registry.latest(name)), nl=False)
