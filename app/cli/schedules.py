"""`saga schedule`: sagas that are started at the times of a cron expression."""

from typing import Any

import click
from rich.text import Text
from sqlalchemy import Row

from app.cli.arguments import actor_named, data_from, definition_named
from app.cli.group import SagaGroup, saga
from app.cli.output import Column, Line, cell, draw, grid, printable, screen, write_json
from app.services import services
from app.views.formatting import moment
from app.views.schedules import (
    ALLOW,
    SKIP,
    added_entry,
    change_entry,
    changed_entry,
    new_schedule,
    schedule_change,
    schedule_json,
)

_COLUMNS = (
    Column(title="NAME", gives_way=True),
    Column(title="TYPE", gives_way=True),
    Column(title="CRON"),
    Column(title="ZONE", gives_way=True),
    Column(title="NEXT (UTC)"),
)


@saga.group("schedule", cls=SagaGroup)
def schedule() -> None:
    """Start sagas at the times of a cron expression."""


@schedule.command("add")
@click.argument("name")
@click.argument("cron")
@click.argument("definition_name", metavar="TYPE")
@click.argument("pairs", nargs=-1, metavar="[FIELD=VALUE]...")
@click.option("--zone", default="UTC", show_default=True, help="Time zone of the expression, such as Europe/Paris.")
@click.option("--data", metavar="JSON|@FILE|-", help="The sagas' data as JSON, from a JSON file, or from stdin.")
@click.option(
    "--overlap", type=click.Choice([SKIP, ALLOW]), default=SKIP, show_default=True,
    help="While the saga before has not ended: skip the time, or start another saga.",
)  # fmt: skip
def add(  # noqa: PLR0917  the arguments of the command
    name: str, cron: str, definition_name: str, pairs: tuple[str, ...], zone: str, data: str | None, *, overlap: str
) -> None:
    """Add a schedule: five fields for minute, hour, day, month and weekday.

    For example: saga schedule add nightly "0 3 * * *" settle day=1 --zone Europe/Paris
    """
    registry = services().registry
    definition = definition_named(registry, definition_name)
    given = {"name": name, "type": definition.name, "cron": cron, "zone": zone, "overlap": overlap}
    new = new_schedule(registry, given | {"data": data_from(definition, data, pairs)})
    services().schedules.add(new, added_entry(registry, new, actor_named()))
    click.echo(f"{name} starts its first {definition.name} at {_next(name)} UTC.")


@schedule.command("change")
@click.argument("name")
@click.argument("pairs", nargs=-1, metavar="[FIELD=VALUE]...")
@click.option("--cron", help="New cron expression.")
@click.option("--zone", help="New time zone.")
@click.option("--data", metavar="JSON|@FILE|-", help="The sagas' data as JSON, from a JSON file, or from stdin.")
@click.option("--overlap", type=click.Choice([SKIP, ALLOW]), help="See saga schedule add.")
def change(  # noqa: PLR0917  the arguments of the command
    name: str, pairs: tuple[str, ...], cron: str | None, zone: str | None, data: str | None, overlap: str | None
) -> None:
    """Change a schedule. Data is replaced as a whole; what is not named stays.

    A time that is due already is still started, by the new data. For example: saga schedule change nightly --cron
    "0 4 * * *"
    """
    registry, schedules = services().registry, services().schedules
    row = schedules.store.find(name)
    named = {"cron": cron, "zone": zone, "overlap": overlap}
    given: dict[str, Any] = {option: value for option, value in named.items() if value is not None}
    if data is not None or pairs:
        given["data"] = data_from(definition_named(registry, row.definition), data, pairs)
    values = schedule_change(registry, row, given)
    schedules.change(name, values, change_entry(registry, values, actor_named()))
    next_at = schedules.store.find(name).next_at
    click.echo(
        f"{name} is changed. " + (f"Its next time is {moment(next_at, 'minute')} UTC." if next_at else "It is paused.")
    )


@schedule.command("list")
@click.option("--json", "as_json", is_flag=True, help="Write one JSON object per line, as the API does.")
def list_schedules(as_json: bool) -> None:
    """List the schedules."""
    rows = services().schedules.store.all()
    if as_json:
        for row in rows:
            write_json(schedule_json(services().registry, row))
        return
    lines = [
        Line(
            cells=(
                cell(row.name, "bold"),
                cell(row.definition),
                cell(row.cron),
                cell(row.zone),
                cell(moment(row.next_at, "minute") if row.next_at else "paused"),
            ),
            note=_last(row) if row.last_at else None,
        )
        for row in rows
    ]
    console = screen()
    draw(grid(_COLUMNS, lines, console.width) if lines else ["There are no schedules."], on=console)


@schedule.command("remove")
@click.argument("name")
def remove(name: str) -> None:
    """Remove a schedule. The sagas that it has started stay."""
    services().schedules.store.remove(name, changed_entry("remove", name, actor_named()))
    click.echo(f"{name} is removed.")


@schedule.command("pause")
@click.argument("name")
def pause(name: str) -> None:
    """Start no sagas of a schedule until it is resumed."""
    services().schedules.pause(name, changed_entry("pause", name, actor_named()))
    click.echo(f"{name} is paused.")


@schedule.command("resume")
@click.argument("name")
def resume(name: str) -> None:
    """Start sagas of a paused schedule again, from its next time on."""
    services().schedules.resume(name, changed_entry("resume", name, actor_named()))
    click.echo(f"{name} starts its next saga at {_next(name)} UTC.")


def _next(name: str) -> str:
    return moment(services().schedules.store.find(name).next_at, "minute")


def _last(row: Row[Any]) -> Text:
    return Text(printable(f"{moment(row.last_at, 'minute')} UTC: {row.last_result}"), style="dim")
