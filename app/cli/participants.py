"""`saga participants check`: try the URL, TLS, credential and health of each participant."""

from collections.abc import Mapping

import click
from flask.cli import AppGroup

from app.calls.client import HttpClient, Request
from app.calls.outcome import setting_of
from app.cli.group import UNREACHABLE, saga
from app.participant_settings.model import ParticipantSettings
from app.services import services
from app.values import one_line

_TIMEOUT_S = 5.0
_OK, _REDIRECT = 200, 300
_HEADERS: Mapping[str, str] = {"Accept": "application/json"}
#: Statuses by which a participant, or a proxy on the way, refuses the credential.
_REFUSED = frozenset({401, 403, 407})


# AppGroup: the commands need no database, so the checks of the other commands are left out.
@saga.group("participants", cls=AppGroup)
def participants() -> None:
    """Look at the services that the sagas call."""


@participants.command("check")
@click.argument("name", nargs=-1)
@click.pass_context
def check(ctx: click.Context, name: tuple[str, ...]) -> None:
    """Try each participant (or those named): URL, TLS, credential and health.

    A participant with the setting `health` must answer 2xx there. Otherwise every answer but 401, 403 and 407 is fine.
    Nothing is changed: only a GET is sent.
    """
    settings = services().participants
    if unknown := sorted(set(name) - settings.keys()):
        raise click.UsageError(f"there is no participant {unknown[0]}; the tables use {', '.join(settings)}.")
    chosen = {each: found for each, found in settings.items() if not name or each in name}
    client = HttpClient(1, participants=settings)
    widths = max(map(len, chosen)), max(len(found.url) for found in chosen.values())
    good = True
    for each, found in chosen.items():
        fine, words = _tried(client, each, found)
        good &= fine
        click.echo(f"{each:{widths[0]}}  {found.url:{widths[1]}}  {'ok     ' if fine else 'FAILED '}  {words}")
    if not good:
        ctx.exit(UNREACHABLE)


def _tried(client: HttpClient, name: str, settings: ParticipantSettings) -> tuple[bool, str]:
    """Return True when the participant answers as it should, and the words for it."""
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
        return False, one_line(reply.error)
    if settings.health:
        return _OK <= reply.status < _REDIRECT, f"{reply.status} at {settings.health}, {shown}"
    if reply.status in _REFUSED:
        return False, f"{reply.status}: the credential is refused ({shown}); check {setting_of(reply, name)}"
    return True, f"{reply.status}, {shown}; set health to a path that answers 2xx to know more"


def _known_by(settings: ParticipantSettings) -> str:
    """Return what the participant sees of us, without any secret."""
    parts = [
        settings.auth.type if settings.auth else "gateway key" if "X-API-Key" in settings.headers else "no credential"
    ]
    if settings.url.startswith("https:"):
        parts.append("TLS with our certificate" if settings.client_cert_file else "TLS")
    if settings.proxy:
        parts.append(f"proxy {settings.proxy}")
    return ", ".join(parts)
