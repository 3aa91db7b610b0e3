"""The diff of two versions of a definition: the changed transitions, and the running sagas in changed states."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from diagrams.descriptions import deadline_note, notes
from diagrams.overlays.overlay import Overlay, edge_key
from diagrams.text.markdown import code, table
from machines.saga import Saga
from machines.transitions import Transition, Trigger

_Key = tuple[str, str]
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
        return [transition for key, transition in _transitions(self.new).items() if key not in _transitions(self.old)]

    @cached_property
    def removed(self) -> list[Transition]:
        return [transition for key, transition in _transitions(self.old).items() if key not in _transitions(self.new)]

    @cached_property
    def changed(self) -> dict[_Key, list[_Fact]]:
        """(source, trigger) → the changed facts of a transition that both versions have."""
        both = [
            (key, transition, _transitions(self.new)[key])
            for key, transition in _transitions(self.old).items()
            if key in _transitions(self.new)
        ]
        compared = {key: _compared(self.old, old, self.new, new) for key, old, new in both}
        return {key: facts for key, facts in compared.items() if facts}

    @cached_property
    def touched(self) -> dict[str, int]:
        """State of the old version that is removed, or whose transitions changed → its number of running sagas."""
        sources = {transition.source for transition in (*self.added, *self.removed)} | {
            source for source, _ in self.changed
        }
        gone = set(self.old.states) - set(self.new.states)
        return {state: self.sagas_by_state.get(state, 0) for state in self.old.states if state in sources | gone}

    @property
    def summary(self) -> str:
        changes = f"{len(self.added)} transitions added, {len(self.removed)} removed, {len(self.changed)} changed"
        return f"{changes}; {sum(self.touched.values())} running sagas of {self.old} are in a changed state"


def diff_overlay(found: Diff) -> Overlay:
    """Return the overlay for the picture of the new version. Its footer lists what was removed."""
    added = {transition.dest for transition in found.added} | {transition.source for transition in found.added}
    fresh = added - set(found.old.states)
    lines: dict[str, list[str]] = {state: ["+ new"] for state in fresh}
    for (source, trigger), facts in found.changed.items():
        for name, before, _ in facts:  # only the old value, because the picture itself shows the new one
            lines.setdefault(source, []).append(f"was: {f'{trigger} →' if name == 'to' else name} {before}")
    for state, count in found.touched.items():
        lines.setdefault(state, []).append(f"{count} running of {found.old} here")
    gone = [
        f"- {transition.source} —{transition.trigger}→ {transition.dest}"
        + (f" ({transition.call})" if transition.call else "")
        for transition in found.removed
    ]
    gone += [
        f"- state {state}: {count} running of {found.old} here"
        for state, count in found.touched.items()
        if state not in found.new.states
    ]
    changed = dict.fromkeys(found.changed, "changed")
    marked = changed | {(transition.source, str(transition.trigger)): "added" for transition in found.added}
    looks = {edge_key(transition): marked.get(edge_key(transition)[:2], "") for transition in found.new.transitions}
    states = dict.fromkeys(found.touched, "changed") | dict.fromkeys(fresh, "added")
    return Overlay(
        title=f"{found.old.name} v{found.old.version} → v{found.new.version}",
        headline=(found.summary,),
        lines={state: tuple(dict.fromkeys(words)) for state, words in lines.items()},
        notes={edge: {"added": "+ new", "changed": "~ changed"}[look] for edge, look in looks.items() if look},
        states=states,
        edges=looks,
        footer=("What is gone:", *gone) if gone else (),
    )


def diff_markdown(found: Diff) -> str:
    lines = [("added", *_cells(transition), "") for transition in found.added]
    lines += [("removed", *_cells(transition), "") for transition in found.removed]
    lines += [
        (
            "changed",
            *_cells(_transitions(found.new)[key]),
            "; ".join(f"{name}: {code(before)}, now {code(after)}" for name, before, after in facts),
        )
        for key, facts in found.changed.items()
    ]
    states = [(code(state), str(count)) for state, count in found.touched.items()]
    parts = [f"# {found.old.name} v{found.old.version} → v{found.new.version}", f"{found.summary}."]
    if lines:
        parts += [table(("change", "source", "trigger", "dest", "call", "what"), lines)]
        parts += [table((f"changed state of {found.old}", "running sagas in it"), states)]
    return "\n\n".join(parts) + "\n"


def _transitions(saga: Saga) -> dict[_Key, Transition]:
    return {(transition.source, str(transition.trigger)): transition for transition in saga.transitions}


def _compared(old_saga: Saga, old: Transition, new_saga: Saga, new: Transition) -> list[_Fact]:
    before, after = _facts(old_saga, old), _facts(new_saga, new)
    return [(name, before[name], after[name]) for name in before if before[name] != after[name]]


def _facts(saga: Saga, transition: Transition) -> dict[str, str]:
    at = saga.states[transition.source]
    body = transition.call.described_body if transition.call else ""
    return {
        "to": transition.dest,
        "call": str(transition.call or "none"),
        "body": body,
        "when": str(transition.when or "always"),
        "sent again": "; ".join(notes(at)) if transition.call else "",
        "deadline": deadline_note(saga) if transition.trigger is Trigger.EXPIRE else "",
    }


def _cells(transition: Transition) -> tuple[str, str, str, str]:
    return (
        code(transition.source),
        str(transition.trigger),
        code(transition.dest),
        code(str(transition.call)) if transition.call else "",
    )
