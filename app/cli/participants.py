"""`saga participants check`: try the URL, TLS, credential and health of each participant."""

from collections.abc import Mapping

import click
from flask.cli import AppGroup

from app.calls.client import HttpClient, Request
from app.cli.group import UNREACHABLE, saga
from app.participant_settings.model import ParticipantSettings
from app.services import services
from machines.lines import one_line
from machines.replies import setting_of

_TIMEOUT_S = 5.0
_OK, _REDIRECT = 200, 300
_HEADERS: Mapping[str, str] = {"Accept": "application/json"}
#: Statuses by which a participant, or a proxy on the way, refuses the credential.
_PROXY_REFUSED = 407
_REFUSED = frozenset({401, 403, _PROXY_REFUSED})
_FINE, _REACHED, _FAILED = "ok", "reached", "FAILED"


# AppGroup: the commands need no database, so the checks of the other commands are left out.
@saga.group("participants", cls=AppGroup)
def participants() -> None:
    """Look at the services that the sagas call."""


@participants.command("check")
@click.argument("name", nargs=-1)
@click.pass_context
def check(ctx: click.Context, name: tuple[str, ...]) -> None:
    """Try each participant (or those named): URL, TLS, credential and health.

    "ok": the participant answers 2xx at the path of its setting `health`. "reached": it does not have this setting, and
    an HTTP server answers and does not refuse the credential (401, 403, 407). The command sends only a GET, so it
    changes nothing.
    """
    settings = services().participants
    if unknown := sorted(set(name) - settings.keys()):
        raise click.UsageError(f"there is no participant {unknown[0]}; the tables use {', '.join(settings)}.")
    chosen = {each: found for each, found in settings.items() if not name or each in name}
    client = HttpClient(1, participants=settings)
    widths = max(map(len, chosen)), max(len(found.url) for found in chosen.values())
    good = True
    for each, found in chosen.items():
        verdict, words = _tried(client, each, found)
        good &= verdict != _FAILED
        click.echo(f"{each:{widths[0]}}  {found.url:{widths[1]}}  {verdict:{len(_REACHED)}}  {words}")
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
