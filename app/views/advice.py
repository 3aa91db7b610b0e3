"""What the journals of past sagas say about their table, for people and as JSON."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime

from app.store.recent_journals import recent_journals
from machines.advice.figures import FEWEST, Figures, figures, percentile
from machines.advice.limits import retry_advice, timeout_advice
from machines.advice.order import Odds, Order, best_order, expected_undos, legal, with_first
from machines.saga import Saga
from machines.step import Kind

#: A better order is named when it saves at least this share of the undos.
_WORTH_IT = 0.05


@dataclass(frozen=True, kw_only=True)
class FirstRead:
    """The read that is worth asking earlier."""

    step: str
    order: Order


@dataclass(frozen=True, kw_only=True)
class Advice:
    """What the past sagas of a table say."""

    table: Saga
    #: Number of sagas, and when the oldest and the newest of them started.
    sagas: int
    first: datetime | None
    last: datetime | None
    #: Days that were asked for, and the most sagas that are read.
    days: float
    limit: int
    #: Number of sagas of other versions.
    others: int
    #: True: the limit of rows was reached.
    cut: bool
    figures: Mapping[str, Figures]
    #: The present order, the best one, and the read that is worth asking earlier; None: too few sagas, or no gain.
    present: Order
    better: Order | None
    first_read: FirstRead | None
    #: Advice on timeouts and retries, by step.
    limits: Mapping[str, tuple[str, ...]]

    @property
    def enough(self) -> bool:
        return self.sagas >= FEWEST


def advise(table: Saga, *, days: float, sagas: int) -> Advice:
    """Return what the newest sagas of a table say. One query reads them, see `recent_journals`."""
    read = recent_journals(table.name, table.version, days=days, sagas=sagas)
    found = figures(table, read.journals)
    odds = {name: each.odds_in_order for name, each in found.items()}
    names = tuple(step.name for step in table.steps)
    present = Order(steps=names, undos=expected_undos(table.steps, odds))
    enough = len(read.journals) >= FEWEST
    better = best_order(table, odds) if enough else None
    if better is not None and better.undos >= present.undos * (1 - _WORTH_IT):
        better = None
    return Advice(
        table=table, sagas=len(read.journals), first=read.first, last=read.last, days=days, limit=sagas,
        others=read.others, cut=read.cut, figures=found, present=present, better=better,
        first_read=_first_read(table, odds, present) if enough else None,
        limits={name: words for name, each in found.items() if enough and (words := _limits(each))},
    )  # fmt: skip


def _first_read(table: Saga, odds: Mapping[str, Odds], present: Order) -> FirstRead | None:
    """Return the read that saves the most undos when it is asked as early as its references allow."""
    by_name = {step.name: step for step in table.steps}
    found: list[FirstRead] = []
    for step in table.steps:
        if step.kind is Kind.READ and step.refused:
            order = with_first(table, step.name)
            undos = expected_undos([by_name[name] for name in order], odds)
            if undos < present.undos * (1 - _WORTH_IT) and legal(table, order):
                found.append(FirstRead(step=step.name, order=Order(steps=order, undos=undos)))
    return min(found, key=lambda each: each.order.undos, default=None)


def _limits(known: Figures) -> tuple[str, ...]:
    return tuple(words for words in (timeout_advice(known), retry_advice(known)) if words)


def basis(advice: Advice) -> str:
    """Return on what the advice rests, in one sentence."""
    if not advice.sagas:
        return f"{advice.table}: no saga of the last {advice.days:g} days has ended or is stuck"
    period = f"started {advice.first:%Y-%m-%d} to {advice.last:%Y-%m-%d}"
    notes = [f"{advice.others} of other versions left out"] if advice.others else []
    notes += ["older ones left out: the limit of journal rows was reached"] if advice.cut else []
    newest = advice.sagas + advice.others >= advice.limit
    notes += [f"only the newest {advice.limit:,} are read"] if newest else []
    return f"{advice.table}: {advice.sagas:,} sagas that have ended or are stuck, {period}" + "".join(
        f"; {note}" for note in notes
    )


def advice_lines(advice: Advice) -> Iterator[str]:
    """Yield what to do, one sentence each."""
    if not advice.enough:
        yield f"Too few sagas to say anything: {advice.sagas} of at least {FEWEST}."
        return
    if advice.better is not None:
        yield f"Order: {', '.join(advice.better.steps)}."
        yield (
            f"It would undo {_per_thousand(advice.better)} steps in 1,000 sagas, and the present order undoes "
            f"{_per_thousand(advice.present)}, if the steps fail independently of each other."
        )
    elif advice.present.undos == 0:
        yield "Order: no step was undone, so no other order would compensate less."
    else:
        yield f"Order: no order that references allow compensates at least {_WORTH_IT:.0%} less."
    if advice.first_read is not None:
        read = advice.first_read
        yield (
            f"Read to ask first: {read.step}; moved alone, {_per_thousand(read.order)} steps in 1,000 sagas would be "
            f"undone, and {_per_thousand(advice.present)} are now."
        )
    else:
        yield "Read to ask first: none; no read that could come earlier would save undos."
    yield from (f"{name}: {words}." for name, each in advice.limits.items() for words in each)


def advice_json(advice: Advice) -> dict[str, object]:
    """Return the advice as JSON."""
    return {
        "type": advice.table.name,
        "version": advice.table.version,
        "sagas": advice.sagas,
        "fewest": FEWEST,
        "enough": advice.enough,
        "first_started_at": advice.first and advice.first.isoformat(),
        "last_started_at": advice.last and advice.last.isoformat(),
        "days": advice.days,
        "limit": advice.limit,
        "other_versions": advice.others,
        "cut": advice.cut,
        "steps": [_step_json(each) for each in advice.figures.values()],
        "order": _order_json(advice.present),
        "better_order": advice.better and _order_json(advice.better),
        "read_first": advice.first_read and {
            "step": advice.first_read.step, **_order_json(advice.first_read.order),
        },
        "limits": {name: list(words) for name, words in advice.limits.items()},
    }  # fmt: skip


def _order_json(order: Order) -> dict[str, object]:
    return {"steps": list(order.steps), "expected_undos": round(order.undos, 6)}


def _step_json(known: Figures) -> dict[str, object]:
    low, high = known.interval
    return {
        "step": known.step.name,
        "kind": known.step.kind,
        "reached": known.reached,
        "succeeded": known.succeeded,
        "refused": known.refused,
        "gave_up": known.gave_up,
        "enough": known.enough,
        "odds": round(known.odds, 6),
        "odds_low": round(low, 6),
        "odds_high": round(high, 6),
        "step_p50_s": percentile(known.step_s, 0.5),
        "step_p95_s": percentile(known.step_s, 0.95),
        "call_p50_ms": percentile(known.call_ms, 0.5),
        "call_p95_ms": percentile(known.call_ms, 0.95),
        "unanswered": known.unanswered,
        "attempts": {str(number): count for number, count in sorted(known.attempts.items())},
    }


def _per_thousand(order: Order) -> str:
    return f"{order.undos * 1_000:,.0f}" if order.undos >= 0.01 else f"{order.undos * 1_000:.1f}"  # noqa: PLR2004
