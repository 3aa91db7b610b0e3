"""Writes a played recording as a test in Python."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from machines.history import Effect, effects_of
from machines.replay.playing import Difference, Played
from machines.replay.what_if import certain
from machines.saga import Saga
from machines.testing import Always, Answer, Items, Scenario
from machines.testing.drawing import brief
from machines.testing.written import INDENT, WIDTH, answer_source, literal, words_of
from machines.transitions import Phase

_METHODS = (("do", "when"), ("undo", "when_undone"), ("probe", "when_probed"), ("poll", "when_polled"))
_ENDS = (Phase.COMPLETED, Phase.COMPENSATED)
_UNITS = (("days", 86_400), ("hours", 3_600), ("minutes", 60))


def source_of(played: Played, difference: Difference | None, *, title: str, sagas: str | None) -> str:
    """Return a Python file with one test of the saga.

    title: the saga, in the first line. sagas: the places of the tables, as in the setting SAGAS; None: the test reads
    this setting, because the places are those of another machine.
    """
    definition = played.run.definition
    scenario = played.recording.scenario
    names = {name for said in scenario.script.values() for name in _words(said)}
    names |= {
        name for act in played.done for each in act.arguments if isinstance(each, Answer) for name in words_of(each)
    }
    tables, found = list(dict.fromkeys(scenario.tables())), f"discover({literal(sagas) if sagas else ''})"
    lines = [
        f'"""{title}, as a test. `saga replay` wrote it from the journal."""',
        "",
        "from machines.discovery import discover",
        f"from machines.testing import {', '.join(sorted({'given', *names}))}",
        "",
        *([] if sagas else ["# SAGAS in the environment names the tables."]),
        f"TABLE = {found}.get({literal(definition.name)}, {definition.version})",
        *(f"{_constant(each)} = {found}.get({literal(each.name)}, {each.version})" for each in tables),
        *_assigned("DATA", scenario.data),
        "",
        "",
        f"def test_{definition.name.lower()}_goes_the_way_of_its_journal():",
    ]
    lines += [f"{INDENT}{line}" for line in _body(played, difference)]
    if any("Decimal(" in line for line in lines):
        lines[2:2] = ["from decimal import Decimal", ""]
    return "\n".join(lines) + "\n"


def _body(played: Played, difference: Difference | None) -> Iterable[str]:
    yield from (f"# Not in the journal: {note}" for note in played.recording.unknown)
    if difference is not None:
        yield f"# The present table goes another way: {difference}"
    yield from _given(played, allows_unused=difference is not None or bool(played.run.unused))
    for act in played.done:
        yield f"saga{_child(act.child)}.{act.method}({_arguments(act.method, act.arguments, act.named)})"
    yield from _of_journal(played) if difference is not None else _of_run(played)


def _of_run(played: Played) -> Iterable[str]:
    """Yield the assertions of a test whose saga goes the way of its journal."""
    run = played.run
    yield from _assert("saga.states", run.states)
    yield from _assert("saga.calls", [str(call) for call in run.calls])
    yield f"assert (saga.status, saga.ended) == ({literal(run.status)}, {literal(run.ended)})"
    known = certain(run)
    if known == {step: str(effect) for step, effect in run.effects.items()}:
        yield from _assert("saga.effects", known)
        return
    yield from (f"assert saga.effects[{literal(step)}] == {literal(effect)}" for step, effect in known.items())


def _of_journal(played: Played) -> Iterable[str]:
    """Yield the assertions of a test whose saga goes another way today: all that the journal says, so one is red."""
    recording, definition = played.recording, played.run.definition
    yield from _assert("saga.moves", [brief(move) for move in recording.moves])
    for path, state in recording.ends.items():
        yield f"assert saga{_child(path)}.state == {literal(state)}"
    at = definition.states.get(recording.moves[-1].dest)
    if at is None:
        return
    yield f"assert (saga.state, saga.ended) == ({literal(at.name)}, {literal(at.name if at.phase in _ENDS else None)})"
    for each in effects_of(definition, at.name, recording.moves, in_doubt=True):
        if each.effect is Effect.UNKNOWN or each.by_hand or each.step.starts:
            continue
        # The journal does not always say if an undone step had been done.
        equal = ("!=", Effect.TOOK_EFFECT) if each.effect is Effect.UNDONE else ("==", each.effect)
        yield f"assert saga.effects[{literal(each.step.name)}] {equal[0]} {literal(str(equal[1]))}"


def _child(path: Sequence[tuple[str, int | None]]) -> str:
    return "".join(f".child({literal(name)}{'' if item is None else f', {item}'})" for name, item in path)


def _given(played: Played, *, allows_unused: bool) -> Iterable[str]:
    scenario = played.recording.scenario
    yield "saga = ("
    children = ", ".join(map(_constant, dict.fromkeys(scenario.children)))
    yield f"{INDENT}given(TABLE, DATA{f', children=[{children}]' if children else ''})"
    if scenario.began is not None:
        yield f"{INDENT}.starting_at({literal(scenario.began.isoformat())})"
    if not scenario.backs_off:
        yield f"{INDENT}.without_back_off()"
    if scenario.bodies:
        yield from _keywords("replying", {step: literal(body, 2) for step, body in scenario.bodies.items()})
    for purpose, method in _METHODS:
        answers = {step: each for (known, step), each in scenario.script.items() if known == purpose}
        if answers:
            yield from _keywords(method, {step: _said(each) for step, each in answers.items()})
    if allows_unused:
        yield f"{INDENT}.allowing_unused()"
    yield f"{INDENT}.run()"
    yield ")"


def _keywords(method: str, given: Mapping[str, str]) -> Iterable[str]:
    line = f"{INDENT}.{method}({', '.join(f'{name}={text}' for name, text in given.items())})"
    if len(line) < WIDTH and "\n" not in line:
        yield line
        return
    yield f"{INDENT}.{method}("
    for name, text in given.items():
        yield from f"{INDENT * 2}{name}={text},".split("\n")
    yield f"{INDENT})"


def _constant(table: Saga) -> str:
    return table.name.upper().replace("-", "_")


def _words(said: Any) -> set[str]:
    """Return the words of `machines.testing` that the source of what is said of a call uses."""
    if isinstance(said, Items):
        return {"items", *(word for each in said.of_item for word in _words(each))}
    if isinstance(said, Scenario):
        return {word for each in said.script.values() for word in _words(each)}
    return {word for answer in said for word in words_of(answer)}


def _said(said: Any) -> str:
    """Return what is said of a call as source: its answers, those of each item, or the scenario of a child."""
    if isinstance(said, Items):
        return f"items({', '.join(map(_said, said.of_item))})"
    if not isinstance(said, Scenario):
        return _listed(said) if said else "[]"
    text = f"given({_constant(said.definition)})"
    if said.bodies:
        text += f".replying({', '.join(f'{step}={literal(body)}' for step, body in said.bodies.items())})"
    for purpose, method in _METHODS:
        answers = {step: each for (known, step), each in said.script.items() if known == purpose}
        if answers:
            text += f".{method}({', '.join(f'{step}={_said(each)}' for step, each in answers.items())})"
    return text


def _listed(answers: Sequence[Answer | Always]) -> str:
    """Return the answers as source: one alone, or a list in which equal neighbours are counted."""
    texts = [answer_source(answer) for answer in answers]
    if len(texts) == 1:
        return texts[0]
    groups: list[tuple[str, int]] = []
    for text in texts:
        if groups and groups[-1][0] == text:
            groups[-1] = (text, groups[-1][1] + 1)
        else:
            groups.append((text, 1))
    inner = ", ".join(text if number == 1 else f"*[{text}] * {number}" for text, number in groups)
    return f"[{texts[0]}] * {len(texts)}" if len(groups) == 1 else f"[{inner}]"


def _arguments(method: str, arguments: Sequence[Any], named: Mapping[str, Any]) -> str:
    if method == "after":
        seconds = named["seconds"]
        unit = next(((name, length) for name, length in _UNITS if seconds and seconds % length == 0), ("seconds", 1))
        return f"{unit[0]}={seconds / unit[1]:.15g}"
    each = [answer_source(one) if isinstance(one, Answer) else literal(one) for one in arguments]
    plain = all(name.isidentifier() for name in named)
    more = [f"{name}={literal(value)}" for name, value in named.items()] if plain else [f"**{literal(dict(named))}"]
    return ", ".join([*each, *(more if named else [])])


def _assigned(name: str, value: Any) -> list[str]:
    return f"{name} = {literal(value)}".split("\n")


def _assert(subject: str, value: Any) -> list[str]:
    return f"assert {subject} == {literal(value)}".split("\n")
