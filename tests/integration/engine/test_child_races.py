"""The last commit of a child against the commit of its parent that sends the child back, on a real PostgreSQL."""

from collections.abc import Iterator
from functools import partial

import pytest

from app.store.sagas import FencedError
from machines.branching import sub
from machines.call import post
from machines.fields import text
from machines.registry import Registry
from machines.saga import Saga
from machines.step import compensatable
from tests.integration.engine.racing import Second, in_the_next_save
from tests.integration.engine.scene import Scene

PAYMENT = Saga(
    name="payment", version=1, initial="ASKED", completed="PAID", compensated="NOT_PAID", participants=("bank",),
    data={"customer": text()},
    steps=(compensatable("pay", post("bank", "/pay"), undo=post("bank", "/refund"), done="PAID", refused="DECLINED"),),
)  # fmt: skip
ORDER = Saga(
    name="order", version=1, initial="NEW", completed="PAID_FOR", compensated="CALLED_OFF", participants=(),
    data={"customer": text()},
    steps=(sub("payment", data={"customer": "customer"}, done="PAID_FOR", refused="NOT_PAID_FOR"),),
)  # fmt: skip


@pytest.fixture
def store_url(postgres_pool) -> Iterator[str]:
    yield from postgres_pool.lend()


def states(scene: Scene) -> dict[str, str]:
    return {row["definition"]: row["state"] for row in scene.rows("SELECT definition, state FROM saga")}


def test_a_parent_that_goes_back_meets_the_last_commit_of_its_child_without_a_deadlock(scene, monkeypatch):
    """Both transactions lock the row of the parent first, so the child's commit waits and is fenced."""
    scene.registry = Registry([ORDER, PAYMENT])
    parent = scene.run(ORDER, customer="Ada")
    (child,) = scene.leases("other").claim(1, 30)
    second = Second(scene, partial(scene.engine.run, child, 0.0))
    in_the_next_save(scene, monkeypatch, second.begin)
    scene.service.compensate(parent.id, "ada", "stop", 0.0)
    assert isinstance(second.end(), FencedError)
    while due := scene.leases("another").claim(1, 30):
        scene.engine.run(due[0], 1000.0)
    assert states(scene) == {"order": "CALLED_OFF", "payment": "NOT_PAID"}
    assert scene.calls == ["pay", "undo_pay"]
