"""*Send now* while the circuit breaker of the participant is open: the one attempt is sent, as the trial call."""

from dataclasses import replace
from typing import Any

import pytest

from app.breaker import BreakerPolicy, BreakerState
from app.calls.breakers import GuardedSender
from app.engine.actions import send_now
from app.engine.runner import Runner
from app.shared_cache import SharedCache
from app.store.instance import Instance
from machines.call import get
from machines.registry import Registry
from machines.replies import Reply
from tests.integration.engine.bank import sale
from tests.integration.engine.scene import LOST, NOT_SENT, Scene, answer

TABLE = sale()
PROBED = sale(probe=get("bank", "/pay/{saga.id}/outcome"))


@pytest.fixture(params=[TABLE], ids=["plain"])
def guarded(scene: Scene, request: pytest.FixtureRequest) -> GuardedSender:
    """Put a circuit breaker between the engine and the scene's bank."""
    scene.registry = Registry([request.param])
    policy = BreakerPolicy(failures=1, open_s=30, window_s=60)
    guarded = GuardedSender(scene, dict.fromkeys(["bank"]), policy, SharedCache(None, None), lambda: scene.now)
    scene.engine = replace(scene.engine, calls=replace(scene.engine.calls, sender=guarded))
    return guarded


def held_back(scene: Scene, *failures: Reply) -> Instance:
    """Return a saga that waits before its call `pay`, which fails with these replies. The first opens the breaker."""
    scene.given(pay=list(failures))
    saga = begin(scene)
    assert scene.calls == ["hold", "pay"]
    return saga


def begin(scene: Scene) -> Instance:
    """Run a new saga until it must wait, and release it there."""
    return scene.run(scene.registry.latest("sale"), 0.0, customer="Ada")


def now(scene: Scene, saga: Instance) -> str:
    """Send now without a wait. Return the state of the saga after the process has done what it can."""
    scene.service.send_now(saga.id, "user:eve", "the bank is back", 0.0)
    scene.runner.pool.shutdown()
    return scene.engine.store.read(saga.id).state


@pytest.mark.parametrize("guarded", [TABLE, PROBED], ids=["plain", "with a probe"], indirect=True)
@pytest.mark.parametrize("failure", [LOST, NOT_SENT, answer(503)])
def test_the_attempt_is_sent_and_its_success_closes_the_breaker(scene, guarded, failure):
    saga = held_back(scene, failure)
    assert guarded.states["bank"] is BreakerState.OPEN
    assert now(scene, saga) == "SENT"
    assert [call for call in scene.calls if call != "probe_pay"] == ["hold", "pay", "pay", "send"]
    assert guarded.states["bank"] is BreakerState.CLOSED


@pytest.mark.parametrize("guarded", [PROBED], ids=["with a probe"], indirect=True)
def test_the_attempt_is_sent_after_its_probe_has_failed(scene, guarded):
    saga = held_back(scene, LOST)
    scene.given(probe_pay=[LOST])
    assert now(scene, saga) == "SENT"
    assert scene.calls == ["hold", "pay", "probe_pay", "pay", "send"]


def test_its_failure_opens_the_breaker_for_the_whole_time_again(scene, guarded):
    saga = held_back(scene, NOT_SENT, NOT_SENT)
    scene.now += 20
    assert now(scene, saga) == "HELD"
    assert scene.calls == ["hold", "pay", "pay"]
    scene.now += 29
    assert guarded.states["bank"] is BreakerState.OPEN
    begin(scene)
    assert scene.calls == ["hold", "pay", "pay"], "another saga is held back"


def test_the_next_attempt_of_the_same_saga_is_held_back_again(scene, guarded):
    saga = held_back(scene, NOT_SENT, NOT_SENT, NOT_SENT)
    scene.longest_wait_s, again = 0.0, scene.engine.store.read(saga.id)
    send_now(scene.engine, "user:eve", "the bank is back", again)
    scene.engine.run(again, 1.0)
    assert scene.calls == ["hold", "pay", "pay"]
    assert scene.slept == [0.001], "the same thread has tried again"


def test_calls_of_other_sagas_are_held_back_during_the_attempt(scene, guarded):
    saga, seen = held_back(scene, NOT_SENT, NOT_SENT), []

    def begin_another(_request: Any) -> None:
        before = len(scene.calls)
        begin(scene)
        seen.append(len(scene.calls) - before)

    scene.at_each_call = begin_another
    now(scene, saga)
    assert seen == [0]


def test_the_process_that_knows_of_the_request_sends_the_attempt_itself(scene, guarded, monkeypatch):
    """Workers run the sagas for which no client waits, and a worker would not know that the attempt is to be sent."""
    saga = held_back(scene, NOT_SENT)
    monkeypatch.setattr(Runner, "accepts", lambda *_: False)
    now(scene, saga)
    assert scene.calls == ["hold", "pay", "pay", "send"]
