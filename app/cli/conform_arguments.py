"""The arguments of `saga conform`: the step, the URLs, the data and the replies."""

import json
import sys
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

import click

from app.cli.arguments import data_from
from app.config import check_participants, from_environment
from app.conform.desk import Desk
from app.conform.subject import Subject
from app.participant_settings.words import variable_of
from app.server_urls import http_url
from app.values import written
from app.views.validation import parsed
from machines.call import Call
from machines.registry import Registry
from machines.saga import Saga
from machines.samples import example
from machines.step import CALLING, Step

_LAST_PORT = 65_535
_LOCAL = frozenset({"localhost", "127.0.0.1", "::1"})


def step_named(registry: Registry, name: str) -> tuple[Saga, Step]:
    """Return the newest version of a saga and its step, from TYPE.STEP. Raise UsageError when there is no such step."""
    saga, _, step = name.partition(".")
    if saga not in registry.names:
        raise click.UsageError(f"TYPE.STEP: there is no saga {saga!r}; take one of {', '.join(registry.names)}.")
    definition = registry.latest(saga)
    steps = {each.name: each for each in definition.steps if each.kind in CALLING}
    if step not in steps:
        raise click.UsageError(f"TYPE.STEP: {saga} has no step {step!r} that calls; take one of {', '.join(steps)}.")
    return definition, steps[step]


def urls_by_participant(step: Step, urls: Sequence[str], *, yes: bool) -> Mapping[str, str]:
    """Return the URL of each participant. Refuse a host that is not this machine without --yes."""
    assert step.call is not None
    placed: dict[str, str] = {}
    for text in urls:
        name, equals, url = text.partition("=")
        named = bool(equals) and "/" not in name
        name, url = (name, url) if named else (step.call.participant, text)
        placed[name] = http_url({"--url": url}, "--url", "")
        host = urlsplit(placed[name]).hostname
        if host not in _LOCAL and not yes:
            raise click.UsageError(f"--url: {host} is not this machine. The trials book for real; add --yes if it may.")
    if step.call.participant not in placed:
        raise click.UsageError(f"--url: the URL of {step.call.participant} is missing.")
    return placed


def subject_from(
    registry: Registry, named: tuple[Saga, Step], urls: Mapping[str, str], environ: Mapping[str, str],
    given: Mapping[str, Any],
) -> Subject:  # fmt: skip
    """Return what is tried, from the options of the command. Raise UsageError for what is missing or illegal."""
    definition, step = named
    config = from_environment({**environ, **{variable_of(name, "url"): url for name, url in urls.items()}})
    settings = check_participants(config, registry)
    text = _data_text(definition, given["data"])

    def data(more: Sequence[str]) -> Mapping[str, Any]:
        names = {pair.partition("=")[0] for pair in more}
        pairs = [pair for pair in given["pairs"] if pair.partition("=")[0] not in names]
        return data_from(definition, text, [*pairs, *more], f"saga conform {definition.name}.{step.name} --url URL")

    if given["look"] and not given["look"].startswith("/"):
        raise click.UsageError(f"--look: {given['look']!r} must be a path, such as /bookings.")
    subject = Subject(
        definition=definition,
        step=step,
        undo=_undo_call(step, given["undo"]),
        data=data(()),
        refused_data=data(given["refused"]) if given["refused"] else None,
        other_data=data(given["other"]) if given["other"] else None,
        replies=_replies(definition, given["replies"]),
        settings={name: each for name, each in settings.items() if name in definition.participants},
        look=given["look"],
        crash=given["crash"],
    )
    _check_reach(subject, urls)
    return subject


def desk_for(subject: Subject, listen: str, reply_url: str | None) -> Desk | None:
    """Return what listens for the later answers of a step; None for a step without them. Raise UsageError."""
    if subject.step.later is None or subject.step.poll is not None:
        return None
    host, _, port = listen.rpartition(":")
    if not host or not port.isdecimal() or int(port) > _LAST_PORT:
        raise click.UsageError(f"--listen: {listen!r} is no HOST:PORT, such as 127.0.0.1:8200.")
    assert subject.step.call is not None
    far = urlsplit(subject.settings[subject.step.call.participant].url).hostname
    if reply_url is None and far not in _LOCAL:
        raise click.UsageError(
            f"--reply-url: {far} answers later; give the URL by which it reaches --listen, such as http://this-host:8200."
        )
    url = http_url({"--reply-url": reply_url}, "--reply-url", "") if reply_url else ""
    try:
        return Desk(subject.definition, subject.step, (host.strip("[]"), int(port)), url.rstrip("/"))
    except OSError as error:
        raise click.UsageError(f"--listen: nothing can listen at {listen}: {error.strerror or error}.") from None


def _data_text(definition: Saga, given: str | None) -> str:
    """Return the data as JSON or as @FILE. Standard input is read once, because the data are read several times."""
    if given is None:
        return written(example(definition.data)).decode()
    return sys.stdin.read() if given == "-" else given


def _undo_call(step: Step, text: str | None) -> Call | None:
    if text is None:
        return step.undo
    if step.undo:
        raise click.UsageError(f"--undo: step {step.name} has an undo in the table, {step.undo}; leave the option out.")
    method, _, path = text.partition(" ")
    if method not in ("POST", "PUT", "PATCH", "DELETE") or not path.startswith("/"):
        raise click.UsageError(
            f"--undo: {text!r} is no call; write a method and a path, such as 'POST /bookings/undo'."
        )
    assert step.call is not None
    return Call(method=method, participant=step.call.participant, path=path, body=None if method == "DELETE" else {})


def _replies(definition: Saga, texts: Sequence[str]) -> Mapping[str, Any]:
    replies: dict[str, Any] = {}
    steps = {step.name for step in definition.steps}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals or name not in steps:
            raise click.UsageError(f"--reply: {text!r} is no STEP=JSON; the steps are {', '.join(sorted(steps))}.")
        replies[name] = parsed(value.encode(), f"--reply {name}")
    return replies


def _check_reach(subject: Subject, urls: Mapping[str, str]) -> None:
    """Raise UsageError when a call would go to a participant whose URL the author has not given."""
    step = subject.step
    calls = [(step, call) for call in (step.call, subject.undo, step.probe) if call]
    for earlier in subject.earlier_steps():
        if earlier.name not in subject.replies:
            if earlier.call is None:
                raise click.UsageError(f"step {earlier.name} waits, and {step.name} needs its reply; give --reply.")
            calls += [(earlier, call) for call in (earlier.call, earlier.undo) if call]
    for owner, call in calls:
        if call.participant not in urls:
            instead = (
                "" if owner is step else f", or --reply {owner.name}={json.dumps({'id': '…'}, ensure_ascii=False)}"
            )
            raise click.UsageError(
                f"{step.name} needs {call} of step {owner.name}; give --url {call.participant}=URL{instead}."
            )
