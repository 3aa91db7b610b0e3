"""The drawing of one saga: its problem, the available commands, its path and its journal."""

import textwrap
from collections.abc import Collection, Iterator, Sequence
from datetime import datetime
from typing import Any

from rich.console import RenderableType
from rich.text import Text
from sqlalchemy import Row

from app.cli.output import STATUS_LOOKS, TITLED_FROM, Column, Line, Mark, cell, grid, printable
from app.cli.saga_path import Calls, StepOnPath, commands_for, goes_back, passed_pivot, path_of
from app.services import services
from app.store.loading import start_of
from app.store.models import JournalRow, SagaRow
from app.store.saga_ids import short_id
from app.views.effects import by_whom, effect_words
from app.views.formatting import age, moment, short_duration, time_of_day
from app.views.summary import summary
from app.views.titles import error_words, reason_words, saga_words, state_words, state_words_in, step_words_in
from app.views.waits import ALONE, Family, sentence, status_now, status_words, wait_of
from machines.answers import as_found
from machines.history import Effect, StepEffect, is_probe, polls
from machines.progress import person
from machines.renaming import as_named_now
from machines.saga import Saga
from machines.statuses import FINISHED, Status
from machines.titles import state_title
from machines.transitions import Direction, Trigger

#: Indentation of the path's lines, and width of the column with words such as `started`, in characters.
_INDENT, _FACT = 2, 10
#: Seconds within which a running service claims a due saga. Later, the command suggests that no service runs.
_GRACE_S = 5
#: Width of the terminal, in characters, from which the path has the titles of the steps.
_WIDE = 100
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


def whole(  # noqa: PLR0917
    definition: Saga | None,
    saga: SagaRow,
    journal: Sequence[JournalRow],
    width: int,
    now: datetime,
    family: Family = ALONE,
    *,
    effects: Sequence[StepEffect] = (),
    paused: Collection[str] = (),
    money: Sequence[str] = (),
) -> Iterator[RenderableType]:
    """Draw a saga. effects, paused and money: of `app.cli.saga_path.known_now`."""
    yield from header(definition, saga, width, now, journal, family, effects=effects, paused=paused, money=money)
    yield Text()
    if definition is None:
        yield Text(f"This release does not know {saga.definition} v{saga.definition_version}: no path can be drawn.")
    else:
        yield from path(definition, saga, journal, width, effects)
    yield Text()
    yield from moves(definition, journal, width)


def headline(definition: Saga | None, saga: SagaRow) -> Text:
    at = definition.states[saga.state] if definition else None
    look = STATUS_LOOKS[status_now(at, saga)]
    line = Text(f"{look.symbol} {status_words(at, saga)}", style=f"bold {look.style}")
    return Text.assemble(
        line,
        (f" in {_state(definition, saga.state) if definition else saga.state}", "bold"),
        f"  {saga.definition} v{saga.definition_version}",
    )


def header(  # noqa: PLR0917
    definition: Saga | None,
    saga: SagaRow,
    width: int,
    now: datetime,
    journal: Sequence[JournalRow],
    family: Family = ALONE,
    *,
    effects: Sequence[StepEffect] = (),
    paused: Collection[str] = (),
    money: Sequence[str] = (),
) -> Iterator[RenderableType]:
    """Draw the saga's state, the saga's error, what it waits for, and the commands that the table allows."""
    owners = [f"{name} {printable(value)}" for name, value in (("client", saga.client), ("store", saga.store)) if value]
    started = f"{moment(saga.created_at)} UTC, {age((now - saga.created_at).total_seconds())} ago"
    facts = [
        ("saga", str(saga.id), ""),
        ("error", printable(error_words(definition, saga.error)), "dim" if saga.status == Status.COMPLETED else "red"),
        ("whose", ", ".join(owners), ""),
        ("result", _result(definition, saga, journal, effects), ""),
        *(("money", printable(words), "bold") for words in money if _has_stopped(saga) or family.stuck),
    ]
    without_table = definition is None and saga.status not in FINISHED
    present = _without_table(saga, now) if without_table else _waits(definition, saga, now, journal, family, paused)
    facts += [("started", started, ""), ("now", present or _now(saga, now), "")]
    facts += [("stuck", printable(_stuck_line(each)), "red") for each in family.stuck]
    for command in commands_for(definition, saga, journal) if definition else ():
        facts.append(("you may", f"saga {command} {short_id(saga.id)} --reason '…'", "bold"))
    yield headline(definition, saga)
    for name, text, style in facts:
        if text:
            hanging = textwrap.wrap(text, width - _FACT, break_on_hyphens=False)
            yield Text.assemble((f"  {name:8}", "dim"), (f"\n{' ' * _FACT}".join(hanging), style))


def _result(
    definition: Saga | None, saga: SagaRow, journal: Sequence[JournalRow], effects: Sequence[StepEffect]
) -> str:
    """Return what an ended or stuck saga has left at its participants; "" for another saga."""
    if definition is None or not _has_stopped(saga):
        return ""
    return printable(summary(definition, saga, as_named_now(journal), effects))


def _has_stopped(saga: SagaRow) -> bool:
    return saga.status in (*FINISHED, Status.STUCK)


def _without_table(saga: SagaRow, now: datetime) -> str:
    still = age((now - saga.updated_at).total_seconds())
    remedy = "deploy a release that has its table, or put the table back"
    return f"nothing has moved for {still}, because this release does not have its table; {remedy}"


def _stuck_line(saga: Row[Any]) -> str:
    registry = services().registry
    name = f"{saga_words(registry, saga)} {saga.id} in {state_words(registry, saga)}"
    return f"{name}: it waits for a person, and this saga waits for it"


def _waits(  # noqa: PLR0917  all that is known of one saga
    definition: Saga | None, saga: SagaRow, now: datetime, journal: Sequence[JournalRow], family: Family,
    paused: Collection[str],
) -> str | None:  # fmt: skip
    """Return what a saga that backs off, or that waits for its children, waits for.

    None: another saga, or one that is overdue.
    """
    wait = wait_of(definition, saga, journal, family, paused) if definition else None
    if wait is not None and wait.children:
        return f"waiting for {wait.children}"
    if wait is None or not wait.backs_off:
        return None
    if wait.paused:
        return printable(sentence(wait, 0.0))
    if wait.until is None:
        return None
    left_s = (wait.until - now).total_seconds()
    return printable(sentence(wait, round(left_s))) if left_s > -_GRACE_S else None


def _now(saga: SagaRow, now: datetime) -> str:
    still = age((now - saga.updated_at).total_seconds())
    if saga.status == Status.STUCK:
        return f"nothing has moved for {still}"
    if saga.status == Status.PENDING:
        start_at = start_of(saga)
        return f"it starts at {moment(start_at)} UTC" if start_at else "not executed yet"
    if saga.due_at is None:
        return (
            f"it ended {still} ago, after {short_duration((saga.updated_at - saga.created_at).total_seconds() * 1000)}"
        )
    overdue_s = (now - saga.due_at).total_seconds()
    if overdue_s > _GRACE_S:
        return f"due for {age(overdue_s)}, and no process has claimed it; is a service running?"
    if overdue_s > 0:
        return "due now: a service will claim it"
    goes_on = f"by {saga.owner}; continues, or is taken over," if saga.owner else "and waits; continues"
    return f"last moved {still} ago {goes_on} within {age(-overdue_s)}"


def path(
    definition: Saga, saga: SagaRow, journal: Sequence[JournalRow], width: int, effects: Sequence[StepEffect]
) -> Iterator[RenderableType]:
    """Draw the steps from top to bottom. A step that was undone keeps its place and has the mark ↩."""
    journal = as_named_now(journal)
    steps = path_of(definition, saga, journal, effects)
    end = definition.compensated if goes_back(definition, saga) else definition.completed
    lines, pivot = [_line(step, width) for step in steps], next((s for s in steps if s.step.kind == "pivot"), None)
    drawn = list(grid(_PATH, lines, width, head=False, indent=_INDENT))
    line_numbers = [number for number, item in enumerate(drawn) if isinstance(item, Text)]
    if pivot:
        after = steps.index(pivot) + 1
        drawn.insert(
            line_numbers[after] if after < len(line_numbers) else len(drawn),
            _pivot_line(pivot, journal, definition, width),
        )
    yield Text(f"{' ' * _INDENT}┌ {_state(definition, definition.initial)}", style="dim")
    yield from drawn
    yield Text(f"{' ' * _INDENT}└ {_state(definition, end)}", style="dim" if saga.state != end else "bold")


def _pivot_line(pivot: StepOnPath, journal: Sequence[JournalRow], definition: Saga, width: int) -> Text:
    text = _passed(pivot, went_forward=passed_pivot(definition, journal))
    style = "dim" if text in ("ahead", "never passed") else "bold yellow"
    start = f"{' ' * _INDENT}━━ point of no return, {text} "
    return Text(start + "━" * max(min(width, 80) - len(start), 2), style=style, no_wrap=True)


def _passed(pivot: StepOnPath, *, went_forward: bool) -> str:
    """Return whether the point of no return is passed, from the effect that the page of the saga shows, too."""
    effect = pivot.effect
    if went_forward:
        return ", ".join(filter(None, ("passed", by_whom(effect) if effect else ""))) + ": it only goes forward"
    match as_found(effect).effect if effect else None:
        case Effect.TOOK_EFFECT:
            says = f", says {person(effect.finding.by)}" if effect and effect.finding else ""
            return f"passed{says}, although the saga went back"
        case Effect.UNDONE if effect:
            return f"passed, {effect_words(effect)}"
        case Effect.UNKNOWN if effect and effect.in_flight:
            return "perhaps passed: no answer yet"
        case Effect.UNKNOWN:
            return "perhaps passed: no clear answer"
        case _:
            return "ahead" if pivot.mark in (Mark.CURRENT, Mark.STUCK) or pivot.word == "to come" else "never passed"


def _line(step: StepOnPath, width: int) -> Line:
    look, quiet = step.mark.value, "dim" if step.mark is Mark.TO_COME else ""
    name = cell(step.step.name, quiet or "bold")
    if step.step.title and width >= _WIDE:
        name.append(f" ({step.step.title})", quiet)
    undo = f"undo {_sent(step.undo)}  {short_duration(step.undo.ms)}" if step.undo.sent else ""
    return Line(
        cells=(
            cell(look.symbol, look.style),
            name,
            cell(step.word, look.style),
            cell(_sent(step.do)),
            cell(short_duration(step.do.ms) if step.do.sent or step.do.probes or step.do.polls else ""),
            cell(undo, "magenta"),
        ),
        note=Text(printable(step.note), style="red") if step.note else None,
    )


def _state(definition: Saga, name: str) -> str:
    title = state_title(definition, name)
    return f"{name} ({title})" if title else name


def _sent(calls: Calls) -> str:
    parts = [_counted(calls.sent, "call"), _counted(calls.probes, "probe"), _counted(calls.polls, "poll")]
    return ", ".join(part for part in (*parts, f"{calls.unsent} not sent" if calls.unsent else "") if part)


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}{'s' if number > 1 else ''}" if number else ""


def moves(
    definition: Saga | None, journal: Sequence[JournalRow], width: int, *, head: bool = True
) -> Iterator[RenderableType]:
    titled = definition if width >= TITLED_FROM else None
    columns = (
        Column(title="#", right=True, least=3),
        Column(title="AT (UTC)", least=12),
        Column(title="MOVE", gives_way=True, least=28),
        Column(title="NOW IN", gives_way=True, least=20),
        Column(title="TOOK", right=True, least=6),
    )
    yield from grid(columns, [_move_line(titled, row) for row in journal], width, head=head)


def _move_line(definition: Saga | None, row: JournalRow) -> Line:
    """Return the line of a move. definition: for the titles; None: identifiers alone."""
    kind = "probe " if is_probe(row) else "poll " if polls(row) else "undo " if row.direction == Direction.UNDO else ""
    what = f"{kind}{step_words_in(definition, row.step)} {row.trigger}" if row.step else row.trigger
    reason = reason_words(row.reason or "")
    problem = row.trigger != Trigger.SUCCEEDED and reason
    return Line(
        cells=(
            cell(str(row.seq), "dim"),
            cell(time_of_day(row.at), "dim"),
            cell(what, _STYLES.get(row.trigger, "")),  # type: ignore[call-overload]
            cell(state_words_in(definition, row.dest), "dim" if row.source == row.dest else ""),
            cell(short_duration(row.duration_ms) if row.duration_ms is not None else "", "dim"),
        ),
        note=Text(printable(reason if row.step else f"{row.actor}: {reason}"), style="dim") if problem else None,
    )
