"""The diff of two versions of a definition: the changed transitions, and the running sagas in changed states."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from diagrams.descriptions import deadline_note, notes
from diagrams.overlays.overlay import Overlay, edge_key
from diagrams.text.markdown import code, table
from machines.saga import Saga
from machines.transitions import Transition, Trigger

_Place = tuple[str, str]
_Fact = tuple[str, str, str]


@dataclass(frozen=True, kw_only=True)
class Diff:
    """The diff of two versions.

    sagas_by_state: the number of unfinished sagas of the old version in each state.
    """

    old: Saga
    new: Saga
    sagas_by_state: Mapping[str, int]

    @cached_property
    def added(self) -> list[Transition]:
        return [row for place, row in _rows(self.new).items() if place not in _rows(self.old)]

    @cached_property
    def removed(self) -> list[Transition]:
        return [row for place, row in _rows(self.old).items() if place not in _rows(self.new)]

    @cached_property
    def changed(self) -> dict[_Place, list[_Fact]]:
        """(source, trigger) → the changed facts of a transition that both versions have."""
        both = [
            (place, row, _rows(self.new)[place]) for place, row in _rows(self.old).items() if place in _rows(self.new)
        ]
        compared = {place: _compared(self.old, old, self.new, new) for place, old, new in both}
        return {place: facts for place, facts in compared.items() if facts}

    @cached_property
    def touched(self) -> dict[str, int]:
        """State of the old version that is removed, or whose transitions changed → its number of running sagas."""
        sources = {row.source for row in (*self.added, *self.removed)} | {source for source, _ in self.changed}
        gone = set(self.old.states) - set(self.new.states)
        return {state: self.sagas_by_state.get(state, 0) for state in self.old.states if state in sources | gone}

    @property
    def summary(self) -> str:
        rows = f"{len(self.added)} rows added, {len(self.removed)} removed, {len(self.changed)} changed"
        return f"{rows}; {sum(self.touched.values())} running sagas of {self.old} stand in a changed state"


def diff_overlay(found: Diff) -> Overlay:
    """Return the overlay for the picture of the new version. Its footer lists what was removed."""
    added = {row.dest for row in found.added} | {row.source for row in found.added}
    fresh = added - set(found.old.states)
    lines: dict[str, list[str]] = {state: ["+ new"] for state in fresh}
    for (source, trigger), facts in found.changed.items():
        for name, before, _ in facts:  # only the old value, because the picture itself shows the new one
            lines.setdefault(source, []).append(f"was: {f'{trigger} →' if name == 'to' else name} {before}")
    for state, count in found.touched.items():
        lines.setdefault(state, []).append(f"{count} running of {found.old} here")
    gone = [
        f"- {row.source} —{row.trigger}→ {row.dest}" + (f" ({row.call})" if row.call else "") for row in found.removed
    ]
    gone += [
        f"- state {state}: {count} running of {found.old} here"
        for state, count in found.touched.items()
        if state not in found.new.states
    ]
    changed = dict.fromkeys(found.changed, "changed")
    marked = changed | {(row.source, str(row.trigger)): "added" for row in found.added}
    states = dict.fromkeys(found.touched, "changed") | dict.fromkeys(fresh, "added")
    return Overlay(
        title=f"{found.old.name} v{found.old.version} → v{found.new.version}",
        headline=(found.summary,),
        lines={state: tuple(dict.fromkeys(words)) for state, words in lines.items()},
        notes={edge_key(row): {"added": "+ new", "changed": "~ changed"}[look]
               for row in found.new.transitions if (look := marked.get((row.source, str(row.trigger))))},
        states=states,
        edges={edge_key(row): marked.get((row.source, str(row.trigger)), "") for row in found.new.transitions},
        footer=("What is gone:", *gone) if gone else (),
    )  # fmt: skip


def diff_markdown(found: Diff) -> str:
    lines = [("added", *_cells(row), "") for row in found.added]
    lines += [("removed", *_cells(row), "") for row in found.removed]
    lines += [
        (
            "changed",
            *_cells(_rows(found.new)[place]),
            "; ".join(f"{name}: {code(before)}, now {code(after)}" for name, before, after in facts),
        )
        for place, facts in found.changed.items()
    ]
    states = [(code(state), str(count)) for state, count in found.touched.items()]
    parts = [f"# {found.old.name} v{found.old.version} → v{found.new.version}", f"{found.summary}."]
    if lines:
        parts += [table(("change", "source", "trigger", "dest", "call", "what"), lines)]
        parts += [table((f"changed state of {found.old}", "running sagas in it"), states)]
    return "\n\n".join(parts) + "\n"


def _rows(saga: Saga) -> dict[_Place, Transition]:
    return {(row.source, str(row.trigger)): row for row in saga.transitions}


def _compared(old_saga: Saga, old: Transition, new_saga: Saga, new: Transition) -> list[_Fact]:
    before, after = _facts(old_saga, old), _facts(new_saga, new)
    return [(name, before[name], after[name]) for name in before if before[name] != after[name]]


def _facts(saga: Saga, row: Transition) -> dict[str, str]:
    at = saga.states[row.source]
    body = row.call.described_body if row.call else ""
    return {
        "to": row.dest,
        "call": str(row.call or "none"),
        "body": body,
        "sent again": "; ".join(notes(at)) if row.call else "",
        "deadline": deadline_note(saga) if row.trigger is Trigger.EXPIRE else "",
    }


def _cells(row: Transition) -> tuple[str, str, str, str]:
    return code(row.source), str(row.trigger), code(row.dest), code(str(row.call)) if row.call else ""
