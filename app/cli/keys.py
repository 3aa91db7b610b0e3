"""`saga key`: with what programs ask the API."""

from typing import Any

import click
from sqlalchemy import Row

from app.access.keys import LONGEST_DAYS
from app.access.roles import Scope
from app.cli.grid import Column, Line, cell, grid
from app.cli.group import SagaGroup, saga
from app.cli.screen import draw, screen, write_json
from app.cli.who import who
from app.services import services
from app.views.formatting import age

_COLUMNS = (
    Column(title="NAME", gives_way=True),
    Column(title="KEY"),
    Column(title="SCOPES"),
    Column(title="STATE"),
)


@saga.group("key", cls=SagaGroup)
def key() -> None:
    """Make, list and revoke the keys of programs that ask the API."""


@key.command("add")
@click.argument("name")
@click.option(
    "--scope",
    "scopes",
    type=click.Choice([scope.value for scope in Scope]),
    multiple=True,
    required=True,
    help="May be repeated.",
)
@click.option("--days", type=click.IntRange(1, LONGEST_DAYS), default=90, show_default=True, help="How long it works.")
def add(name: str, scopes: tuple[str, ...], days: int) -> None:
    """Make a key and print it, this once.

    To rotate it: make the second of that name, give it to the program, revoke the first.

    For example: saga key add shop --scope start --scope read
    """
    made = services().api_keys.make(name, map(Scope, scopes), days, who())
    click.echo(f"It works for {days} days; keep it, it is shown only now.", err=True)
    click.echo(made.secret)


@key.command("list")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
def list_keys(as_json: bool) -> None:
    """List the keys by what is visible of them."""
    rows = services().api_keys.keys.all()
    if as_json:
        for row in rows:
            moments = {"created_at": row.created_at, "expires_at": row.expires_at, "revoked_at": row.revoked_at}
            told = {name: moment and moment.isoformat() for name, moment in moments.items()}
            write_json({"name": row.name, "key": row.prefix, "scopes": row.scopes} | told)
        return
    console = screen()
    lines = [
        Line(cells=(cell(row.name, "bold"), cell(row.prefix), cell(" ".join(row.scopes)), cell(_state(row))))
        for row in rows
    ]
    draw(grid(_COLUMNS, lines, console.width) if lines else ["There is no key yet."], on=console)


@key.command("revoke")
@click.argument("prefix", metavar="KEY")
def revoke(prefix: str) -> None:
    """Make a key work no more, within a few seconds. KEY is what `saga key list` shows of it."""
    services().api_keys.keys.revoke(prefix, who())
    click.echo(f"{prefix} is refused from now on, everywhere within a few seconds.")


def _state(row: Row[Any]) -> str:
    if row.left_s > 0:
        return f"works for {age(row.left_s)}"
    return f"{'revoked' if row.revoked_at else 'expired'} {age(-row.left_s)} ago"
