"""`saga start`, `saga retry` and `saga compensate`: run in this process, by the service's own engine."""

import os
from collections.abc import Callable
from datetime import UTC, datetime
from math import inf
from uuid import UUID

import click
from rich.text import Text

from app.cli import drawing
from app.cli.finding import definition_of, found
from app.cli.given import data_given, definition_named
from app.cli.group import ENDS, INTERRUPTED, saga
from app.cli.screen import draw, screen, write_json
from app.cli.seconds import Seconds
from app.cli.who import who
from app.engine.service import SagaService
from app.errors import InvalidError, MalformedError
from app.services import services
from app.store import queries
from app.store.database import db
from app.store.instance import Standing
from app.views.saga_json import json_with_steps
from app.views.validation import Reason, Resolution, checked_key, load, parsed_object

_LONGEST_WAIT_S = 3600

_wait = click.option("--wait", "wait_s", type=Seconds(0, _LONGEST_WAIT_S), help="Seconds to wait; WAIT_S by default.")
_as_json = click.option("--json", "as_json", is_flag=True, help="One JSON object, as the API gives it.")
_reason = click.option("--reason", required=True, help="Why; it is recorded.")
_actor = click.option("--actor", help="Who, recorded as cli:NAME; your login name by default.", metavar="NAME")


@saga.command("start")
@click.argument("definition_name", metavar="TYPE")
@click.argument("pairs", nargs=-1, metavar="[FIELD=VALUE]...")
@click.option("--data", metavar="JSON|@FILE|-", help="The saga's data as JSON, from a file of it, or from stdin.")
@click.option("--key", help="Idempotency key: the same key gives the same saga.")
@_wait
@_as_json
def start(
    *, definition_name: str, pairs: tuple[str, ...], data: str | None, key: str | None, wait_s: float | None,
    as_json: bool,
) -> None:  # fmt: skip
    """Start a saga and say where it ended.

    For example: saga start checkout client_id=4 magasin_id=1
    """
    definition = definition_named(services().registry, definition_name)
    checked = data_given(definition, data, pairs)
    checked_key(key)
    by = who()
    _move(lambda sagas: sagas.start(definition.name, checked, key, wait_s, by=by), as_json=as_json)


@saga.command("retry")
@click.argument("saga_id", metavar="ID")
@_reason
@_actor
@_wait
@_as_json
def retry(saga_id: str, reason: str, actor: str | None, wait_s: float | None, as_json: bool) -> None:
    """Send again the call of a saga that is stuck."""
    by, why, row = who(actor), _why(reason), found(saga_id).id
    _move(lambda sagas: sagas.retry(row, by, why, wait_s), as_json=as_json)


@saga.command("compensate")
@click.argument("saga_id", metavar="ID")
@_reason
@_actor
@_wait
@_as_json
def compensate(saga_id: str, reason: str, actor: str | None, wait_s: float | None, as_json: bool) -> None:
    """Undo a saga as far as its table allows.

    It has succeeded when it ends with 3.
    """
    by, why, row = who(actor), _why(reason), found(saga_id).id
    _move(lambda sagas: sagas.compensate(row, by, why, wait_s), as_json=as_json)


@saga.command("resolve")
@click.argument("saga_id", metavar="ID")
@_reason
@click.option("--reply", default="{}", help="What its participant would have answered.", metavar="JSON")
@_actor
@_wait
@_as_json
def resolve(saga_id: str, *, reason: str, reply: str, actor: str | None, wait_s: float | None, as_json: bool) -> None:
    """Go on from a stuck step as if it had succeeded, for you have seen to it by hand."""
    by, why, row = who(actor), _why(reason), found(saga_id).id
    said = load(Resolution(), {"reason": why, "reply": parsed_object(reply.encode(), "--reply")})["reply"]
    _move(lambda sagas: sagas.resolve(row, by, why, said, wait_s), as_json=as_json)


def _why(reason: str) -> str:
    try:
        return str(load(Reason(), {"reason": reason.strip()})["reason"])
    except InvalidError as error:
        raise MalformedError(f"--reason: {error.members['errors'][0]['detail']}") from None


def _move(move: Callable[[SagaService], Standing], *, as_json: bool) -> None:
    runner = services().runner
    runner.tables.settle()
    try:
        try:
            asked = services().sagas
            asked.early.start()
            asked.held_s = inf  # a command has nothing else to do, and there may be no service that would go on
            standing = move(asked)
        except Exception:
            runner.stop()
            raise
        runner.stop()
    except KeyboardInterrupt:
        click.echo("saga: interrupted; what was begun is durable, and a service carries it on", err=True)
        # Its thread may hold it for as long as the wait; to leave it is no worse than a crash.
        os._exit(INTERRUPTED)
    _tell(standing.id, replayed=standing.replayed, as_json=as_json)


def _tell(saga_id: UUID, *, replayed: bool, as_json: bool) -> None:
    """Say where it stands now, which may be further than at the end of the wait."""
    db.session.remove()
    row = queries.find(saga_id)
    assert row is not None, "it is durable"
    if as_json:
        write_json(json_with_steps(services().registry, row, queries.journal(saga_id)))
    else:
        console = screen()
        draw(drawing.header(definition_of(row), row, console.width, datetime.now(UTC)), on=console)
        if replayed:
            draw([Text("  This key had begun it before; nothing was done now.", style="dim")], on=console)
    click.get_current_context().exit(ENDS[row.status])
