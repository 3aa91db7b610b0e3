"""A saga drawn for a person who was woken up: what is the matter, what one may do, how far it came, and its journal."""

import textwrap
from collections.abc import Iterator, Sequence
from datetime import datetime

from rich.console import RenderableType
from rich.text import Text

from app.cli.grid import Column, Line, cell, grid
from app.cli.path import Calls, Stop, goes_back, open_moves, passed_pivot, path_of
from app.cli.words import STATUS_LOOKS, Mark, printable
from app.store.instance import FINISHED
from app.store.models import JournalRow, SagaRow
from app.views.formatting import age, short_duration
from machines.saga import Saga
from machines.transitions import Trigger

_INDENT = 2
_FACT = 10
#: A service takes up what is due within its RECOVERY_INTERVAL_S.
_GRACE_S = 5
_PATH = (Column(), Column(gives_way=True), Column(), *(Column(right=True),) * 2, Column())
_STYLES = {
    Trigger.SUCCEEDED: "green",
    Trigger.REFUSED: "bold red",
    Trigger.REFUSED_IN_DOUBT: "bold red",
    Trigger.EXHAUSTED: "bold red",
    Trigger.EXPIRE: "bold red",
    Trigger.QUARANTINE: "bold red",
    Trigger.RETRY: "yellow",
    Trigger.DEFER: "yellow",
}


def whole(
    definition: Saga | None, saga: SagaRow, journal: Sequence[JournalRow], width: int, now: datetime
) -> Iterator[RenderableType]:
    yield from header(definition, saga, width, now)
    yield Text()
    if definition is None:
        yield Text(f"This release does not know {saga.definition} v{saga.definition_version}: no path can be drawn.")
    else:
        yield from path(definition, saga, journal, width)
    yield Text()
    yield from moves(journal, width)


def headline(saga: SagaRow) -> Text:
    look = STATUS_LOOKS[saga.status]
    line = Text(f"{look.symbol} {saga.status}", style=f"bold {look.style}")
    return Text.assemble(line, (f" in {saga.state}", "bold"), f"  {saga.definition} v{saga.definition_version}")


def header(definition: Saga | None, saga: SagaRow, width: int, now: datetime) -> Iterator[RenderableType]:
    """Say what is the matter, and which commands the table allows."""
    whose = [f"{name} {printable(value)}" for name, value in (("client", saga.client), ("store", saga.store)) if value]
    begun = f"{saga.created_at:%Y-%m-%d %H:%M:%S} UTC, {age((now - saga.created_at).total_seconds())} ago"
    facts = [
        ("saga", str(saga.id), ""),
        ("error", printable(saga.error or ""), "dim" if saga.status == "completed" else "red"),
        ("whose", ", ".join(whose), ""),
    ]
    without_table = definition is None and saga.status not in FINISHED
    facts += [("begun", begun, ""), ("now", _without_table(saga, now) if without_table else _now(saga, now), "")]
    for command in open_moves(definition, saga) if definition else ():
        facts.append(("you may", f"saga {command} {str(saga.id)[:8]} --reason '…'", "bold"))
    yield headline(saga)
    for name, said, style in facts:
        if said:
            hanging = textwrap.wrap(said, width - _FACT, break_on_hyphens=False)
            yield Text.assemble((f"  {name:8}", "dim"), (f"\n{' ' * _FACT}".join(hanging), style))


def _without_table(saga: SagaRow, now: datetime) -> str:
    still = age((now - saga.updated_at).total_seconds())
    remedy = "deploy a release that has the table it began with, or put the table back"
    return f"nothing has moved for {still}, for this release does not know its table; {remedy}"


def _now(saga: SagaRow, now: datetime) -> str:
    still = age((now - saga.updated_at).total_seconds())
    if saga.status == "stuck":
        return f"nothing has moved for {still}; a person must decide"
    if saga.status == "pending":
        return "it waits to be executed"
    if saga.due_at is None:
        return (
            f"it ended {still} ago, after {short_duration((saga.updated_at - saga.created_at).total_seconds() * 1000)}"
        )
    overdue_s = (now - saga.due_at).total_seconds()
    if overdue_s > _GRACE_S:
        return f"nobody has it, and it is due for {age(overdue_s)}; does a service run?"
    if overdue_s > 0:
        return "it is due now, and waits for a service to take it up"
    goes_on = f"by {saga.owner}; goes on, or is taken over," if saga.owner else "and waits; goes on"
    return f"last moved {still} ago {goes_on} within {age(-overdue_s)}"


def path(definition: Saga, saga: SagaRow, journal: Sequence[JournalRow], width: int) -> Iterator[RenderableType]:
    """Draw the way forward from top to bottom; what was undone is marked where it was done."""
    stops = path_of(definition, saga, journal)
    end = definition.compensated if goes_back(definition, saga) else definition.completed
    lines, pivot = [_stop(stop) for stop in stops], next((s for s in stops if s.step.kind == "pivot"), None)
    drawn = list(grid(_PATH, lines, width, head=False, indent=_INDENT))
    places = [number for number, item in enumerate(drawn) if isinstance(item, Text)]
    if pivot:
        after = stops.index(pivot) + 1
        drawn.insert(
            places[after] if after < len(places) else len(drawn), _line_of_no_return(pivot, journal, definition, width)
        )
    yield Text(f"{' ' * _INDENT}┌ {definition.initial}", style="dim")
    yield from drawn
    yield Text(f"{' ' * _INDENT}└ {end}", style="dim" if saga.state != end else "bold")


def _line_of_no_return(pivot: Stop, journal: Sequence[JournalRow], definition: Saga, width: int) -> Text:
    if passed_pivot(definition, journal):
        said, style = "passed: it only goes forward", "bold yellow"
    elif pivot.mark in (Mark.CURRENT, Mark.STUCK):
        said, style = "perhaps passed: no answer yet", "bold yellow"
    else:
        said, style = (
            "never passed" if pivot.mark is not Mark.TO_COME or pivot.word == "not reached" else "ahead",
            "dim",
        )
    start = f"{' ' * _INDENT}━━ point of no return, {said} "
    return Text(start + "━" * max(min(width, 80) - len(start), 2), style=style, no_wrap=True)


def _stop(stop: Stop) -> Line:
    look, quiet = stop.mark.value, "dim" if stop.mark is Mark.TO_COME else ""
    undo = f"undo {_sent(stop.undo)}  {short_duration(stop.undo.ms)}" if stop.undo.sent else ""
    return Line(
        cells=(
            cell(look.symbol, look.style),
            cell(stop.step.name, quiet or "bold"),
            cell(stop.word, look.style),
            cell(_sent(stop.do)),
            cell(short_duration(stop.do.ms) if stop.do.sent else ""),
            cell(undo, "magenta"),
        ),
        note=Text(printable(stop.note), style="red") if stop.note else None,
    )


def _sent(calls: Calls) -> str:
    sent = f"{calls.sent} call{'s' if calls.sent > 1 else ''}" if calls.sent else ""
    return ", ".join(part for part in (sent, f"{calls.unsent} not sent" if calls.unsent else "") if part)


def moves(journal: Sequence[JournalRow], width: int, *, head: bool = True) -> Iterator[RenderableType]:
    columns = (
        Column(title="#", right=True, least=3),
        Column(title="AT (UTC)", least=12),
        Column(title="MOVE", gives_way=True, least=28),
        Column(title="NOW IN", gives_way=True, least=20),
        Column(title="TOOK", right=True, least=6),
    )
    yield from grid(columns, [_move(row) for row in journal], width, head=head)


def _move(row: JournalRow) -> Line:
    undo = "undo " if row.direction == "undo" else ""
    what = f"{undo}{row.step} {row.trigger}" if row.step else row.trigger
    unwell = row.trigger != Trigger.SUCCEEDED and row.reason
    return Line(
        cells=(
            cell(str(row.seq), "dim"),
            cell(f"{row.at:%H:%M:%S.%f}"[:-3], "dim"),
            cell(what, _STYLES.get(row.trigger, "")),  # type: ignore[call-overload]
            cell(row.dest, "dim" if row.source == row.dest else ""),
            cell(short_duration(row.duration_ms) if row.duration_ms is not None else "", "dim"),
        ),
        note=Text(printable(f"{row.reason}" if row.step else f"{row.actor}: {row.reason}"), style="dim")
        if unwell
        else None,
    )
