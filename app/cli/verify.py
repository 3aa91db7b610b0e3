"""The command `saga verify`: an exhaustive search of a table."""

import gc
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from app.cli.group import BAD_INPUT, FAULT, NOT_FOUND
from app.cli.output import printable, write_json
from diagrams.overlays.path import path_overlay
from diagrams.picture.svg import svg
from machines.discovery import discover, problems
from machines.registry import BadTablesError, Registry
from machines.saga import Saga
from machines.statuses import Status
from machines.verify import PROPERTIES, Finding, NotExploredError, Proofs, Result, acceptable
from machines.verify.route import route_of, state_of
from machines.verify.search import MOST_STATES, Progress
from machines.verify.source import test_of
from machines.verify.words import lines_of, sentence, summary

#: Seconds between two reports of a search on the terminal.
_REPORT_EVERY_S = 2.0
_NAME_EVERY, _NOT_BOTH = "give the name of a saga, or --all", "give the name of a saga or --all, and not both"


@click.command("verify")
@click.argument("name", required=False)
@click.option("--all", "every", is_flag=True, help="Verify every version of every saga.")
@click.option("--draw", type=click.Path(dir_okay=False), help="Write the path to the first fault as an SVG file.")
@click.option("--accept", multiple=True, metavar="FLAW", help="A flaw that is meant so, such as 'stale read:price'.")
@click.option("--json", "as_json", is_flag=True, help="Write one JSON object for each table.")
@click.option(
    "--states", default=MOST_STATES, show_default=True, type=click.IntRange(1), help="Most states of a search."
)
@click.option("--sagas", metavar="LIST", help="Folders and modules with tables, instead of SAGAS.")
def verify(  # noqa: PLR0917  one parameter for each option
    name: str | None,
    sagas: str | None,
    accept: tuple[str, ...],
    states: int,
    draw: str | None,
    every: bool,
    as_json: bool,
) -> None:
    """Try everything that can happen to a saga, and show the shortest path to a fault.

    Calls that fail, are lost, come twice or late; crashes before and after each commit and each call; the deadline;
    signals; children; and each action of an operator. The participants keep their contract. docs/verify.md says what
    is proved.

    \b
    Exit codes:
         0  no fault
         1  a fault, or the search is not complete
         2  bad input
         6  there is no such saga
    """  # noqa: D301  click needs the backspace character
    gc.disable()  # the search makes no reference cycles, and many tuples
    if every == (name is not None):
        raise click.UsageError(_NOT_BOTH if every else _NAME_EVERY)
    if draw is not None and not os.access(Path(draw).parent, os.W_OK):
        raise click.UsageError(f"--draw {draw}: {Path(draw).parent} is no folder in which a file can be written")
    sound = True
    registry = _registry(sagas)
    proofs = Proofs(registry, most_states=states, accepted=accept)
    searches = _searches(proofs, registry, name, every=every)
    _check_accepted(accept, [table for table, _ in searches], registry)
    for table, as_child in searches:
        try:
            with _reported(table) as progress:
                result = proofs.prove(table, as_child=as_child, progress=progress)
        except NotExploredError as error:
            sound = False
            _write_unexplored(table, str(error), as_json=as_json)
            continue
        sound &= result.complete and not result.faults
        if draw is not None and result.findings:
            Path(draw).write_text(_drawing(result.definition, result.findings[0]), encoding="utf-8")
            draw = None
        _write(result, registry, as_json=as_json)
    sys.exit(0 if sound else FAULT)


def _check_accepted(accept: tuple[str, ...], tables: list[Saga], registry: Registry) -> None:
    """Refuse the name of a flaw that none of the tables can have."""
    known = {flaw for table in tables for flaw in acceptable(table, registry)}
    for flaw in accept:
        if flaw not in known:
            raise click.UsageError(
                f"--accept {flaw!r} is no flaw that these tables can have; copy it from the line of the fault, such as "
                f"'stale read:price'"
            )


def _on_terminal() -> bool:
    return sys.stderr.isatty()


@contextmanager
def _reported(table: Saga) -> Iterator[Progress | None]:
    """Show on standard error, where that is a terminal, how far the search of a table is; erase this at the end."""
    if not _on_terminal():
        yield None
        return
    started = reported = time.monotonic()

    def progress(found: int, left: int) -> None:
        nonlocal reported
        now = time.monotonic()
        if now - reported >= _REPORT_EVERY_S:
            reported = now
            line = f"{table}: {found:,} states so far, {left:,} of them to explore, {now - started:.0f} s"
            click.echo(f"\r\x1b[K{line}", err=True, nl=False)

    try:
        yield progress
    finally:
        if reported != started:
            click.echo("\r\x1b[K", err=True, nl=False)


def _write_unexplored(table: Saga, problem: str, *, as_json: bool) -> None:
    if as_json:
        write_json({"saga": table.name, "version": table.version, "error": problem})
    else:
        click.echo(problem)


def _write(result: Result, registry: Registry, *, as_json: bool) -> None:
    """Write the result of a search."""
    if as_json:
        write_json(_json(result, registry))
        return
    for line in _lines(result, registry):
        click.echo(line)


def _registry(sagas: str | None) -> Registry:
    try:
        return discover(sagas)
    except BadTablesError as error:
        for line in problems(sagas) or [str(error)]:
            click.echo(f"saga: {printable(line)}", err=True)
        sys.exit(BAD_INPUT)


def _searches(proofs: Proofs, registry: Registry, name: str | None, *, every: bool) -> list[tuple[Saga, bool]]:
    """Return the tables to search, each as that of a child or not. The children of a table come before it."""
    if not every and name not in registry.names:
        click.echo(f"saga: there is no saga {name}; use one of {', '.join(registry.names)}", err=True)
        sys.exit(NOT_FOUND)
    tables = registry if every else [registry.latest(str(name))]
    return list(dict.fromkeys(search for table in tables for search in proofs.order(table)))


def _lines(result: Result, registry: Registry) -> list[str]:
    lines = [summary(result)]
    for finding in result.findings:
        what = "risk" if finding.risk else "fault"
        named = f" ({finding.name})" if finding.step else ""
        lines += [f"{what}: {PROPERTIES[finding.broken]}{named}", f"  {printable(finding.why)}"]
        lines += lines_of(finding)
        lines += [
            "  A test that reproduces it:",
            "",
            *_indented(test_of(result.definition, finding, registry, as_child=result.as_child)),
            "",
        ]
    lines += [f"note: {printable(each)}" for each in result.notes]
    if result.unreached:
        lines.append(f"never reached: {', '.join(result.unreached)}")
    return lines


def _indented(source: str) -> list[str]:
    return [f"      {line}".rstrip() for line in source.splitlines()]


def _drawing(table: Saga, finding: Finding) -> str:
    """Return the path of a finding as a picture of the table."""
    row = finding.path[-1][1].row if finding.path else None
    state = state_of(table, finding)
    status = Status.RUNNING if row is None else row.status
    return svg(table, path_overlay(table, "of the path", status, state, route_of(table, finding)))


def _json(result: Result, registry: Registry) -> dict[str, object]:
    findings = [_finding(result, each, registry) for each in result.findings]
    return {
        "saga": result.definition.name, "version": result.definition.version, "as_child": result.as_child,
        "complete": result.complete,
        "states": result.states, "transitions": result.transitions, "seconds": round(result.seconds, 3),
        "unreached": list(result.unreached), "findings": findings, "notes": list(result.notes),
    }  # fmt: skip


def _finding(result: Result, finding: Finding, registry: Registry) -> dict[str, object]:
    path = [*finding.sentences, *(sentence(event) for event, _ in finding.path)]
    return {
        "property": finding.broken, "step": finding.step, "why": finding.why, "risk": finding.risk,
        "repeats_from": finding.repeats_from, "path": path,
        "test": test_of(result.definition, finding, registry, as_child=result.as_child),
    }  # fmt: skip
