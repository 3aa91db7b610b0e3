"""Commands that need only tables, without database and service: `saga check`, `saga draw` and `saga client-types`."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import click

from app.cli.client_types import client_types
from app.cli.group import FAULT, NOT_FOUND
from app.cli.output import printable, write_json
from app.cli.places import place_of
from diagrams.files import RENDERERS
from machines.choices import choice_notes
from machines.discovery import discover, problems
from machines.registry import BadTablesError, Registry
from machines.saga import Saga

#: Environment variable that GitHub Actions sets. GitHub shows output lines that begin with `::error` beside the code.
_ON_GITHUB = "GITHUB_ACTIONS"
_SAGAS = click.option("--sagas", metavar="LIST", help="Folders and modules with tables, instead of SAGAS.")


@click.command("check")
@click.option("--json", "as_json", is_flag=True, help="Write the problems as JSON, each with its file and line.")
@click.option("--github", is_flag=True, help="Write annotations for GitHub; the default where GITHUB_ACTIONS=true.")
@_SAGAS
def check(sagas: str | None, as_json: bool, github: bool) -> None:
    """Check every table and list all problems, one per line. Exit code 1: a table has a problem."""
    found = problems(sagas)
    if as_json:
        places = [{"file": place[0], "line": place[1]} if (place := place_of(each)) else None for each in found]
        notes = [] if found else list(_notes(discover(sagas)))
        write_json({"problems": found, "places": places, "notes": notes})
    elif found:
        github = github or os.environ.get(_ON_GITHUB) == "true"
        for problem in found:
            click.echo(_annotation(problem) if github else printable(problem))
    else:
        registry = discover(sagas)
        click.echo(f"{len(list(registry))} legal: {', '.join(sorted(map(str, registry)))}")
        for note in _notes(registry):
            click.echo(f"note: {printable(note)}")
    sys.exit(FAULT if found else 0)


def _notes(registry: Registry) -> Iterator[str]:
    """Yield what the author of a choice should know: its steps overlap, or leave a gap. A note is no problem."""
    for table in registry:
        yield from (f"{table}: {note}" for note in choice_notes(table))


def _annotation(problem: str) -> str:
    """Return the line that shows a problem beside its table in the pull request."""
    text = printable(problem).replace("%", "%25")
    place = place_of(problem)
    if place is None:
        return f"::error::{text}"
    file, line = place
    path = os.path.relpath(file) if Path(file).is_relative_to(Path.cwd()) else file
    for character, code in (("%", "%25"), (":", "%3A"), (",", "%2C")):
        path = path.replace(character, code)
    return f"::error file={path},line={line}::{text}"


@click.command("draw")
@click.argument("name")
@click.option("--kind", type=click.Choice(list(RENDERERS)), default="svg", show_default=True)
@_SAGAS
def draw(name: str, kind: str, sagas: str | None) -> None:
    """Write the diagram of the newest version of a saga to the standard output."""
    (found,) = _newest((name,), sagas)
    click.echo(RENDERERS[kind](found), nl=False)


@click.command("client-types")
@click.argument("names", metavar="TYPE...", nargs=-1, required=True)
@_SAGAS
def types(names: tuple[str, ...], sagas: str | None) -> None:
    """Write a Python module with the types of the data of these sagas, for programs that use the client.

    For example: saga client-types travel > shop/travel_types.py
    """
    click.echo(client_types(_newest(names, sagas)), nl=False)


def _newest(names: tuple[str, ...], sagas: str | None) -> list[Saga]:
    """Return the newest version of each of these sagas. Exit with NOT_FOUND for an unknown name."""
    try:
        registry = discover(sagas)
    except BadTablesError as error:
        raise click.ClickException(str(error)) from error
    for name in names:
        if name not in registry.names:
            click.echo(f"saga: there is no saga {name}; use one of {', '.join(registry.names)}", err=True)
            sys.exit(NOT_FOUND)
    return [registry.latest(name) for name in dict.fromkeys(names)]
