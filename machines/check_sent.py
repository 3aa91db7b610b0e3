"""The checks of one call within its table: its participant, its path, its references, and the secrets that it sends."""

import re
from collections.abc import Iterator

from machines.call import Call
from machines.check_references import reference_problems
from machines.check_scope import Scope
from machines.check_secrets import address_problems
from machines.check_types import mend
from machines.children import Start

_SENDABLE = re.compile(r"[!-~]*")
_ENCODED_DOT = re.compile("%2e", re.IGNORECASE)
_LONE_PERCENT = re.compile("%(?![0-9A-Fa-f]{2})")


def call_problems(scope: Scope, call: Call) -> Iterator[str]:
    """Yield each problem of a call. scope: what the references of the call can refer to."""
    if isinstance(call, Start):
        yield from reference_problems(scope, call)
        return
    participants = scope.table.participants
    if call.participant not in participants:
        remedy = mend(call.participant, participants, "add it to participants=")
        yield f"participant {call.participant!r} is not registered; {remedy}"
    if not (call.addressed and scope.polls):  # a whole URL, which the caller of the participant checks
        yield from _path_problems(call)
    yield from reference_problems(scope, call)
    yield from address_problems(scope, call)


def _path_problems(call: Call) -> Iterator[str]:
    """Yield each problem of a path that a participant, or a proxy before it, may read as another path."""
    if not call.path.startswith("/"):
        yield f"path {call.path!r} must begin with a slash"
    if not call.well_formed:  # first, because other errors may follow from it
        yield f"path {call.path!r} has a brace without its other half; write {{field}} or {{step.field}}"
    if not _SENDABLE.fullmatch(call.path):
        yield f"path {call.path!r} has a character that no URL has; write it percent-encoded"
    path, mark, query = call.plain_path.partition("?")
    segments = [_ENCODED_DOT.sub(".", segment) for segment in path.split("/")[1:]]
    if "#" in path + query:
        yield f"path {call.path!r} has a #, and what follows it is never sent; write it %23, or take it out"
    if _LONE_PERCENT.search(path + query):
        yield f"path {call.path!r} has a % that encodes nothing; write it %25"
    if mark and (not query or "?" in query):
        yield f"path {call.path!r} has a ? that begins no query; write it %3F, or take it out"
    if "" in segments[:-1]:
        yield f"path {call.path!r} has an empty segment, which many servers drop; write one slash for each //"
    if {".", ".."} & set(segments):
        yield f"path {call.path!r} has a segment . or .., which leads to another path; write that path"
