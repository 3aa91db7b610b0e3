"""The reference clients, and what awaits each of them: it follows from the participants' first rows (see `seed`)."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Client:
    """`wants`: what is in his basket before anybody changes it, product → quantity."""

    client_id: int
    awaits: str
    explained: str
    wants: Mapping[str, int]


_ORDINARY = {"101": 1, "456": 2}

CLIENTS = (
    Client(client_id=4, awaits="All goes well", explained="Enough stock, enough money.", wants=_ORDINARY),
    Client(client_id=1, awaits="Not enough stock", explained="Wants 5 of the rare edition.", wants={"789": 5}),
    Client(client_id=2, awaits="Not enough money", explained="Has 10.00 on the account.", wants=_ORDINARY),
    Client(client_id=3, awaits="Refused by sales", explained="Has unpaid invoices.", wants=_ORDINARY),
)
