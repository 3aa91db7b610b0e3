"""`saga user` and `saga key`: the people who may sign in to the pages, and the API keys of programs.

Only `saga user add` can add the first admin.
"""

import sys
from collections.abc import Callable, Sequence
from typing import Any

import click
from rich.text import Text
from sqlalchemy import Row

from app.access import user_accounts
from app.access.api_keys import LONGEST_DAYS, expires_soon
from app.access.permissions import Role, role_named
from app.cli.arguments import actor_named
from app.cli.group import SagaGroup, saga
from app.cli.output import Column, Line, cell, draw, grid, screen, write_json
from app.errors import ConflictError, InvalidError
from app.services import services
from app.store.database import db
from app.store.provider_accounts import move_to_provider
from app.views.formatting import age, moment

_USER_COLUMNS = (
    Column(title="NAME", gives_way=True),
    Column(title="ROLE"),
    Column(title="SINCE (UTC)"),
)
_KEY_COLUMNS = (
    Column(title="NAME", gives_way=True),
    Column(title="KEY"),
    Column(title="SCOPES"),
    Column(title="LIMITS", gives_way=True),
    Column(title="STATE"),
    Column(title="USED (UTC)"),
)
#: Shown when a user or a key has a tenant.
_TENANT_COLUMN = Column(title="TENANT", gives_way=True)
_KEY_MOMENTS = ("created_at", "expires_at", "revoked_at", "last_used_at")


def _tenant_option(words: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    return click.option("--tenant", metavar="TENANT", default="", help=f"{words}  [default: all]")


@saga.group("user", cls=SagaGroup)
def user() -> None:
    """Manage the people who may sign in, each as viewer, operator or admin."""


@user.command("add")
@click.argument("name")
@click.option("--role", type=click.Choice([role.word for role in Role]), required=True, help="What the user may do.")
@click.option("--password-stdin", is_flag=True, help="Read the password from stdin instead of a prompt.")
@click.option("--same-person", is_flag=True, help="An earlier user of this name was the same person.")
@_tenant_option("The user sees only the sagas of this tenant.")
def add_user(name: str, role: str, password_stdin: bool, same_person: bool, tenant: str) -> None:
    """Add a user. A prompt asks for the password.

    For example: saga user add ada --role admin
    """
    password = sys.stdin.readline().rstrip("\r\n") if password_stdin else _prompted_password()
    user_accounts.add_user(
        services().users, name, role_named(role), password, actor_named(), same_person=same_person, tenant=tenant
    )
    click.echo(f"{name} may sign in as {role}.")


@user.command("list")
@click.option("--json", "as_json", is_flag=True, help="Write one JSON object per line.")
def list_users(as_json: bool) -> None:
    """List the users."""
    rows = services().users.all()
    if as_json:
        for row in rows:
            added = {"tenant": row.tenant, "issuer": row.issuer, "created_at": row.created_at.isoformat()}
            write_json({"name": row.name, "role": row.role} | added)
        return
    cells = [(cell(row.name, "bold"), cell(row.role), cell(moment(row.created_at, "day"))) for row in rows]
    _draw(_USER_COLUMNS, rows, cells, "There are no users yet.")


@user.command("remove")
@click.argument("name")
def remove_user(name: str) -> None:
    """Remove a user and end the user's sessions."""
    services().users.remove(name, actor_named())
    click.echo(f"{name} may not sign in any more.")


@user.command("remove-factor")
@click.argument("name")
def remove_factor(name: str) -> None:
    """Remove the second factor of a user who has lost it."""
    services().users.change_factor(name, None, actor_named())
    click.echo(f"{name} signs in with the password alone now.")


@user.command("single-sign-on")
@click.argument("name")
def single_sign_on(name: str) -> None:
    """Let a user sign in at the provider of OIDC_ISSUER instead of with a password.

    The person whom the provider names NAME has the account from the next sign-in on. It may be the account of a person
    who was removed.
    """
    provider = services().provider
    if provider is None:
        raise ConflictError("OIDC_ISSUER is not set, so there is no provider to sign in at")
    if not user_accounts.NAME.fullmatch(name):
        raise InvalidError(("/name", "Give the name as `saga user list` shows it."))
    move_to_provider(db.engine, name, provider.issuer, actor_named())
    click.echo(f"{name} signs in at {provider.issuer} now.")


@saga.group("key", cls=SagaGroup)
def key() -> None:
    """Make, list and revoke API keys."""


@key.command("add")
@click.argument("name")
@click.option(
    "--scope",
    "scopes",
    metavar="GRANT",
    multiple=True,
    required=True,
    help="read, start or operate; `:TYPE`, `:own` or `:TYPE:own` behind it limits it. May be repeated.",
)
@click.option(
    "--days", type=click.IntRange(1, LONGEST_DAYS), default=90, show_default=True, help="Days until it expires."
)
@click.option(
    "--network",
    "networks",
    metavar="CIDR",
    multiple=True,
    help="A network that the key may be used from, such as 10.1.0.0/16. May be repeated.  [default: everywhere]",
)
@click.option(
    "--rate-limit", metavar="LIMIT", default="", help="Requests that it may send, such as 100/minute.  [default: any]"
)
@_tenant_option("The key sees, starts and moves only sagas of this tenant.")
def add_key(name: str, scopes: tuple[str, ...], days: int, **limits: Any) -> None:
    """Make a key and print it. It is never printed again.

    To rotate a key: make a second key of that name, give it to the program, and revoke the first.

    For example: saga key add shop --scope start:checkout --scope read:own
    """
    made = services().api_keys.make(name, scopes, days, actor_named(), **limits)
    click.echo(f"The key works for {days} days. Store it now: it is shown only once.", err=True)
    click.echo(made.secret)


@key.command("list")
@click.option("--json", "as_json", is_flag=True, help="Write one JSON object per line.")
def list_keys(as_json: bool) -> None:
    """List the keys. Only the beginning of each key is shown."""
    rows = services().api_keys.keys.all()
    if as_json:
        for row in rows:
            moments = {name: getattr(row, name) for name in _KEY_MOMENTS}
            texts = {name: at and at.isoformat() for name, at in moments.items()}
            limits = {"networks": row.networks or [], "rate_limit": row.rate_limit, "tenant": row.tenant}
            write_json({"name": row.name, "key": row.prefix, "scopes": row.scopes} | limits | texts)
        return
    cells = [
        (
            cell(row.name, "bold"),
            cell(row.prefix),
            cell(" ".join(row.scopes)),
            cell(" ".join(filter(None, [*(row.networks or ()), row.rate_limit]))),
            cell(_state(row), "yellow" if expires_soon(row.left_s) else ""),
            cell(moment(row.last_used_at, "minute") if row.last_used_at else "never"),
        )
        for row in rows
    ]
    _draw(_KEY_COLUMNS, rows, cells, "There are no keys yet.")


@key.command("revoke")
@click.argument("prefix", metavar="KEY")
def revoke_key(prefix: str) -> None:
    """Revoke a key: it stops working within a few seconds. KEY is the beginning that `saga key list` shows."""
    services().api_keys.keys.revoke(prefix, actor_named())
    click.echo(f"{prefix} is revoked; every process refuses it within a few seconds.")


def _draw(columns: Sequence[Column], rows: Sequence[Row[Any]], cells: Sequence[tuple[Text, ...]], empty: str) -> None:
    """Draw a list of users or keys, with a column of tenants when one of them has a tenant."""
    console = screen()
    if any(row.tenant for row in rows):
        columns = (*columns, _TENANT_COLUMN)
        cells = [(*line, cell(row.tenant or "all")) for line, row in zip(cells, rows, strict=True)]
    lines = [Line(cells=line) for line in cells]
    draw(grid(columns, lines, console.width) if lines else [empty], on=console)


def _state(row: Row[Any]) -> str:
    if row.left_s > 0:
        return f"{'expires in' if expires_soon(row.left_s) else 'works for'} {age(row.left_s)}"
    return f"{'revoked' if row.revoked_at else 'expired'} {age(-row.left_s)} ago"


def _prompted_password() -> str:
    return str(click.prompt("Password", hide_input=True, confirmation_prompt=True, err=True))
