"""`saga forget`: erase the personal data of one client."""

import click

from app.cli.arguments import actor_named, actor_option, reason_from, reason_option
from app.cli.group import saga
from app.cli.output import write_json
from app.services import services


@saga.command("forget")
@click.option("--client", metavar="ID", required=True, help="The client, as saga list --client has it.")
@click.option("--tenant", metavar="TENANT", default="", help="The tenant of the client's sagas.  [default: none]")
@reason_option
@actor_option
@click.option("--dry-run", is_flag=True, help="Print what would be erased, and erase nothing.")
def forget(client: str, tenant: str, reason: str, actor: str | None, *, dry_run: bool) -> None:
    """Erase the secret and personal values of all sagas of one client, for ever.

    The key of the client is dropped. The sagas stay with their states and times; nobody can move or repeat them. A
    client is refused while a saga of it has not ended.
    """
    erasure, why = services().erasure, reason_from(reason)
    found = erasure.plan(client, tenant) if dry_run else erasure.erase(client, tenant, actor_named(actor), why)
    write_json(found.as_json() | {"erased": not dry_run})
