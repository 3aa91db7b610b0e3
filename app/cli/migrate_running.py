"""`saga migrate-running`: move unfinished sagas to another version of their table."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import click

from app.cli.arguments import actor_named, actor_option, reason_from
from app.cli.group import saga
from app.cli.output import printable, write_json
from app.errors import ConflictError, MalformedError
from app.services import services
from app.store.database import db
from app.store.saga_ids import short_id
from app.store.succession import Examined, Succession
from machines.registry import Registry, UnknownSagaError
from machines.saga import Saga
from machines.succession import renames


@dataclass
class _Survey:
    """The unfinished sagas of the old version, counted."""

    #: (state, state of the new version) → number of sagas that can be moved.
    ways: Counter[tuple[str, str]] = field(default_factory=Counter)
    #: Why sagas cannot move → their number.
    obstacles: Counter[str] = field(default_factory=Counter)
    #: Why sagas cannot move → the id of one of them.
    examples: dict[str, UUID] = field(default_factory=dict)

    def add(self, saga: Examined) -> None:
        if saga.passage.state is not None:
            self.ways[saga.state, saga.passage.state] += 1
        for reason in saga.passage.obstacles[:1]:
            self.obstacles[reason] += 1
            self.examples.setdefault(reason, saga.saga_id)


@saga.command("migrate-running")
@click.argument("name")
@click.option("--from", "old", type=click.IntRange(1), required=True, help="Version by which the sagas run now.")
@click.option("--to", "new", type=click.IntRange(1), required=True, help="Version that they are to run by.")
@click.option("--map", "pairs", multiple=True, metavar="OLD=NEW", help="A state that has another name there.")
@click.option("--apply", "applies", is_flag=True, help="Move them. Without it, only show what would be done.")
@click.option("--reason", help="The reason, which is recorded; needed with --apply.")
@actor_option
@click.option("--json", "as_json", is_flag=True, help="Write one JSON object.")
def migrate_running(
    *, name: str, old: int, new: int, pairs: Sequence[str], applies: bool, reason: str | None, actor: str | None,
    as_json: bool,
) -> None:  # fmt: skip
    """Move the unfinished sagas of NAME from one version of its table to another.

    Both versions must be in SAGAS. First each saga is checked against both: everything that it has called, or may have
    called, must be the same in the new version. When one saga cannot move, none is moved. Without --apply the command
    only shows the result of this check.

    The same command with --from and --to exchanged moves the sagas back, if they have made no new call since then.
    Exit code 7: some sagas cannot be moved, or a process holds them now.
    """
    by, why = actor_named(actor), _reason(reason) if applies else ""
    services().runner.tables.compare()
    tables = _table(services().registry, name, old, "--from"), _table(services().registry, name, new, "--to")
    if old == new:
        raise MalformedError(f"--to: it is the version of --from, {old}; name another one")
    unnamed = services().registry.takes_unnamed(tables[0])
    succession = Succession(db.engine, *tables, _given(pairs, *tables), unnamed=unnamed)
    survey = _surveyed(succession)
    moved = 0
    if applies and not survey.obstacles:
        for batch in succession.move(by, why):
            moved += len(batch)
            click.echo(f"{moved} moved …", err=True)
    left = _surveyed(succession) if moved else survey
    _show(survey, moved if applies else None, as_json=as_json, of=tables)
    _refuse(survey, left, applies=applies)


def _surveyed(succession: Succession) -> _Survey:
    survey = _Survey()
    for found in succession.examine():
        survey.add(found)
    return survey


def _table(registry: Registry, name: str, version: int, option: str) -> Saga:
    try:
        return registry.get(name, version)
    except UnknownSagaError:
        known = ", ".join(sorted(str(table) for table in registry if table.name == name or name not in registry.names))
        raise MalformedError(f"{option}: SAGAS has no {name} v{version}; it has {known}") from None


def _given(pairs: Sequence[str], old: Saga, new: Saga) -> Mapping[str, str]:
    """Return old state → new state. Raise MalformedError for a pair that does not fit the two versions."""
    given = {}
    for pair in pairs:
        name, _, now = pair.partition("=")
        if name not in old.states or now not in new.states:
            raise MalformedError(f"--map: {pair!r} is no OLD=NEW with a state of {old} and a state of {new}")
        if renames(old, new).get(name, name) != now:
            right = renames(old, new).get(name, name)
            raise MalformedError(f"--map: {name} of {old} is {right} in {new}, not {now}")
        given[name] = now
    return given


def _reason(text: str | None) -> str:
    if text is None:
        raise MalformedError("--reason: it is recorded in the journal and in the audit trail; give it with --apply")
    return reason_from(text)


def _show(survey: _Survey, moved: int | None, *, as_json: bool, of: tuple[Saga, Saga]) -> None:
    if as_json:
        write_json(_json(survey, moved))
        return
    click.echo(f"{of[0]} → {of[1]}: {survey.ways.total() + survey.obstacles.total()} unfinished saga(s)")
    for (state, to), number in sorted(survey.ways.items()):
        click.echo(f"{number:>7}  {state}" + (f" → {to}" if to != state else ""))
    for reason, number in survey.obstacles.most_common():
        example = short_id(survey.examples[reason])
        click.echo(f"{number:>7}  cannot move: {printable(reason)}; for example saga {example}")
    if moved is None:
        click.echo("Nothing was moved: this was a dry run; --apply --reason '…' moves them.")
    else:
        click.echo(f"{moved} moved.")


def _json(survey: _Survey, moved: int | None) -> dict[str, Any]:
    return {
        "ways": [{"from": state, "to": to, "sagas": number} for (state, to), number in sorted(survey.ways.items())],
        "obstacles": [
            {"reason": reason, "sagas": number, "example": str(survey.examples[reason])}
            for reason, number in survey.obstacles.most_common()
        ],
        "moved": moved,
    }


def _refuse(survey: _Survey, left: _Survey, *, applies: bool) -> None:
    """Raise ConflictError when a saga cannot move, or was not moved."""
    if survey.obstacles:
        raise ConflictError(f"{survey.obstacles.total()} saga(s) cannot move, so none was moved; see the reasons above")
    if applies and (still := left.ways.total() + left.obstacles.total()):
        raise ConflictError(
            f"{still} saga(s) were not moved, because a process holds them or has moved them on; run this again"
        )
