import dataclasses

import pytest

from machines.call import get, post, put
from machines.checkout import CHECKOUT
from machines.discovery import discover
from machines.saga import Saga
from machines.step import compensatable, pivot, read, retriable

#: A participant's name that contains a reserved word of the diagram formats and `-`, the only special character of
#: names.
P = "participant-end"
#: A path with every character that has a meaning in some format, because a path may contain almost any character.
HOSTILE = "/x\"'<b>&amp;|`]]>--__**~^[a];:\\%23{client_id}?//"


@pytest.fixture
def hostile() -> Saga:
    """Return a table whose states are reserved words, and whose calls are full of special characters."""
    return Saga(
        name="end", version=1, initial="note", completed="state", compensated="graph",
        data=CHECKOUT.data, participants=(P,),
        steps=(
            read("node", get(P, HOSTILE), done="class", refused="digraph"),
            compensatable("edge", post(P, HOSTILE), undo=put(P, HOSTILE), undoing="default",
                          done="subgraph", refused="strict"),
            pivot("loop", post(P, HOSTILE), done="participant", refused="actor"),
            retriable("alt", post(P, HOSTILE), done="state"),
        ),
    )  # fmt: skip


@pytest.fixture(params=[*discover()], ids=str)
def saga(request: pytest.FixtureRequest) -> Saga:
    """Return each table in turn."""
    return request.param


@pytest.fixture
def second() -> Saga:
    """Return version 2 of the checkout: with one more step before the payment, and a longer payment timeout."""
    points = compensatable(
        "points", post("client", "/{client_id}/points"), undo=post("client", "/{client_id}/points/annuler"),
        undoing="POINTS_REPRIS", done="POINTS_DONNES", refused="ECHEC_POINTS",
    )  # fmt: skip
    panier, stock, payer, *rest = CHECKOUT.steps
    steps = (panier, stock, points, dataclasses.replace(payer, timeout_s=8.0), *rest)
    return dataclasses.replace(CHECKOUT, version=2, steps=steps)
