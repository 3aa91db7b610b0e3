"""`saga ask`, `saga checked` and `saga case`: what a person does about a saga without moving it."""

from typing import Any

import click

from app.cli.arguments import (
    actor_named,
    actor_option,
    definition_of,
    moment_from,
    reason_from,
    reason_option,
    saga_with_id,
)  # fmt: skip
from app.cli.group import SagaGroup, saga
from app.cli.output import printable, write_json
from app.errors import InvalidError, MalformedError
from app.services import services
from app.store import cases, queries
from app.store.database import db
from app.store.models import SagaRow
from app.values import written
from app.views.cases import case_json, check_snooze
from app.views.effects import FOUND
from app.views.moments import Moment
from app.views.questions import answer_json, ask
from app.views.titles import participant_words, step_words_in
from app.views.unknown_effects import check

_seen_option = click.option(
    "--seen", metavar="ACTOR", help="Who looks after it now, such as user:otto; default: nobody."
)


@saga.command("ask")
@click.argument("saga_id", metavar="ID")
@actor_option
@click.option("--json", "as_json", is_flag=True, help="Write one JSON object, as the API does.")
def ask_now(saga_id: str, actor: str | None, *, as_json: bool) -> None:
    """Ask the participant of a stuck step, or of an unknown effect. Only the probe is sent; the saga does not move."""
    row = saga_with_id(saga_id)
    body = ask(services(), row, actor_named(actor))
    db.session.rollback()
    found = answer_json(services(), queries.get(row.id), body)
    if as_json:
        write_json(found)
        return
    asked = participant_words(str(found["participant"]))
    step = step_words_in(definition_of(row), str(found["step"]))
    click.echo(printable(f"{asked} was asked about {step}: {found['outcome']}. {found['answer']}"))
    if found["reply"]:
        click.echo(printable(written(found["reply"]).decode()))
    click.echo(
        printable(f"{found['advice']}" + (f" Advised: saga {found['action']} {row.id}" if found["action"] else ""))
    )


@saga.command("checked")
@click.argument("saga_id", metavar="ID")
@click.option(
    "--found", type=click.Choice(tuple(map(str, FOUND))), required=True,
    help="; ".join(f"{name}: {words}" for name, words in FOUND.items()) + ".",
)  # fmt: skip
@reason_option
@actor_option
def checked(saga_id: str, found: str, reason: str, actor: str | None) -> None:
    """Record what you found out about the unknown effects of an ended saga (`saga list --still-unknown`)."""
    by, why = actor_named(actor), reason_from(reason)
    check(services(), saga_with_id(saga_id), by, found, why)
    click.echo(f"Recorded: {FOUND[found]}.")


@saga.group("case", cls=SagaGroup)
def case() -> None:
    """Look after a saga: take it, note, snooze it. Each change is in the audit trail."""


@case.command("show")
@click.argument("saga_id", metavar="ID")
@click.option("--json", "as_json", is_flag=True, help="Write one JSON object, as the API does.")
def show(saga_id: str, *, as_json: bool) -> None:
    """Show who looks after a saga, until when it is snoozed, and the last note."""
    found = _of(saga_with_id(saga_id))
    if as_json:
        write_json(found)
        return
    click.echo(printable(f"Looked after by {found['taken_by'] or 'nobody'}."))
    if found["snoozed_until"]:
        click.echo(f"Snoozed until {found['snoozed_until']}.")
    if found["note"]:
        click.echo(printable(f"Note: {found['note']}"))


@case.command("take")
@click.argument("saga_id", metavar="ID")
@_seen_option
@actor_option
def take(saga_id: str, seen: str | None, actor: str | None) -> None:
    """Look after a saga. With --seen, take it over from this person."""
    by = actor_named(actor)
    cases.take(db.engine, saga_with_id(saga_id), by, seen)
    click.echo(f"{by} looks after it.")


@case.command("give-back")
@click.argument("saga_id", metavar="ID")
@_seen_option
@actor_option
def give_back(saga_id: str, seen: str | None, actor: str | None) -> None:
    """Look after a saga no longer. Without --seen, it is yours."""
    by = actor_named(actor)
    cases.give_back(db.engine, saga_with_id(saga_id), by, seen or by)
    click.echo("Nobody looks after it now.")


@case.command("note")
@click.argument("saga_id", metavar="ID")
@click.argument("text")
@actor_option
def note(saga_id: str, text: str, actor: str | None) -> None:
    """Write a note about a saga into the audit trail."""
    by, words = actor_named(actor), reason_from(text)
    cases.note(db.engine, saga_with_id(saga_id), by, words)
    click.echo("The note is recorded.")


@case.command("snooze")
@click.argument("saga_id", metavar="ID")
@click.option("--until", required=True, metavar="TIME", help="A time within the next 30 days; UTC without a time zone.")
@reason_option
@actor_option
def snooze(saga_id: str, until: str, reason: str, actor: str | None) -> None:
    """Keep a saga off the list of stuck sagas until a time. Alerts and counts keep it."""
    by, why, moment = actor_named(actor), reason_from(reason), moment_from("--until", Moment(), until)
    try:
        check_snooze(moment)
    except InvalidError as error:
        raise MalformedError(f"--until: {error.members['errors'][0]['detail'].rstrip('.')}") from None
    cases.snooze(db.engine, saga_with_id(saga_id), by, moment, why)
    click.echo(f"Snoozed until {moment.isoformat()}.")


@case.command("wake")
@click.argument("saga_id", metavar="ID")
@actor_option
def wake(saga_id: str, actor: str | None) -> None:
    """Put a snoozed saga back on the list of stuck sagas."""
    cases.snooze(db.engine, saga_with_id(saga_id), actor_named(actor), None, "put back on the list")
    click.echo("It is on the list again.")


def _of(row: SagaRow) -> dict[str, Any]:
    return case_json(cases.of([row.id]).get(row.id))
