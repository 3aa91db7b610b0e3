"""`saga participants`: show, check, pause and resume the services that the sagas call."""

from collections.abc import Iterable, Mapping

import click
from flask.cli import with_appcontext
from rich.text import Text

from app.calls.client import HttpClient, Request
from app.cli.arguments import actor_named, actor_option, reason_from, reason_option
from app.cli.group import UNREACHABLE, SagaGroup, saga
from app.cli.output import Column, Line, cell, draw, grid, printable, screen, write_json
from app.participant_settings.model import ParticipantSettings
from app.services import services
from app.views import participants as views
from app.views.formatting import duration
from app.views.titles import participant_words
from machines.lines import one_line
from machines.replies import setting_of

_TIMEOUT_S = 5.0
_OK, _REDIRECT = 200, 300
_HEADERS: Mapping[str, str] = {"Accept": "application/json"}
#: Statuses by which a participant, or a proxy on the way, refuses the credential.
_PROXY_REFUSED = 407
_REFUSED = frozenset({401, 403, _PROXY_REFUSED})
_FINE, _REACHED, _FAILED = "ok", "reached", "FAILED"


_COLUMNS = (
    Column(title="PARTICIPANT", gives_way=True),
    Column(title="STATE"),
    Column(title="BREAKER"),
    Column(title="WAITING", right=True),
    Column(title="CALLS/MIN", right=True),
    Column(title="FAILED", right=True),
    Column(title="P95", right=True),
)


@saga.group("participants", cls=SagaGroup)
def participants() -> None:
    """Look at the services that the sagas call, and pause them."""


@participants.command("list")
@click.option("--json", "as_json", is_flag=True, help="Write one JSON object per line, as the API does.")
def list_participants(as_json: bool) -> None:
    """List the participants: breaker, pause, calls of the last minute, and the sagas that wait for them."""
    found = views.health(services().registry, services().participant_store)
    if as_json:
        for each in found:
            write_json(views.health_json(each))
        return
    console = screen()
    draw(grid(_COLUMNS, [_line(each) for each in found], console.width), on=console)


@participants.command("pause")
@click.argument("name")
@reason_option
@actor_option
def pause(name: str, reason: str, actor: str | None) -> None:
    """Send no calls to a participant until it is resumed. Sagas that need it wait; a deadline still ends."""
    _check_names([name], services().participant_store.paused())
    views.pause(services(), name, actor_named(actor), reason_from(reason))
    click.echo(f"{participant_words(name)} is paused. Every process stops calling it with its next heartbeat.")


@participants.command("resume")
@click.argument("name")
@reason_option
@actor_option
def resume(name: str, reason: str, actor: str | None) -> None:
    """Send calls to a participant again. The sagas that waited go on one after another."""
    _check_names([name], services().participant_store.paused())
    click.echo(views.resumed_words(name, views.resume(services(), name, actor_named(actor), reason_from(reason))))


def _check_names(names: Iterable[str], others: Iterable[str] = ()) -> None:
    """Raise UsageError for a name that no table uses. others: names that are known, too."""
    used = services().participants
    if unknown := sorted({*names} - {*used, *others}):
        raise click.UsageError(f"there is no participant {unknown[0]}; the tables use {', '.join(sorted(used))}.")


def _line(each: views.Health) -> Line:
    """Return the line of one participant, with what is wrong as its note."""
    last = each.last_error
    words = [f"paused by {each.paused_by} {duration(each.paused_s or 0.0)} ago: {each.pause_reason}"] * bool(
        each.paused_by
    )
    words += [f"last error {duration(last.error_age_s or 0.0)} ago: {last.error}"] if last else []
    breaker = f"{each.open_in[0].breaker} {duration(each.open_for_s or 0.0)}" if each.open_in else "closed"
    return Line(
        cells=(
            cell(participant_words(each.name), "bold"),
            cell(each.state, "" if each.state == "ok" else "bold red"),
            cell(breaker),
            cell(str(each.waiting)),
            cell(str(each.calls)),
            cell(str(each.failed)),
            cell(duration(each.p95_ms / 1000) if each.p95_ms is not None else "-"),
        ),
        note=Text(printable("; ".join(words)), style="dim") if words else None,
    )


# click.Group.command: this command needs no database, so the checks of the other commands are left out.
@click.Group.command(participants, "check")
@click.argument("name", nargs=-1)
@click.pass_context
@with_appcontext
def check(ctx: click.Context, name: tuple[str, ...]) -> None:
    """Try each participant (or those named): URL, TLS, credential and health.

    "ok": the participant answers 2xx at the path of its setting `health`. "reached": it does not have this setting, and
    an HTTP server answers and does not refuse the credential (401, 403, 407). The command sends only a GET, so it
    changes nothing.
    """
    _check_names(name)
    settings = services().participants
    chosen = {each: found for each, found in settings.items() if not name or each in name}
    client = HttpClient(1, participants=settings)
    words = {each: participant_words(each) for each in chosen}
    widths = max(map(len, words.values())), max(len(found.url) for found in chosen.values())
    good = True
    for each, found in chosen.items():
        verdict, why = _tried(client, each, found)
        good &= verdict != _FAILED
        click.echo(f"{words[each]:{widths[0]}}  {found.url:{widths[1]}}  {verdict:{len(_REACHED)}}  {why}")
    if not good:
        ctx.exit(UNREACHABLE)


def _tried(client: HttpClient, name: str, settings: ParticipantSettings) -> tuple[str, str]:
    """Send a GET to a participant. Return the verdict, and the reason for it in words."""
    reply = client.send(
        Request(
            participant=name,
            method="GET",
            url=settings.url + (settings.health or "/"),
            headers=_HEADERS,
            body=None,
            timeout_s=_TIMEOUT_S,
        )
    )
    shown = f"{_known_by(settings)}, {reply.duration_ms:.0f} ms"
    if reply.status is None:
        return _FAILED, one_line(reply.error)
    at = f"{reply.status} at {settings.health or '/'}"
    if reply.status in _REFUSED:
        whose = "the proxy's credential" if reply.status == _PROXY_REFUSED else "the credential"
        return _FAILED, f"{at}: {whose} is refused ({shown}); check {setting_of(reply, name)}"
    if not settings.health:
        return _REACHED, f"{at}, {shown}; a server answers, but this does not prove that it is healthy: set health"
    if _OK <= reply.status < _REDIRECT:
        return _FINE, f"{at}, {shown}"
    return _FAILED, f"{at}, {shown}; a healthy participant answers 2xx there"


def _known_by(settings: ParticipantSettings) -> str:
    """Return how the service identifies itself to the participant, without any secret."""
    parts = [
        settings.auth.type if settings.auth else "gateway key" if "X-API-Key" in settings.headers else "no credential"
    ]
    if settings.url.startswith("https:"):
        parts.append("TLS with our certificate" if settings.client_cert_file else "TLS")
    if settings.proxy:
        parts.append(f"proxy {settings.proxy}")
    return ", ".join(parts)
