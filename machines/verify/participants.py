"""The model of a participant, of each of the three kinds, and of one step: pure functions of its `Entry`."""

from collections.abc import Iterator

from machines.participant_kinds import ParticipantKind
from machines.verify.meanings import Truth
from machines.verify.world import Entry

#: The answers that a participant gives to the first request of an action.
_FIRST = {"done": Truth.DONE, "refused": Truth.REFUSED, "left": Truth.LEFT, "accepted": Truth.ACCEPTED}


def act(
    kind: ParticipantKind, entry: Entry, key: str, *, remembers_refusals: bool, leaves: bool, later: bool
) -> Iterator[tuple[Entry, Truth]]:
    """Yield each thing that a participant may do with an action, and what is then true of its answer.

    remembers_refusals: a repeated key gets its refusal again. leaves: a refusal may leave something behind. later: the
    participant may accept the action, and do or refuse it later.
    """
    if kind is ParticipantKind.BARRIER and entry.closed:
        yield entry, Truth.REFUSED
        return
    if kind is not ParticipantKind.NONE and entry.seen and entry.key == key:
        yield entry, _FIRST[entry.seen]
        if entry.seen == "done":
            yield entry, Truth.BUSY
        return
    yield did(entry, key), Truth.DONE
    yield (entry._replace(seen="refused", key=key) if remembers_refusals else entry), Truth.REFUSED
    if leaves:
        yield did(entry, key)._replace(seen="left"), Truth.LEFT
    if later:
        yield entry._replace(seen="accepted", key=key), Truth.ACCEPTED


def did(entry: Entry, key: str) -> Entry:
    """Return the entry after an effect. An effect after the undo comes too late for the undo to take it back."""
    return entry._replace(
        effects=min(entry.effects + 1, 2), times=min(entry.times + 1, 2), seen="done", key=key, too_late=entry.closed
    )


def undo(kind: ParticipantKind, entry: Entry) -> tuple[Entry, Truth]:
    """Return the entry after an undo, and what is then true of its answer."""
    if kind is ParticipantKind.NONE and entry.closed and not entry.effects:
        return entry, Truth.DONE
    if kind is ParticipantKind.BARRIER:
        return Entry(closed=True), Truth.DONE
    return entry._replace(effects=0, closed=True, too_late=False), Truth.DONE


def decide(entry: Entry, *, leaves: bool) -> Iterator[Entry]:
    """Yield what an accepted action becomes: done or refused. An undo that has come meanwhile prevents it.

    leaves: see `act`.
    """
    if entry.seen == "accepted":
        yield entry._replace(seen="refused")
        if not entry.closed:
            yield did(entry, entry.key)
            if leaves:
                yield did(entry, entry.key)._replace(seen="left")


def found(entry: Entry) -> Iterator[Truth]:
    """Yield what a probe may find. An accepted action is not done yet. A search may not show at once what was done."""
    if entry.seen == "accepted":
        yield Truth.UNKNOWN
    done = entry.effects and entry.seen == "done"
    yield Truth.DONE if done else Truth.REFUSED
    if done:
        yield Truth.UNSEEN
