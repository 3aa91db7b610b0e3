"""The meaning of a reply. Every reply has one outcome, and no other module decides it (ADR 22).

status                                                          outcome
2xx other than 202, with a body that is understood              succeeded
202 to the call of a step with `later=`                         accepted: the answer comes later
4xx, unless listed below, answered by the participant itself    refused: the action did not happen
401 403 405 406 407 414 415 421 429 431, 301 307 308, 404       not sent: a setting or the load is the cause, not the
  whose body is no JSON object, or is Kong's own                  saga's data; counts as no attempt
404 or 410 to a DELETE, answered by the participant itself      succeeded: what the call deletes is gone
all others, no answer, a body that is not understood            in doubt ("unknown"): the action may have happened

A call's `means=` has priority over these rules. The outcome refused with an undo (REFUSED_UNDO) comes only from
`means=`: the participant refused, but left something behind.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any

from machines.call import Call
from machines.lines import one_line
from machines.outcomes import Outcome
from machines.references import parts, within
from machines.table import setting_variable

NOTHING: Mapping[str, str] = MappingProxyType({})
#: A reply whose JSON is a text, number or boolean is stored as an object with this one field, because SQLite's JSON
#: columns cannot store such a value alone.
SCALAR = "value"
#: Names of fields that only an error has, as in `means={"error.code": {"exists": SUCCEEDED}}`. The outcome of a reply
#: does not depend on them: a 2xx with such a field is a success, unless `means=` names its value. `saga verify`
#: believes that no success has one, and `saga conform` asks the participant.
ERROR_FIELDS = frozenset({"error", "errors", "reason", "detail", "problem"})
#: Settings to check when a call was not sent. _URL and _PROXY are replaced by variables of the participant.
_KEY, _URL, _PROXY, _LOAD = "PARTICIPANTS_API_KEY", "URL", "PROXY", "THREADS"
#: Statuses that reject a call before the participant acts on it, each with the setting to check.
_TURNED_AWAY: Mapping[int, str] = {
    301: _URL, 307: _URL, 308: _URL, 401: _KEY, 403: _KEY, 405: _URL, 406: _URL, 407: _PROXY,
    414: _URL, 415: _URL, 421: _URL, 429: _LOAD, 431: _URL,
}  # fmt: skip
_OK, _ACCEPTED, _REDIRECT, _BAD_REQUEST, _NOT_FOUND, _SERVER_ERROR, _UNAVAILABLE = 200, 202, 300, 400, 404, 500, 503
_GONE, _LAST = 410, 599
#: Message of the gateway Kong for a path without a route. The reply is JSON, but no participant has sent it.
NO_ROUTE = "no Route matched with those values"
#: Statuses that say only that the poll's address is wrong, unknown yet or no longer known.
_NO_ANSWER = frozenset({400, 404, 410})
#: Request Timeout and Too Early: these 4xx statuses do not say whether the participant has acted on the call.
_IN_DOUBT = frozenset({408, 425})


# not frozen: a frozen dataclass takes three times as long to build, and each call builds several
@dataclass(kw_only=True)
class Reply:
    """The result of one attempt."""

    #: HTTP status; None when no answer was read.
    status: int | None = None
    #: JSON object or array, or the fields of it that the call keeps; None when the body was not understood. An empty
    #: body and `null` become an object without fields; a text, number or boolean becomes an object with the one field
    #: `value`.
    body: Any = None
    #: Number of bytes of the body.
    size: int = 0
    #: Headers, by name in lower case; see `header`.
    headers: Mapping[bytes, bytes] | None = field(default=None, repr=False)
    #: Why the body was not understood, as a phrase after "200, but ", such as "not UTF-8".
    unreadable: str = ""
    #: True when the body is empty; it is then understood as an object without fields.
    blank: bool = False
    #: True when the body is a text, number or boolean.
    scalar: bool = False
    #: Why there is no answer, in one line.
    error: str = ""
    #: Complete reason with an explanation by this service; "": the participant's words are the reason.
    says: str = ""
    #: False when nothing left this process.
    sent: bool = True
    #: True when the call can never be sent, because it cannot be built.
    impossible: bool = False
    #: True when this process did not send the call, because a limit is reached or there is no credential.
    withheld: bool = False
    #: True when the reply is too large. Another attempt would get the same reply, so this attempt is the last.
    final: bool = False
    #: Setting that contains the credential of this call; "" for PARTICIPANTS_API_KEY.
    key_setting: str = ""
    #: Seconds that the participant asks to wait; None when it does not ask.
    retry_after_s: float | None = None
    #: Seconds that the saga waits in addition, unless its deadline comes first, so that many do not go on at once.
    turn_s: float = 0.0
    #: Duration from sending to the last byte, in milliseconds.
    duration_ms: float = 0.0

    @property
    def reason(self) -> str:
        """The participant's message, with our explanation, in one short line."""
        return self.says or one_line(self._words)

    @property
    def fields(self) -> Mapping[str, Any]:
        """The members of the body; empty when the body is not an object."""
        return self.body if isinstance(self.body, Mapping) else {}

    def header(self, name: str) -> str | None:
        """Return the value of a header of the reply; None when it is missing. Commas join repeated headers."""
        value = (self.headers or {}).get(name.lower().encode("latin-1", "replace"))
        return None if value is None else value.decode("latin-1")

    @property
    def _words(self) -> str:
        if self.status is None:
            return self.error
        body = self.fields
        message = body.get("detail") or body.get("title") or body.get("error") or body.get("message") or ""
        if self.scalar:
            message = body[SCALAR]
        words = message if isinstance(message, str) else as_json(message)
        return f"{self.status} {words}".strip()

    @property
    def turned_away(self) -> bool:
        """True when a reply came, but no participant acted on the call."""
        if self.status == _NOT_FOUND:
            owned = isinstance(self.body, Mapping) and not (self.blank or self.scalar)
            return not owned or self.fields.get("message") == NO_ROUTE
        return self.status in _TURNED_AWAY

    @property
    def asks_to_wait(self) -> bool:
        """True when the participant says when to send the call again. Such a reply is not a failed attempt."""
        return self.status == _UNAVAILABLE and self.retry_after_s is not None


def outcome_of(
    reply: Reply, lacking: Mapping[str, str] = NOTHING, call: Call | None = None, *, later: bool = False
) -> Outcome:
    """Return the outcome of a reply.

    lacking: fields that a later call needs but cannot use, each with the reason. later: the answer to a 202 comes
    later.
    """
    status = reply.status
    if status is None:
        if reply.impossible:
            return Outcome.REFUSED
        return Outcome.IN_DOUBT if reply.sent else Outcome.NOT_SENT
    meaning = _meaning(reply, call) if call is not None and (call.means or call.method == "DELETE") else None
    if meaning is None and later and status == _ACCEPTED:
        meaning = Outcome.ACCEPTED
    if meaning is not None:
        return Outcome.IN_DOUBT if meaning is Outcome.SUCCEEDED and lacking else meaning
    if _OK <= status < _REDIRECT:
        understood = status != _ACCEPTED and reply.body is not None and not lacking
        return Outcome.SUCCEEDED if understood else Outcome.IN_DOUBT
    if reply.turned_away:
        return Outcome.NOT_SENT
    return Outcome.REFUSED if _BAD_REQUEST <= status < _SERVER_ERROR and status not in _IN_DOUBT else Outcome.IN_DOUBT


def outcome_of_poll(reply: Reply, lacking: Mapping[str, str], call: Call) -> Outcome:
    """Return the outcome of the reply to a poll. ACCEPTED, IN_DOUBT and NOT_SENT mean that there is no answer yet.

    A poll that cannot be built, or whose address the participant does not know, says nothing about the accepted call.
    """
    if reply.impossible or (reply.status in _NO_ANSWER and _meaning(reply, call) is None):
        return Outcome.IN_DOUBT
    return outcome_of(reply, lacking, call, later=True)


def _meaning(reply: Reply, call: Call) -> Outcome | None:
    """Return the outcome that the call's `means=` names, or that its method implies; None when neither decides."""
    if found := _meant_by_field(reply, call):
        return found[2]
    if isinstance(named := call.means.get(reply.status or 0), str):
        return Outcome(named)
    # A 404 from a gateway may come from a mistyped path, and then nothing was deleted.
    gone = reply.status == _GONE or (reply.status == _NOT_FOUND and not reply.turned_away)
    return Outcome.SUCCEEDED if gone and call.method == "DELETE" else None


def _meant_by_field(reply: Reply, call: Call) -> tuple[str, Any, Outcome] | None:
    """Return the first field of the reply whose value has a meaning, with its value and outcome."""
    if reply.body is None:
        return None
    for path, meanings in call.means.items():
        if not isinstance(path, str) or not isinstance(meanings, Mapping):
            continue
        try:
            value = within(reply.body, parts(path))
        except (LookupError, TypeError):
            value = None
        if value is None and not _OK <= (reply.status or 0) < _REDIRECT:
            continue  # an error has other fields than a success, so a missing one proves nothing
        for meant, outcome in meanings.items():
            if meant == value and type(meant) is type(value):
                return path, value, Outcome(outcome)
    return None


def explained(reply: Reply, lacking: Mapping[str, str], call: Call) -> Reply:
    """Return the reply with an explanation: why a success is not accepted, or which setting to check."""
    if call.means and (found := _meant_by_field(reply, call)) and found[2] is not Outcome.SUCCEEDED:
        path, value, _ = found
        said = "is missing" if value is None else f"is {as_json(value)}"
        return replace(reply, says=one_line(f"{reply.reason}: {path} {said}"))
    if reply.status is not None and _OK <= reply.status < _REDIRECT and reply.status not in call.means:
        return replace(reply, says=f"{reply.reason}, but {_why_not_taken(reply, lacking)}")
    if lacking and _meaning(reply, call) is Outcome.SUCCEEDED:
        return replace(reply, says=f"{reply.reason}, but {_what_lacks(lacking)}")
    if reply.status not in call.means and (setting := setting_of(reply, call.participant)):
        # A 404 with a JSON body is a refusal by the participant. A 404 without one may come from a proxy or a gateway.
        anybody = " without a JSON body" if reply.status == _NOT_FOUND and not reply.body else ""
        return replace(reply, says=f"{reply.reason}{anybody}; check {setting}")
    return reply


def setting_of(reply: Reply, participant: str) -> str:
    """Return the name of the setting to check when a call was turned away, otherwise ""."""
    if not reply.turned_away:
        return ""
    setting = _TURNED_AWAY.get(reply.status or 0, _URL)
    return reply.key_setting or setting if setting == _KEY else _named(setting, participant)


def settings_of(participant: str) -> list[str]:
    """Return every setting that `setting_of` may name for a participant."""
    return sorted({_named(setting, participant) for setting in _TURNED_AWAY.values()} | {key_setting_of(participant)})


def key_setting_of(participant: str) -> str:
    """Return the name of the setting of a participant's own credential."""
    return setting_variable(participant, "AUTH")


def _named(setting: str, participant: str) -> str:
    return setting_variable(participant, setting) if setting in (_URL, _PROXY) else setting


def _why_not_taken(reply: Reply, lacking: Mapping[str, str]) -> str:
    if reply.status == _ACCEPTED:
        return "accepted does not say that it is done"
    if reply.body is None:
        return reply.unreadable or "its body is no JSON object"
    return _what_lacks(lacking)


def _what_lacks(lacking: Mapping[str, str]) -> str:
    if missing := sorted(name for name, reason in lacking.items() if not reason):
        plural = "s" if len(missing) > 1 else ""
        headers = all(name.startswith("header ") for name in missing)
        names = ", ".join(name.removeprefix("header ").removeprefix("field ") for name in missing)
        return f"without the {'header' if headers else 'field'}{plural} {names}"
    return "; ".join(lacking[name] for name in sorted(lacking))


def as_json(value: Any) -> str:
    """Return a value of a reply as JSON, for a reason."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, default=str)


def later_reply(body: Any, headers: Mapping[bytes, bytes], *, problem: bool) -> Reply:
    """Return a later answer in the form of the reply that the call would have got.

    problem: the body is a problem document (RFC 9457), whose member `status` counts as the status of the reply. Raise
    ValueError when it has no such member.
    """
    status: Any = _OK
    if problem:
        status = body.get("status") if isinstance(body, Mapping) else None
        if isinstance(status, bool) or not isinstance(status, int) or not _BAD_REQUEST <= status <= _LAST:
            raise ValueError(f"A problem document has a status from {_BAD_REQUEST} to {_LAST}.")
    scalar = not (body is None or isinstance(body, dict | list))
    body = {SCALAR: body} if scalar else {} if body is None else body
    return Reply(status=status, body=body, scalar=scalar, headers=headers)
