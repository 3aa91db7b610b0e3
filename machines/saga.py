"""A saga definition: a checked table, and what is derived from it."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, replace
from functools import cached_property
from types import MappingProxyType
from typing import Any

from machines.branch_references import fields_outside
from machines.call import Call
from machines.check import TableError, check
from machines.conditions import required_references
from machines.digest import content_of, digest_of
from machines.fields import Field, optional
from machines.keeps import Kept, keep, kept_of
from machines.references import FillError, parts, segment, split, within
from machines.secrets import SecretFields, personal_fields
from machines.step import Step
from machines.table import Table
from machines.transitions import Graph, State, Transition, derive
from machines.words import Misused, WordClass

_NOTHING: Mapping[str, str] = MappingProxyType({})


#: Where the problems of illegal tables are collected; None: an illegal table raises TableError.
_COLLECTED: ContextVar[list[str] | None] = ContextVar("collected", default=None)


@contextmanager
def collecting(problems: list[str]) -> Iterator[None]:
    """Add the problems of illegal tables to the list instead of raising TableError, so that a file is read to its end.

    The illegal tables exist afterwards; the caller must not run them.
    """
    token = _COLLECTED.set(problems)
    try:
        yield
    finally:
        _COLLECTED.reset(token)


def _refuse(error: TableError) -> None:
    collected = _COLLECTED.get()
    if collected is None:
        raise error
    collected += error.problems


class _SagaClass(WordClass):
    def misused(cls, misused: Misused) -> Misused:  # noqa: N805  a metaclass
        name, version = misused.named.get("name", "a saga without a name"), misused.named.get("version")
        _refuse(TableError([f"{name}{'' if version is None else f' v{version}'}: {misused.problem}"]))
        return misused


@dataclass(frozen=True, kw_only=True, eq=False)
class Saga(Table, metaclass=_SagaClass):
    """One version of a saga. A running saga keeps the name and version that it started with.

    The constructor raises `TableError` for an illegal table; the error names the table, the step and the remedy.
    """

    def __post_init__(self) -> None:
        try:
            check(self)
        except TableError as error:
            _refuse(error)

    @cached_property
    def states(self) -> Mapping[str, State]:
        """Every state of the saga, by name."""
        return self._graph.states

    @cached_property
    def transitions(self) -> tuple[Transition, ...]:
        """Every transition of the saga, in the order of the table."""
        return self._graph.transitions

    @cached_property
    def start(self) -> Transition:
        """The transition that creates a saga, from NOWHERE to the initial state."""
        return self._graph.start

    @cached_property
    def _graph(self) -> Graph:
        return derive(self)

    @cached_property
    def content(self) -> str:
        """The part of the table that must not change under a running saga, see machines.digest."""
        return content_of(self)

    @cached_property
    def digest(self) -> str:
        """The digest that distinguishes this table from another table of the same name and version."""
        return digest_of(self.content)

    @cached_property
    def conditional(self) -> bool:
        """True when a step of the table may be skipped."""
        return any(step.when for step in self.steps)

    @cached_property
    def starts_others(self) -> bool:
        """True when a step of the table starts children."""
        return any(step.starts for step in self.steps)

    @cached_property
    def secrets(self) -> SecretFields | None:
        """The secret fields of the table; None without any."""
        return SecretFields([self]) or None

    @cached_property
    def personal(self) -> bool:
        """True when the table has the datum of a person."""
        return bool(personal_fields(self))

    def without_secrets(self, text: str, data: Mapping[str, Any], replies: Mapping[str, Any]) -> str:
        """Return a text with "***" for each secret value of a saga. replies: step → its stored reply."""
        return text if self.secrets is None else str(self.secrets.values(data, replies).hidden_in(text))

    @cached_property
    def needed_fields(self) -> Mapping[str, frozenset[str]]:
        """Step → the fields of its reply that other calls need.

        A reply without such a field leaves the step in doubt.
        """
        return self._by_step(_required_references)

    @cached_property
    def path_fields(self) -> Mapping[str, frozenset[str]]:
        """Step → the fields of its reply that the paths of other calls contain."""
        return self._by_step(lambda step: _of_calls(step, lambda call: call.path_references))

    def taken(self, step: str, call: Call, body: Any, headers: Mapping[bytes, bytes]) -> tuple[Any, Mapping[str, str]]:
        """Return the stored part of a reply, and the result of `lacking` for it. call: the step's call or its probe."""
        keeps = call.keeps or self._keeps[step]
        if not keeps:
            return body, self.lacking(step, body) if self._needs[step] else _NOTHING
        return self._kept(step, keeps, body, headers)

    def answered(
        self, step: Step, body: Any, headers: Mapping[bytes, bytes], accepted: Any
    ) -> tuple[Any, Mapping[str, str]]:
        """Return the stored part of the reply to a step's poll, and the result of `lacking` for it.

        accepted: the stored part of the reply that accepted the step's call. What the reply to the poll lacks is taken
        from there.
        """
        keeps = (step.poll.keeps if step.poll else {}) or step.keeps
        if not keeps:
            stored, lacking = _merged(accepted, body), _NOTHING
        else:
            keeps = {name: _if_there(kept_of(name, each), accepted, name) for name, each in keeps.items()}
            kept, lacking = keep(keeps, body, headers)
            stored = _merged(accepted, kept)
        return stored, lacking or self.lacking(step.name, stored)

    def accepted(self, step: str, reply: Mapping[str, Any]) -> tuple[Any, Mapping[str, str]]:
        """Return the stored form of a reply that a person gives, and the result of `lacking` for it.

        A value that the call keeps must have the type of its field. Only the fields that calls refer to are required.
        """
        keeps = {
            name: Kept(field=optional(kept_of(name, declared).field), source=name)
            for name, declared in self._keeps[step].items()
        }
        if not keeps:
            return reply, self.lacking(step, reply)
        return self._kept(step, keeps, reply, {})

    def _kept(
        self, step: str, keeps: Mapping[str, Kept | Field], body: Any, headers: Mapping[bytes, bytes]
    ) -> tuple[Any, Mapping[str, str]]:
        stored, lacking = keep(keeps, body, headers)
        return stored, lacking or self.lacking(step, stored)

    def lacking(self, step: str, reply: Any) -> Mapping[str, str]:
        """Return the fields of a stored reply that other calls need but cannot use, each with the reason.

        The reason is "" for a missing field.
        """
        lacking = {}
        for name, path, in_path in self._needs[step]:
            try:
                value = within(reply, path)
                if in_path:
                    segment(name, value)
            except (LookupError, TypeError):
                lacking[name] = ""
            except FillError as error:
                lacking[name] = str(error)
        return lacking

    @cached_property
    def _needs(self) -> Mapping[str, tuple[tuple[str, tuple[str, ...], bool], ...]]:
        """Step → its needed fields, each with its parts and True if it is in the path of a call."""
        return {
            step: tuple((name, parts(name), name in self.path_fields[step]) for name in sorted(needed))
            for step, needed in self.needed_fields.items()
        }

    @cached_property
    def _keeps(self) -> Mapping[str, Mapping[str, Kept | Field]]:
        return {step.name: step.keeps for step in self.steps}

    def _by_step(self, references: Callable[[Step], Iterable[str]]) -> Mapping[str, frozenset[str]]:
        """Return step → the fields of its reply that the references of all steps name, also those in branches."""
        found: dict[str, set[str]] = {step.name: set() for step in self.steps}
        for step in self.steps:
            for root, name in (*map(split, references(step)), *fields_outside(step, references)):
                if root in found:
                    found[root].add(name)
        return {name: frozenset(fields) for name, fields in found.items()}


def _required_references(step: Step) -> Iterator[str]:
    """Yield each reference whose value a step needs: in its calls, in its condition, and the list of its each()."""
    yield from _of_calls(step, lambda call: call.required_references)
    yield from required_references(step.when) if step.when else ()
    if step.group is not None and step.group.over is not None:
        yield step.group.over


def _of_calls(step: Step, references: Callable[[Call], Iterable[str]]) -> Iterator[str]:
    """Yield the references of the calls of a step.

    A poll refers to the reply that accepted its own step, and not to the answer. So these references do not count.
    """
    for call in step.calls:
        for reference in references(call):
            if not (call is step.asks and split(reference)[0] == step.name):
                yield reference


def _if_there(kept: Kept, accepted: Any, name: str) -> Kept:
    """Return what is kept of the reply to a poll: an optional value when the accepting reply has brought it before."""
    try:
        known = within(accepted, parts(name)) is not None
    except (LookupError, TypeError):
        known = False
    return replace(kept, field=replace(kept.field, optional=True, default=None)) if known else kept


def _merged(earlier: Any, now: Any) -> Any:
    """Return an object with the members of both; `now` has priority. Return any other value of `now` unchanged."""
    if not (isinstance(earlier, Mapping) and isinstance(now, Mapping)):
        return now
    return {**earlier, **{name: _merged(earlier.get(name), value) for name, value in now.items()}}
