"""`saga user`: who may sign in to the operator's pages. The first admin is made here."""

import sys

import click

from app.access import people
from app.access.roles import Role, role_named
from app.cli.grid import Column, Line, cell, grid
from app.cli.group import SagaGroup, saga
from app.cli.screen import draw, screen, write_json
from app.cli.who import who
from app.services import services

_COLUMNS = (Column(title="NAME", gives_way=True), Column(title="ROLE"), Column(title="SINCE"))


@saga.group("user", cls=SagaGroup)
def user() -> None:
    """Say who may sign in, and as what: viewer, operator or admin."""


@user.command("add")
@click.argument("name")
@click.option("--role", type=click.Choice([role.word for role in Role]), required=True, help="What the user may do.")
@click.option("--password-stdin", is_flag=True, help="Read the password from stdin instead of asking for it.")
def add(name: str, role: str, password_stdin: bool) -> None:
    """Add a user; the password is asked for.

    For example: saga user add ada --role admin
    """
    password = sys.stdin.readline().rstrip("\r\n") if password_stdin else _asked()
    people.add(services().users, name, role_named(role), password, who())
    click.echo(f"{name} may sign in as {role}.")


@user.command("list")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
def list_users(as_json: bool) -> None:
    """List those who may sign in."""
    rows = services().users.all()
    if as_json:
        for row in rows:
            write_json({"name": row.name, "role": row.role, "created_at": row.created_at.isoformat()})
        return
    console = screen()
    lines = [Line(cells=(cell(row.name, "bold"), cell(row.role), cell(f"{row.created_at:%F}"))) for row in rows]
    draw(grid(_COLUMNS, lines, console.width) if lines else ["Nobody may sign in yet."], on=console)


@user.command("remove")
@click.argument("name")
def remove(name: str) -> None:
    """Remove a user, and end the sessions."""
    services().users.remove(name, who())
    click.echo(f"{name} may not sign in any more.")


def _asked() -> str:
    return str(click.prompt("Password", hide_input=True, confirmation_prompt=True, err=True))
