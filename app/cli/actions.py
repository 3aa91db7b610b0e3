"""`saga start`, `signal` and the operator actions: this process runs the saga with the service's engine."""

import os
from collections.abc import Callable
from math import inf
from uuid import UUID

import click
from rich.text import Text

from app.cli import drawing
from app.cli.arguments import (
    Seconds,
    actor_named,
    actor_option,
    data_from,
    definition_named,
    definition_of,
    moment_from,
    reason_from,
    saga_with_id,
    signal_body_from,
)  # fmt: skip
from app.cli.dry_run import dry_run_option, reason_option, show_dry_run
from app.cli.group import EXIT_CODES, INTERRUPTED, saga
from app.cli.output import draw, screen, write_json
from app.cli.saga_path import known_now
from app.engine.service import SagaService
from app.errors import MalformedError, StillRunningError
from app.services import services
from app.store import queries
from app.store.arrivals import Signal
from app.store.database import db
from app.store.instance import SagaSnapshot
from app.views.masking import shown
from app.views.moments import StartAt
from app.views.saga_data import data_schema
from app.views.saga_json import json_with_steps
from app.views.signals import signal_entry, signal_step
from app.views.validation import Resolution, checked_key, load, parsed_object
from machines.saga import Saga
from machines.samples import example

_LONGEST_WAIT_S = 3600

_wait = click.option("--wait", "wait_s", type=Seconds(0, _LONGEST_WAIT_S), help="Seconds to wait; WAIT_S by default.")
_as_json = click.option("--json", "as_json", is_flag=True, help="Write one JSON object, as the API does.")


@saga.command("start")
@click.argument("definition_name", metavar="TYPE")
@click.argument("pairs", nargs=-1, metavar="[FIELD=VALUE]...")
@click.option("--data", metavar="JSON|@FILE|-", help="The saga's data as JSON, from a JSON file, or from stdin.")
@click.option("--key", help="Idempotency key: the same key returns the same saga.")
@click.option("--webhook", metavar="NAME|URL", help="Webhook that receives the end: its name, or an address of it.")
@click.option(
    "--at", "start_at", metavar="TIME", help="Start it later, such as 2027-01-31T09:30:00Z; a service runs it."
)
@_wait
@_as_json
def start(
    *, definition_name: str, pairs: tuple[str, ...], data: str | None, key: str | None, webhook: str | None,
    start_at: str | None,
    wait_s: float | None, as_json: bool,
) -> None:  # fmt: skip
    """Start a saga, wait for its end, and show its state.

    For example: saga start checkout client_id=4 magasin_id=1
    """
    definition = definition_named(services().registry, definition_name)
    checked = data_from(definition, data, pairs)
    checked_key(key)
    if webhook is not None and services().webhooks.named(webhook) is None:
        raise MalformedError(
            "--webhook: no webhook of WEBHOOKS_FILE has this name and a url=, or a prefix of this address"
        )
    by = actor_named()
    if start_at is not None:
        if wait_s is not None:
            raise MalformedError("--wait: the saga starts later, so nothing is waited for; leave it out")
        at = moment_from("--at", StartAt(), start_at)
        _run(
            lambda sagas: sagas.create(definition.name, checked, key, by=by, webhook=webhook, start_at=at),
            as_json=as_json,
        )
        return
    _run(lambda sagas: sagas.start(definition.name, checked, key, wait_s, by=by, webhook=webhook), as_json=as_json)


@saga.command("retry")
@click.argument("saga_id", metavar="ID")
@reason_option
@dry_run_option
@actor_option
@_wait
@_as_json
def retry(saga_id: str, *, reason: str | None, actor: str | None, wait_s: float | None, as_json: bool) -> None:
    """Send the call of a stuck saga again."""
    _act(
        "retry", saga_id, lambda sagas, row, by, why: sagas.retry(row, by, why, wait_s),
        reason=reason, actor=actor, as_json=as_json,
    )  # fmt: skip


@saga.command("compensate")
@click.argument("saga_id", metavar="ID")
@reason_option
@dry_run_option
@actor_option
@_wait
@_as_json
def compensate(saga_id: str, *, reason: str | None, actor: str | None, wait_s: float | None, as_json: bool) -> None:
    """Undo a saga as far as its table allows.

    Exit code 3 means success: the saga is compensated.
    """
    _act(
        "compensate", saga_id, lambda sagas, row, by, why: sagas.compensate(row, by, why, wait_s),
        reason=reason, actor=actor, as_json=as_json,
    )  # fmt: skip


@saga.command("send-now")
@click.argument("saga_id", metavar="ID")
@reason_option
@dry_run_option
@actor_option
@_wait
@_as_json
def send_now(saga_id: str, *, reason: str | None, actor: str | None, wait_s: float | None, as_json: bool) -> None:
    """Make the next attempt of a saga that backs off at once, or end its pause."""
    _act(
        "send_now", saga_id, lambda sagas, row, by, why: sagas.send_now(row, by, why, wait_s),
        reason=reason, actor=actor, as_json=as_json,
    )  # fmt: skip


@saga.command("resolve")
@click.argument("saga_id", metavar="ID")
@reason_option
@dry_run_option
@click.option("--reply", default="{}", help="The reply that the participant would have sent.", metavar="JSON")
@actor_option
@_wait
@_as_json
def resolve(
    saga_id: str, *, reason: str | None, reply: str, actor: str | None, wait_s: float | None,
    as_json: bool,
) -> None:  # fmt: skip
    """Continue from a stuck step as if it had succeeded, after you have done its work by hand."""
    given = {"reason": "checked below", "reply": parsed_object(reply.encode(), "--reply")}
    checked = load(Resolution(), given)["reply"]
    _act(
        "resolve", saga_id, lambda sagas, row, by, why: sagas.resolve(row, by, why, checked, wait_s),
        reason=reason, actor=actor, as_json=as_json,
    )  # fmt: skip


@saga.command("signal")
@click.argument("saga_id", metavar="ID")
@click.argument("name", metavar="SIGNAL")
@click.argument("pairs", nargs=-1, metavar="[FIELD=VALUE]...")
@click.option("--body", "text", metavar="JSON|@FILE|-", help="The signal's body as JSON, from a file, or from stdin.")
@actor_option
@_wait
@_as_json
def signal(  # noqa: PLR0917  the arguments of the command
    saga_id: str, name: str, pairs: tuple[str, ...], text: str | None, actor: str | None, wait_s: float | None,
    *, as_json: bool,
) -> None:  # fmt: skip
    """Send a signal to a saga that waits for it, or will wait for it.

    For example: saga signal 8d2f4b1c decision approved=true
    """
    by, row = actor_named(actor), saga_with_id(saga_id)
    definition, step = signal_step(services().registry, row, name)
    body = signal_body_from(definition, step, str(row.id), text, pairs)
    sent = Signal(name=name, body=body, sender=by)
    entry = signal_entry(row, sent)
    _run(lambda sagas: sagas.signal(row.id, sent, wait_s, entry=entry), as_json=as_json)


@saga.command("seed")
def seed() -> None:
    """Start one example of every saga type, with the example data of its table.

    A second run starts nothing, because each example has an idempotency key of its own.
    """
    runner = services().runner
    try:
        for name in services().registry.names:
            definition = services().registry.latest(name)
            started = _started_example(definition)
            status = started.status if started else "under way"
            click.echo(f"{definition}: {status}{' (started before)' if started is None or started.replayed else ''}")
    finally:
        runner.stop()


def _started_example(definition: Saga) -> SagaSnapshot | None:
    """Return the state of the example; None when an earlier run has started this saga and the saga still runs."""
    data = load(data_schema(definition), example(definition.data))
    try:
        return services().sagas.start(definition.name, data, f"seed/{definition.name}/{definition.version}")
    except StillRunningError:
        return None


def _act(
    name: str, saga_id: str, move: Callable[[SagaService, UUID, str, str], SagaSnapshot], *, reason: str | None,
    actor: str | None, as_json: bool,
) -> None:  # fmt: skip
    """Take an action on a saga, or show what it would do.

    move: takes the saga's id, the actor and the reason. reason: None: a dry run.
    """
    if reason is None:
        show_dry_run(saga_with_id(saga_id), name, as_json=as_json)
        return
    by, why, row = actor_named(actor), reason_from(reason), saga_with_id(saga_id).id
    _run(lambda sagas: move(sagas, row, by, why), as_json=as_json)


def _run(move: Callable[[SagaService], SagaSnapshot], *, as_json: bool) -> None:
    runner = services().runner
    runner.tables.compare()
    try:
        try:
            sagas = services().sagas
            sagas.early_commits.start()
            # The saga stays in this process until it ends. The command has no other work, and possibly no service runs
            # that could continue the saga.
            sagas.max_sleep_s = inf
            snapshot = move(sagas)
        except Exception:
            runner.stop()
            raise
        runner.stop()
    except KeyboardInterrupt:
        click.echo("saga: interrupted; the saga is durable, and a service continues it", err=True)
        # The process ends at once and does not wait for the thread that runs the saga. A service then continues the
        # saga as after a crash.
        os._exit(INTERRUPTED)
    _show_result(snapshot.id, replayed=snapshot.replayed, as_json=as_json)


def _show_result(saga_id: UUID, *, replayed: bool, as_json: bool) -> None:
    """Show the present state of the saga, which may have changed since the end of the wait."""
    db.session.remove()
    row = queries.find(saga_id)
    assert row is not None, "it is durable"
    if as_json:
        write_json(json_with_steps(services().registry, row, queries.journal(saga_id)))
    else:
        console = screen()
        row, journal = shown(services().registry, row, queries.journal(saga_id))
        known = known_now(definition_of(row), row, journal)
        draw(drawing.header(definition_of(row), row, console.width, queries.now(), journal, **known), on=console)
        if replayed:
            text = "  An earlier command with this key started the saga; this command changed nothing."
            draw([Text(text, style="dim")], on=console)
    click.get_current_context().exit(EXIT_CODES[row.status])
