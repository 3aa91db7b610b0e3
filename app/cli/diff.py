"""`saga diff`: what a change of a table means for running sagas. It needs no database and no service."""

import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import click

from app.cli.output import printable, write_json
from machines.comparison import Comparison, Effect, Fate, compare
from machines.discovery import discover, tables_at
from machines.registry import BadTablesError, UnknownSagaError
from machines.saga import Saga

#: Greatest effect of the differences → exit code. The codes below 9 have the same meaning in every command.
EXIT_CODES: Mapping[Effect, int] = {Effect.WORDING: 0, Effect.COMPATIBLE: 9, Effect.BREAKING: 10}
_NAMED = re.compile(r"(?P<name>[A-Za-z][A-Za-z0-9_]*)@(?P<version>\d{1,9})")
_REMEDY = "give the changed table version={} and keep version {} as it was beside it"
_FATES = {
    Fate.MOVES: "can be moved",
    Fate.DEPENDS: "some can be moved",
    Fate.STAYS: "ends by the old version",
}


@dataclass(frozen=True, kw_only=True)
class _Gone:
    """A table that only the old side has."""

    table: Saga

    @property
    def text(self) -> str:
        return f"{self.table} is gone: no process would move its running sagas; keep it until `saga list` shows none"


@click.command("diff")
@click.argument("old")
@click.argument("new")
@click.option("--json", "as_json", is_flag=True, help="Write one JSON object.")
@click.option("--sagas", metavar="LIST", help="Folders and modules for NAME@VERSION, instead of SAGAS.")
def diff(old: str, new: str, sagas: str | None, as_json: bool) -> None:
    """Show what differs between two states of a table, and what that means for running sagas.

    OLD and NEW are a file, a folder, or NAME@VERSION, such as trip@1. For two folders, each table of OLD is compared
    with the same version in NEW. The newest version in OLD is also compared with a newer version in NEW. When NEW keeps
    the old version, the newer version does not count for the exit code.

    \b
    Exit codes:
         0  no difference, or only differences that are safe for running sagas
         9  compatible: a new version is needed; every running saga can be moved
        10  breaking: a new version is needed; some sagas must end with the old one
    """  # noqa: D301  click needs the backspace character
    try:
        pairs = list(_pairs(_tables(old, sagas), _tables(new, sagas)))
    except (BadTablesError, UnknownSagaError) as error:
        raise click.ClickException(str(error)) from error
    if as_json:
        write_json({"comparisons": [_json(pair) for pair in pairs]})
    else:
        for pair in pairs:
            for line in _lines(pair):
                click.echo(printable(line) if not line.startswith(" ") else f"  {printable(line)}")
    sys.exit(_exit_code(pairs))


def _exit_code(pairs: Sequence[Comparison | _Gone]) -> int:
    """Return the exit code of the greatest effect. A newer version beside an unchanged old one harms no saga."""
    kept = [pair for pair in pairs if isinstance(pair, _Gone) or pair.old.version == pair.new.version]
    effects = [Effect.BREAKING if isinstance(pair, _Gone) else pair.effect for pair in kept or pairs]
    return max((EXIT_CODES[effect] for effect in effects), default=0)


def _tables(side: str, sagas: str | None) -> list[Saga]:
    if named := _NAMED.fullmatch(side):
        return [discover(sagas).get(named["name"], int(named["version"]))]
    place = Path(side)
    if not place.exists():
        raise BadTablesError(f"{side} is no file, no folder and no NAME@VERSION such as trip@1")
    return tables_at(place)


def _pairs(old: Sequence[Saga], new: Sequence[Saga]) -> Iterator[Comparison | _Gone]:
    if len(old) == len(new) == 1 and old[0].name == new[0].name:
        yield compare(old[0], new[0])
        return
    after = {(table.name, table.version): table for table in new}
    for table in sorted(old, key=lambda table: (table.name, table.version)):
        same = after.get((table.name, table.version))
        yield compare(table, same) if same else _Gone(table=table)
        later = max((each for each in new if each.name == table.name), key=lambda each: each.version, default=table)
        newest = max(each.version for each in old if each.name == table.name)
        if table.version == newest < later.version:
            yield compare(table, later)


def _lines(pair: Comparison | _Gone) -> Iterator[str]:
    if isinstance(pair, _Gone):
        yield f"breaking: {pair.text}"
        return
    old, new = pair.old, pair.new
    if not pair.differences:
        yield f"{old} → {new}: nothing differs"
        return
    yield f"{old} → {new}: {pair.effect}"
    yield from (f"  {each.effect}: {each.text}" for each in pair.differences)
    if pair.effect is Effect.WORDING:
        return
    for each in pair.states:
        to = f", to {each.to}" if each.fate is not Fate.STAYS and each.to != each.state else ""
        yield f"  a saga in {each.state}: {_FATES[each.fate]}{to}" + (f" ({each.reason})" if each.reason else "")
    if new.version <= old.version:
        yield f"  do: {_REMEDY.format(old.version + 1, old.version)}"
    else:
        yield f"  do: keep version {old.version} until its sagas have ended, or move them with `saga migrate-running`"


def _json(pair: Comparison | _Gone) -> dict[str, object]:
    if isinstance(pair, _Gone):
        return {"saga": pair.table.name, "old": pair.table.version, "new": None, "effect": Effect.BREAKING}
    return {
        "saga": pair.old.name,
        "old": pair.old.version,
        "new": pair.new.version,
        "effect": pair.effect,
        "differences": [{"effect": each.effect, "step": each.step, "text": each.text} for each in pair.differences],
        "states": [
            {"state": each.state, "fate": each.fate, "to": each.to, "reason": each.reason} for each in pair.states
        ],
    }
