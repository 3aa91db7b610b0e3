"""`saga stuck`: the sagas that need attention, in groups by cause, as the page /admin/stuck shows them."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import click
from rich.console import RenderableType

from app.cli.arguments import actor_named, filter_options, filter_words, saga_with_id
from app.cli.group import saga
from app.cli.output import Column, Line, cell, draw, grid, printable, screen, write_json
from app.services import services
from app.store import cases
from app.store.attention import CauseGroup
from app.store.lists import SagaFilter
from app.views.formatting import age, cause
from app.views.saga_filters import CASES, OVERSTAYED, AttentionWords, attention
from app.views.states import attention_of, participant_of, state_of
from app.views.titles import participant_words, saga_words, state_words

_GROUPS = (
    Column(title="SAGAS", right=True),
    Column(title="OLDEST", right=True),
    Column(title="TYPE", gives_way=True),
    Column(title="STATE", gives_way=True),
    Column(title="PARTICIPANT", gives_way=True),
    Column(title="CAUSE", gives_way=True),
)
NONE_MATCH = "No sagas that need attention match these filters."
_NO_ERROR = "stays longer than its table allows"


def attention_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that choose sagas that need attention; `attention_filter` reads them."""
    for option in (
        click.option("--job", type=click.UUID, metavar="ID", help="Sagas that are stuck again after this bulk job."),
        click.option("--id", metavar="ID", multiple=True, help="This saga, by the last 8 digits of its id; repeat it."),
        click.option(
            "--case",
            type=click.Choice(CASES),
            help="By case; `open`, the default without --id, is not snoozed; `mine` are those of the login name.",
        ),
        click.option("--step", metavar="NAME", help="Sagas whose call in flight or stuck is of this step."),
        click.option("--cause", help="Sagas with exactly this cause, as `saga stuck --json` shows it."),
        click.option("--error", help="Sagas with exactly this error, as `saga list --json` shows it."),
    ):
        command = option(command)
    return filter_options(command, OVERSTAYED)


def attention_filter(words: Mapping[str, Any], actor: str) -> SagaFilter:
    """Return the filter of the options. actor: whose cases are `mine`. Raise MalformedError for an illegal option."""
    given = {name: value for name, value in words.items() if name not in ("tags", "id")}
    if words["id"]:
        given["id"] = [str(saga_with_id(text).id) for text in words["id"]]
    return attention(filter_words(AttentionWords(), given, words["tags"]), actor)


@saga.command("stuck")
@attention_options
@click.option("--json", "as_json", is_flag=True, help="Write one JSON object per group.")
def stuck(*, as_json: bool, **words: Any) -> None:
    """Show the sagas that are stuck or overstayed in groups by cause, the largest first.

    Snoozed sagas are left out, unless --case or --id chooses them. `saga bulk start` acts on the same sagas with the
    same options, `saga list --stuck` lists stuck sagas one by one.
    """
    wanted = attention_filter(words, actor_named())
    groups = attention_of(services().registry).groups(wanted)
    if as_json:
        for row in groups:
            write_json(_as_json(row))
    elif groups:
        console = screen()
        draw(groups_of(groups, console.width), on=console)
        click.echo("1 saga needs attention." if groups[0].total == 1 else f"{groups[0].total} sagas need attention.")
    else:
        click.echo(NONE_MATCH)
    say_snoozed(wanted)


def say_snoozed(wanted: SagaFilter) -> None:
    """Print on the error output how many sagas a filter leaves out only because they are snoozed."""
    if wanted.case is None or wanted.case[0] != "open" or not cases.some_snoozed():
        return
    if snoozed := attention_of(services().registry).count_of(replace(wanted, case=("snoozed", ""))):
        are = "saga is" if snoozed == 1 else "sagas are"
        click.echo(
            f"{snoozed} snoozed {are} left out; --case all takes {'it' if snoozed == 1 else 'them'}, too.", err=True
        )


def groups_of(groups: Sequence[CauseGroup], width: int) -> Iterator[RenderableType]:
    """Draw groups of `Attention.groups`."""
    yield from grid(_GROUPS, [_line(row) for row in groups], width)
    if groups and (hidden := groups[0].total_groups - len(groups)):
        yield f"and {hidden} groups more"


def _line(row: CauseGroup) -> Line:
    registry = services().registry
    like_it = f" (and {row.errors - 1} like it)" if row.errors > 1 else ""
    return Line(
        cells=(
            cell(str(row.sagas), "bold"),
            cell(age(row.oldest_s)),
            cell(saga_words(registry, row)),
            cell(state_words(registry, row)),
            cell(participant_words(_participant(row))),
            cell(f"{_error(row) or _NO_ERROR}{like_it}"),
        )
    )


def _as_json(row: CauseGroup) -> dict[str, object]:
    return {
        "type": row.definition,
        "version": row.definition_version,
        "state": row.state,
        "status": row.status,
        "participant": _participant(row) or None,
        "cause": printable(str(services().redact(row.cause or ""))) or None,
        "error": _error(row) or None,
        "errors": row.errors,
        "sagas": row.sagas,
        "oldest_s": round(row.oldest_s, 1),
        "unknown": bool(row.unknown),
    }


def _participant(row: CauseGroup) -> str:
    return participant_of(state_of(services().registry, (row.definition, row.definition_version, row.state))) or ""


def _error(row: CauseGroup) -> str:
    return printable(str(services().redact(cause(row.error))))
