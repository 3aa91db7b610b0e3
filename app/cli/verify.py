"""The command `saga verify`: an exhaustive search of a table."""

import gc
import sys

import click

from app.cli.group import FAULT, NOT_FOUND
from app.cli.output import printable, write_json
from machines.discovery import discover
from machines.registry import BadTablesError
from machines.saga import Saga
from machines.verify import PROPERTIES, Finding, NotExploredError, Result
from machines.verify import verify as search
from machines.verify.search import MOST_STATES
from machines.verify.words import lines_of, sentence, summary

_NAME_EVERY = "give the name of a saga, or --all"


@click.command("verify")
@click.argument("name", required=False)
@click.option("--all", "every", is_flag=True, help="Verify every version of every saga.")
@click.option("--json", "as_json", is_flag=True, help="Write one JSON object for each table.")
@click.option(
    "--states", default=MOST_STATES, show_default=True, type=click.IntRange(1), help="Most states of a search."
)
@click.option("--sagas", metavar="LIST", help="Folders and modules with tables, instead of SAGAS.")
def verify(name: str | None, every: bool, as_json: bool, states: int, sagas: str | None) -> None:
    """Try everything that can happen to a saga, and show the shortest path to a fault.

    Calls that fail, are lost, come twice or late; crashes before and after each commit and each call; the deadline;
    signals; and each action of an operator. The participants keep their contract. docs/verify.md says what is proved.

    \b
    Exit codes:
         0  no fault
         1  a fault, or the search is not complete
         2  bad input
         6  there is no such saga
    """  # noqa: D301  click needs the backspace character
    results = []
    gc.disable()  # the search makes no reference cycles, and many tuples
    explored = True
    for table in _tables(name, sagas, every=every):
        try:
            result = search(table, most_states=states)
        except NotExploredError as error:
            explored = False
            write_json({"saga": table.name, "version": table.version, "error": str(error)}) if as_json else click.echo(
                error
            )
            continue
        results.append(result)
        if as_json:
            write_json(_json(result))
            continue
        for line in _lines(result):
            click.echo(line)
    sys.exit(FAULT if not explored or any(result.faults or not result.complete for result in results) else 0)


def _tables(name: str | None, sagas: str | None, *, every: bool) -> list[Saga]:
    if every == (name is not None):
        raise click.UsageError(_NAME_EVERY)
    try:
        registry = discover(sagas)
    except BadTablesError as error:
        raise click.ClickException(str(error)) from error
    if every:
        return list(registry)
    assert name is not None
    if name not in registry.names:
        click.echo(f"saga: there is no saga {name}; use one of {', '.join(registry.names)}", err=True)
        sys.exit(NOT_FOUND)
    return [registry.latest(name)]


def _lines(result: Result) -> list[str]:
    lines = [summary(result)]
    for finding in result.findings:
        what = "risk" if finding.risk else "fault"
        lines += [f"{what}: {PROPERTIES[finding.property]}", f"  {printable(finding.why)}"]
        lines += [printable(line) if line.strip() != line and not line else line for line in lines_of(finding)]
    if result.unreached:
        lines.append(f"never reached: {', '.join(result.unreached)}")
    return lines


def _json(result: Result) -> dict[str, object]:
    return {
        "saga": result.definition.name, "version": result.definition.version, "complete": result.complete,
        "states": result.states, "transitions": result.transitions, "seconds": round(result.seconds, 3),
        "unreached": list(result.unreached), "findings": [_finding(each) for each in result.findings],
    }  # fmt: skip


def _finding(finding: Finding) -> dict[str, object]:
    return {
        "property": finding.property, "why": finding.why, "risk": finding.risk,
        "repeats_from": finding.repeats_from, "path": [sentence(event) for event, _ in finding.path],
    }  # fmt: skip
