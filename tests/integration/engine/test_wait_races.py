"""A signal against a cancel, an expiry, and the commit that enters the wait, in both orders of the commits.

Two connections of a real PostgreSQL: while the first transaction is open, the second one waits for the lock of the row.
"""

import time
from collections.abc import Iterator
from contextlib import suppress

import pytest

from app.errors import ConflictError
from app.store.arrivals import Signal
from app.store.instance import Instance
from app.store.sagas import FencedError
from machines.call import post
from machines.fields import text
from machines.registry import Registry
from machines.saga import Saga
from machines.step import compensatable, pivot, wait
from tests.integration.engine.passing import continue_due, pass_time
from tests.integration.engine.racing import HOUR, Second, cancelled, expired, settled
from tests.integration.engine.scene import Scene

SIGNAL = Signal(name="decision", body={}, sender="key:shop")
LOAN = Saga(
    name="loan", version=1, initial="ASKED", completed="PAID", compensated="CALLED_OFF", deadline_s=100 * HOUR,
    participants=("bank",), data={"customer": text()},
    steps=(
        compensatable("hold", post("bank", "/hold"), undo=post("bank", "/release"), done="HELD", refused="SHORT"),
        wait("approve", signal="decision", within_s=HOUR, done="APPROVED", refused="DENIED"),
        pivot("pay", post("bank", "/pay"), done="PAID", refused="DECLINED"),
    ),
)  # fmt: skip


@pytest.fixture
def store_url(postgres_pool) -> Iterator[str]:
    yield from postgres_pool.lend()


def begun(scene: Scene) -> Instance:
    scene.registry = Registry([LOAN])
    return scene.run(LOAN, customer="Ada")


def triggers(scene: Scene) -> list[str]:
    return [row["trigger"] for row in scene.rows("SELECT * FROM journal WHERE source = 'HELD'")]


@pytest.mark.parametrize("other", [cancelled, expired])
def test_a_signal_that_commits_first_fences_the_other_commit(scene, other):
    saga = begun(scene)
    second = Second(scene, other(scene, saga.id))
    scene.engine.waits.arrivals.add(saga.id, SIGNAL, second.begin)
    assert isinstance(second.end(), FencedError)
    assert settled(scene) == "PAID"
    assert triggers(scene) == ["succeeded"]


@pytest.mark.parametrize("other", [cancelled, expired])
def test_a_signal_that_commits_second_is_refused_and_leaves_no_trace(scene, other, monkeypatch):
    saga = begun(scene)
    commit = other(scene, saga.id)
    second = Second(scene, lambda: scene.service.signal(saga.id, SIGNAL, 0.0))
    assert scene.service
    if other is cancelled:  # its transaction is still open when it writes the audit row
        from app.store import sagas  # noqa: PLC0415

        write = sagas.append
        monkeypatch.setattr(sagas, "append", lambda *given: second.begin() or write(*given))
        commit()
    else:
        commit()
        second._thread.start()
    assert isinstance(second.end(), ConflictError)
    assert settled(scene) == "CALLED_OFF"
    assert scene.rows("SELECT * FROM arrival") == []
    assert len(triggers(scene)) == 1


@pytest.mark.parametrize("signal_first", [True, False])
def test_a_signal_that_meets_the_commit_that_enters_the_wait_is_taken(scene, signal_first):
    """The reply to the call before the wait has come. The process commits the wait while the signal arrives."""
    scene.registry = Registry([LOAN])
    seconds: list[Second] = []
    save = scene.engine.store.save

    def enters(saga: Instance, *given: object, **how: object) -> None:
        if saga.state != "HELD" or seconds:
            save(saga, *given, **how)
            return
        second = Second(scene, lambda: save(saga, *given, **how))
        seconds.append(second)
        if signal_first:
            scene.engine.waits.arrivals.add(saga.id, SIGNAL, second.begin)
        else:
            save(saga, *given, **how)
            scene.engine.waits.arrivals.add(saga.id, SIGNAL, lambda *_: None)
        if signal_first:
            assert second.end() is None, "the signal does not fence the commit that enters the wait"

    scene.engine.store.save = enters
    with suppress(FencedError):
        scene.run(LOAN, customer="Ada")
    assert seconds, "the saga has entered the wait"
    assert settled(scene) == "PAID", "the signal is not lost until the time is over"
    assert triggers(scene) == ["succeeded"]


@pytest.mark.parametrize("ahead_s", [HOUR, -HOUR])
def test_a_process_whose_clock_is_an_hour_wrong_ends_no_wait_early_or_late(scene, ahead_s, monkeypatch):
    """The wrong clocks are those of the machine: its time of day, and the clock by which the process counts seconds."""
    begun(scene)
    scene.now += ahead_s
    right = time.time
    monkeypatch.setattr(time, "time", lambda: right() + ahead_s)
    scene.engine.run(scene.recovered("wrong"), 0)
    assert scene.rows("SELECT status FROM saga")[0]["status"] == "waiting"
    pass_time(scene, HOUR - 60)
    assert continue_due(scene) is None
    pass_time(scene, 61)
    assert settled(scene) == "CALLED_OFF"
