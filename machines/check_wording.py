"""The checks of the columns that are words for people: title=, titles= and amount=."""

from collections.abc import Collection, Iterator, Mapping

from machines.amounts import CURRENCY_LETTERS, Amount
from machines.check_scope import NUMBERS, ReferenceProblem, Scope, field_of, named
from machines.check_types import column_of, mend, misused, no_text, shown
from machines.fields import FieldKind
from machines.secrets import holds_secret
from machines.step import EFFECTFUL, Kind, Step
from machines.table import Table
from machines.words import Misused

#: Most characters of a title, so that it fits into a line of a list.
LONGEST_TITLE = 60
#: Replaces the step that has the reference: an amount is read for people, also from the reply of its own step.
_READER = Step(name="", kind=Kind.READ, call=None, done="")
_NUMERIC = NUMBERS | {FieldKind.TEXT, FieldKind.ANYTHING}


def wording_value_problems(table: Table) -> Iterator[str]:
    """Yield a problem for each title of a table with a wrong type or length."""
    yield from _title_problems("title=", table.title)
    if not isinstance(titles := column_of(table, "titles"), Mapping):
        yield f"titles= is {shown(titles)}, no dict; write {{'STATE': 'in plain words'}}"
        return
    for state, title in titles.items():
        yield from no_text("titles= names", state)
        yield from _title_problems(f"the title of {shown(state)}", title)


def step_wording_problems(step: Step) -> Iterator[str]:
    """Yield a problem for a title or an amount of a step that has a wrong type, or that its kind cannot have."""
    yield from _title_problems("title=", step.title)
    amount = column_of(step, "amount")
    if isinstance(amount, Misused):
        yield from misused("amount", amount)
    elif isinstance(amount, Amount):
        yield from no_text("amount=", column_of(amount, "reference"))
        yield from _currency_problems(amount.currency)
        if step.kind not in EFFECTFUL:
            yield f"a {step.kind} moves no money, so amount= would be ignored; drop it"
    elif amount is not None:
        yield f"amount= is {shown(amount)}; write taken('price') or paid('price')"


def amount_problems(table: Table) -> Iterator[tuple[Step, str]]:
    """Yield a problem for each amount that is no number, that is secret, or that names nothing."""
    for number, step in enumerate(table.steps):
        if isinstance(step.amount, Amount):
            scope = Scope(table, _READER, table.steps[: number + 1])
            for problem in _reference_problems(scope, step.amount.reference):
                yield step, f"amount={step.amount}: {problem}"


def titled_states_problems(table: Table, states: Collection[str]) -> Iterator[str]:
    """Yield a problem for each title of a state that the table does not have. states: all states of the table."""
    for state in table.titles:
        if state not in states:
            yield f"titles= names {state!r}, which is no state; {mend(state, states, 'take it out')}"


def _title_problems(what: str, title: object) -> Iterator[str]:
    if not isinstance(title, str):
        yield from no_text(what, title)
    elif not title.isprintable() or title != title.strip() or len(title) > LONGEST_TITLE:
        yield f"{what} {shown(title)} is no title; write one line of {LONGEST_TITLE} characters at most"


def _currency_problems(currency: object) -> Iterator[str]:
    if currency == "":
        return
    if not isinstance(currency, str):
        yield f"amount= has the currency {shown(currency)}; write its code, such as 'EUR'"
    elif not (len(currency) == CURRENCY_LETTERS and currency.isascii() and currency.isalpha() and currency.isupper()):
        yield f"amount= has the currency {shown(currency)}, no code of three capitals; write 'EUR', for example"


def _reference_problems(scope: Scope, reference: str) -> Iterator[str]:
    try:
        field = field_of(scope, reference)
    except ReferenceProblem as problem:
        yield str(problem)
        return
    if field is None:
        return
    if holds_secret(field):
        yield f"{reference!r} is secret, and pages show it; name another field, or leave amount= out"
    elif field.kind not in _NUMERIC:
        yield f"{reference!r} is {named(field)}, no amount; name a number"
