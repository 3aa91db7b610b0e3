"""`saga conform TYPE.STEP`: try whether a participant keeps its contract. It needs tables, and no database."""

import os
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import click

from app.calls.client import HttpClient
from app.cli.arguments import Seconds
from app.cli.conform_arguments import desk_for, step_named, subject_from, urls_by_participant
from app.cli.group import FAULT
from app.cli.output import write_json
from app.config import from_environment, read_tables
from app.conform.bench import PATIENCE_S, Bench
from app.conform.lines import Finding, SetUpError
from app.conform.report import Report
from app.conform.running import findings
from machines.participant_kinds import ParticipantKind, kind_of

_CONNECTIONS = 8  # more than the calls that are sent at once


@click.command("conform")
@click.argument("step", metavar="TYPE.STEP")
@click.argument("pairs", metavar="[FIELD=VALUE]...", nargs=-1)
@click.option(
    "--url",
    "urls",
    multiple=True,
    required=True,
    metavar="[NAME=]URL",
    help="The participant's base URL; with its NAME for another participant that the step needs.",
)
@click.option(
    "--data",
    metavar="JSON",
    help="The data of the sagas: JSON, @FILE or - for standard input; default: the example of the table. "
    "${n} in a text is different for each saga.",
)
@click.option("--refused", multiple=True, metavar="FIELD=VALUE", help="Data that the participant refuses.")
@click.option(
    "--other", multiple=True, metavar="FIELD=VALUE", help="Data that give the call another body; default: tried out."
)
@click.option(
    "--reply",
    "replies",
    multiple=True,
    metavar="STEP=JSON",
    help="The reply of an earlier step, which is then not called.",
)
@click.option("--undo", metavar="'METHOD /PATH'", help="The call that undoes the step, when the table has none.")
@click.option("--look", metavar="/PATH", default="", help="A GET at the participant whose JSON shows its effects.")
@click.option(
    "--crash", metavar="COMMAND", default="", help="A shell command that kills the participant and starts it again."
)
@click.option(
    "--listen",
    default="127.0.0.1:0",
    metavar="HOST:PORT",
    show_default=True,
    help="Where to listen for the later answers of a step with later=callback(…); port 0: any free one.",
)
@click.option("--reply-url", metavar="URL", help="The URL by which the participant reaches --listen; default: its own.")
@click.option(
    "--patience",
    default=PATIENCE_S,
    show_default=True,
    type=Seconds(min=0.1),
    metavar="SECONDS",
    help="The longest wait for a later answer, for a call in doubt, and for the participant after --crash.",
)
@click.option(
    "--kind",
    type=click.Choice([each.value for each in ParticipantKind]),
    help="What the participant must keep; default: what the table expects.",
)
@click.option("--yes", is_flag=True, help="The host is not this machine, and is no production.")
@click.option("--json", "as_json", is_flag=True, help="Write the findings as JSON.")
@click.option("--junit", metavar="FILE", help="Write the findings as JUnit XML, too.")
@click.option("--sagas", metavar="LIST", help="Folders and modules with tables, instead of SAGAS.")
def conform(  # noqa: PLR0917  click passes every option by its name
    step: str, urls: tuple[str, ...], kind: str | None, yes: bool, as_json: bool, junit: str | None, sagas: str | None,
    listen: str, reply_url: str | None, patience: float, **given: Any,
) -> None:  # fmt: skip
    """Try whether a participant keeps each line of its contract. It books for real, and undoes what it can.

    Never use it against production: some bookings may be left. The credential and the other settings of the
    participant apply. Exit code 1: a line that this kind of participant must keep is not kept.

    For example: saga conform travel.fly city=Oslo --url http://127.0.0.1:8100 --look /bookings
    """
    environ = {**os.environ, **({"SAGAS": sagas} if sagas else {})}
    registry = read_tables(from_environment(environ))
    named = step_named(registry, step)
    placed = urls_by_participant(named[1], urls, yes=yes)
    subject = subject_from(registry, named, placed, environ, given)
    expected = ParticipantKind(kind) if kind else kind_of(subject.step)
    desk = desk_for(subject, listen, reply_url)
    bench = Bench(subject, HttpClient(_CONNECTIONS, participants=subject.settings), desk, patience)
    tried: list[Finding] = []
    report = Report(subject=subject, kind=expected, findings=tried, left=bench.left)
    try:
        for finding in findings(bench, expected):
            if not as_json:
                _print([*(() if tried else [report.title()]), *report.text(finding)])
            tried.append(finding)
    except SetUpError as error:
        raise click.ClickException(str(error)) from None
    finally:
        if desk is not None:
            desk.close()
    if junit:
        _write_junit(report, junit)
    if as_json:
        write_json(report.document())
    else:
        _print(report.end())
    sys.exit(FAULT if report.failed else 0)


def _print(lines: Iterable[str]) -> None:
    """Write each line at once, so that a pipe shows it while the next line of the contract is tried."""
    for line in lines:
        click.echo("".join(character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in line))


def _write_junit(report: Report, file: str) -> None:
    try:
        Path(file).write_bytes(report.junit())
    except OSError as error:
        raise click.ClickException(f"--junit: {file} cannot be written: {error.strerror}") from None
