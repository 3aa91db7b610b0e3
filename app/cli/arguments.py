"""The arguments of commands: the id of a saga, the data of a new saga, seconds, and the actor."""

import os
import pwd
import re
import shlex
import sys
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

import click
import orjson
from marshmallow import ValidationError
from sqlalchemy import or_, select

from app.errors import InvalidError, MalformedError, NotFoundError
from app.services import services
from app.store import queries
from app.store.database import db
from app.store.loading import table_of
from app.store.models import SagaRow
from app.store.saga_ids import id_conditions
from app.values import written
from app.views.moments import Moment
from app.views.saga_data import data_schema
from app.views.saga_filters import FilterWords, narrowed
from app.views.signals import signal_body
from app.views.validation import Reason, load, parsed, parsed_object, storable
from machines.fields import Field
from machines.registry import Registry, UnknownSagaError
from machines.saga import Saga
from machines.samples import example
from machines.statuses import Status
from machines.step import Step

_Found = TypeVar("_Found")
#: An id, or its beginning, or its end: 4 to 32 hexadecimal digits.
_ID_DIGITS = re.compile(r"[0-9a-f]{4,32}")


#: The options of commands that change something.
reason_option = click.option("--reason", required=True, help="The reason, which is recorded.")
actor_option = click.option(
    "--actor", help="Your name, recorded as cli:NAME; the login name by default.", metavar="NAME"
)


class Number(click.FloatRange):
    """A number within bounds. `nan` is refused, because it passes every check of bounds."""

    name = "number"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        number = float(super().convert(value, param, ctx))
        if number != number:  # noqa: PLR0124  only nan differs from itself
            self.fail(f"{value!r} is no number.", param, ctx)
        return number


class Seconds(Number):
    """A number of seconds within bounds."""

    name = "seconds"


#: The options that choose sagas, in each command that works on a list of them.
_FILTER_OPTIONS = (
    click.option("--type", metavar="TYPE", help="Sagas of this definition."),
    click.option("--state", help="Sagas in this state of their table."),
    click.option("--client", help="Sagas of this client."),
    click.option("--store", help="Sagas of this store."),
    click.option("--order", help="Sagas with this business number, the order= of their table."),
    click.option("--parent", metavar="ID", help="Sagas that a step of this saga has started."),
    click.option(
        "--tag", "tags", metavar="NAME=VALUE", multiple=True, help="Sagas with this tag; repeat it for several."
    ),
    click.option(
        "--q", metavar="TEXT", help="Sagas with this id, client, business number or tag, or the beginning of one."
    ),
    click.option("--version", metavar="NUMBER", help="Sagas of this version of their definition."),
    click.option(
        "--participant",
        metavar="NAME",
        help="Unfinished sagas whose next call, or the call in flight or stuck, goes to it.",
    ),
    click.option("--error-contains", metavar="TEXT", help="Sagas with this text in their error, in any letter case."),
    click.option("--slower-than", metavar="SECONDS", help="Sagas that have taken at least this time."),
    click.option("--tenant", metavar="TENANT", help="Sagas of this tenant."),
    click.option("--waiting-for", metavar="PARTICIPANT", help="Sagas that wait before their next call to it."),
    click.option("--entered-from", metavar="TIME", help="Sagas that came to their state at this time or later."),
    click.option("--stuck-from", metavar="TIME", help="Sagas that got stuck at this time or later, also since moved."),
    click.option("--created-from", metavar="TIME", help="Sagas created at this time or later, such as 2027-01-31."),
    click.option("--created-to", metavar="TIME", help="Sagas created before this time."),
    click.option("--unknown", flag_value="true", help="Unfinished sagas whose table this release does not have."),
    click.option(
        "--still-unknown",
        flag_value="true",
        help="Ended sagas with an effect that nobody knows and nobody has checked: ask the participant.",
    ),
)


def filter_options(command: Callable[..., Any], *further: str) -> Callable[..., Any]:
    """Add the options that choose sagas to a command; `filter_words` reads them. further: choices of --status."""
    statuses = click.Choice([*(status.value for status in Status), *further])
    status = click.option("--status", type=statuses, help="Sagas with this status.")
    for option in reversed((_FILTER_OPTIONS[0], status, *_FILTER_OPTIONS[1:])):
        command = option(command)
    return command


def login_name() -> str:
    """Return the name of the account that runs this process. LOGNAME is not read, because anybody can set it."""
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:  # the user of a container may have no name
        return str(os.getuid())


def actor_named(name: str | None = None) -> str:
    """Return the actor `cli:NAME` for the journal and the audit trail; the default name is the login name."""
    found = login_name() if name is None else name
    try:
        storable(found)
    except ValidationError as error:
        raise MalformedError(f"--actor: {error}") from None
    if not found.strip():
        raise MalformedError("--actor: it is empty; give a name")
    return f"cli:{found}"


def reason_from(text: str) -> str:
    """Return the reason of an action. Raise MalformedError for a reason that cannot be recorded."""
    try:
        return str(load(Reason(), {"reason": text.strip()})["reason"])
    except InvalidError as error:
        raise MalformedError(f"--reason: {error.members['errors'][0]['detail']}") from None


def saga_with_id(text: str) -> SagaRow:
    """Return the saga whose id is this text, or begins or ends with it, see `id_conditions`.

    Raise MalformedError when the text is no id or fits several sagas, and NotFoundError when it fits no saga.
    """

    def search(digits: str, limit: int) -> Sequence[SagaRow]:
        return db.session.scalars(select(SagaRow).where(or_(*id_conditions(SagaRow.id, digits))).limit(limit)).all()

    return with_id(text, "saga", "saga list", search)


def with_id(text: str, what: str, command: str, search: Callable[[str, int], Sequence[_Found]]) -> _Found:
    """Return what has this id, or an id that begins or ends with it. The errors are those of `saga_with_id`.

    command: shows all ids. search: returns those with these digits, at most a number of them.
    """
    digits = text.lower().replace("-", "")
    if not _ID_DIGITS.fullmatch(digits):
        raise MalformedError(f"{text!r} is no id of a {what}; give one that `{command}` shows, or its last 8 digits")
    found = search(digits, 2)
    if not found:
        raise NotFoundError(f"there is no {what} {text}; `{command}` shows all {what}s")
    if len(found) > 1:
        raise MalformedError(f"the ids of several {what}s begin or end with {text}; give its last 8 digits, or all")
    return found[0]


def definition_of(saga: SagaRow) -> Saga | None:
    """Return the saga's table; None when this release does not have the table."""
    return table_of(services().registry, saga, queries.journal(saga.id))


def definition_named(registry: Registry, name: str) -> Saga:
    try:
        return registry.latest(name)
    except UnknownSagaError:
        known = ", ".join(registry.names)
        raise MalformedError(f"TYPE: there is no saga {name!r}; take one of {known}") from None


def filters_from(words: Mapping[str, Any], tags: Sequence[str]) -> dict[str, Any]:
    """Return the arguments of a `SagaFilter`. tags: `NAME=VALUE`. Raise MalformedError for an illegal option."""
    return narrowed(filter_words(FilterWords(), words, tags))


def filter_words(schema: FilterWords, words: Mapping[str, Any], tags: Sequence[str]) -> dict[str, Any]:
    """Return the validated options. The arguments and the error are those of `filters_from`."""
    for tag in tags:
        if "=" not in tag:
            raise MalformedError(f"--tag: {tag!r} is no NAME=VALUE; try: saga list --tag customer=Ada")
    given: dict[str, Any] = {name: value for name, value in words.items() if value is not None}
    if tags:
        given["tag"] = [tag.replace("=", ":", 1) for tag in tags]
    try:
        return load(schema, given)
    except InvalidError as error:
        wrong = error.members["errors"][0]
        name = wrong["pointer"].split("/")[1].replace("_", "-")
        raise MalformedError(f"--{name}: {wrong['detail'].rstrip('.')}") from None


def moment_from(option: str, field: Moment, text: str) -> datetime:
    """Return the time in the text of an option. Raise MalformedError when the text is no legal time."""
    try:
        return field.deserialize(text)
    except ValidationError as error:
        raise MalformedError(f"{option}: {error.messages[0].rstrip('.')}") from None


def data_from(
    definition: Saga, text: str | None, pairs: Sequence[str], command: str | None = None
) -> Mapping[str, Any]:
    """Return the data of a new saga. Raise MalformedError for illegal data.

    text: JSON, `@FILE`, or `-` for standard input.
    pairs: `field=value`; a pair overrides the same field of the JSON.
    command: the command that the error gives as an example, without its data; default: the start of the saga.
    """
    schema, example_command = data_schema(definition), _example_command(definition, command)
    return _checked(definition.data, lambda given: load(schema, given), example_command, text, pairs)


def signal_body_from(
    definition: Saga, step: Step, saga_id: str, text: str | None, pairs: Sequence[str]
) -> Mapping[str, Any]:
    """Return the body of the signal that the step waits for. The arguments and errors are those of `data_from`."""
    assert step.waits is not None
    fields, signal = step.waits.brings, step.waits.signal
    example_command = " ".join([f"saga signal {saga_id} {signal}", *_pairs(example(fields))])
    return _checked(fields, lambda given: signal_body(definition, step, given), example_command, text, pairs)


def _checked(
    fields: Mapping[str, Field],
    check: Callable[[Mapping[str, Any]], Mapping[str, Any]],
    example_command: str,
    text: str | None,
    pairs: Sequence[str],
) -> Mapping[str, Any]:
    given = _object(text) | _fields(fields, example_command, pairs)
    try:
        return check(given)
    except InvalidError as error:
        errors = error.members["errors"]
        wrong = "; ".join(f"{_place(item['pointer'])}: {item['detail'].rstrip('.')}" for item in errors)
        raise MalformedError(f"{wrong}. Try: {example_command}") from None


def _place(pointer: str) -> str:
    """Return the name of a field, as in `field=value`; for a value within a field, its JSON pointer."""
    name = pointer[1:]
    return pointer if "/" in name else name


def _object(text: str | None) -> dict[str, Any]:
    if text is None:
        return {}
    if text == "-":
        return parsed_object(sys.stdin.buffer.read(), "standard input")
    if not text.startswith("@"):
        return parsed_object(text.encode(errors="surrogateescape"), "--data")
    try:
        return parsed_object(Path(text[1:]).read_bytes(), text[1:])
    except OSError as error:
        raise MalformedError(f"--data: {text[1:]} cannot be read: {error.strerror}") from None


def _fields(fields: Mapping[str, Field], example_command: str, pairs: Sequence[str]) -> dict[str, Any]:
    given: dict[str, Any] = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals or not name:
            raise MalformedError(f"{pair!r} is no field=value; try: {example_command}")
        if name in given:
            raise MalformedError(f"{name}: it is given twice; give it once")
        given[name] = _value(fields, name, value)
    return given


def _value(fields: Mapping[str, Field], name: str, text: str) -> Any:
    """Return the value for a field: a text or parsed JSON, as the kind of the field needs.

    A text that is no JSON is returned unchanged; the schema of the data refuses it later.
    """
    field = fields.get(name)
    if field is None or field.is_text:
        return text
    try:
        return parsed(text.encode(errors="surrogateescape"), name)
    except MalformedError:
        return text


def _example_command(definition: Saga, command: str | None) -> str:
    data, command = example(definition.data), command or f"saga start {definition.name}"
    if any(isinstance(value, (list, dict)) for value in data.values()):
        return f"{command} --data {shlex.quote(orjson.dumps(data).decode())}"
    return " ".join([command, *_pairs(data)])


def _pairs(data: Mapping[str, Any]) -> list[str]:
    return [
        f"{name}={shlex.quote(value if isinstance(value, str) else written(value).decode())}"
        for name, value in data.items()
    ]
