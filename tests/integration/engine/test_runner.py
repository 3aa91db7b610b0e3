"""Which process claims due sagas, and how many at once."""

import dataclasses
from types import SimpleNamespace

import pytest

from app.config import Config
from app.engine.heartbeat import Heartbeat
from app.engine.runner import CLAIM_LIMIT, PACED_CLAIM_S, PACED_S, Runner
from app.engine.shares import Shares
from app.store.instance import Instance
from app.store.leases import Replicas
from app.store.sagas import SagaStore
from app.store.statements import Connections
from machines.checkout import CHECKOUT
from tests.integration.engine.scene import NOT_SENT


class CountingBroker:
    """A broker that counts its wake-ups."""

    def __init__(self):
        self.wakings = 0

    def wake(self):
        self.wakings += 1

    def begin(self, stopping):
        pass


class PausedPool:
    """A pool that runs nothing, so each saga stays in flight until `finish`."""

    def __init__(self):
        self._done = []

    def submit(self, _run, _saga, _max_sleep_s):
        return self

    def add_done_callback(self, done):
        self._done.append(done)

    def finish(self):
        """Finish the run of one saga."""
        self._done.pop()(self)


@pytest.fixture
def broker():
    return CountingBroker()


@pytest.fixture
def make(scene, broker):
    """Return a function that makes a runner with `threads` threads, with or without worker processes beside it."""

    def made(threads, *, workers, leases=None, shares=None, **settings):
        return Runner(
            config=Config(threads=threads, **settings),
            engine=scene.engine,
            leases=leases or scene.leases(),
            tables=scene.runner.tables,
            heartbeat=Heartbeat(Replicas(scene.database, "engine")),
            stopping=scene.runner.stopping,
            broker=broker if workers else None,
            pool=PausedPool(),
            shares=shares,
        )

    return made


def due(scene, count):
    for _ in range(count):
        scene.given(payer=[NOT_SENT]).run(max_sleep_s=0)
    scene.leases().expire_all()


def test_process_without_workers_claims_due_sagas_at_once(scene, make, broker):
    due(scene, 1)
    assert make(4, workers=False).claim_due() == 1
    assert broker.wakings == 0


def test_web_process_leaves_due_sagas_to_the_workers(scene, make):
    due(scene, 1)
    runner = make(4, workers=True)
    assert runner.claim_due() == 0
    runner.wake()
    assert runner.claim_due() == 1


def test_worker_claims_due_sagas_without_a_message(scene, make):
    due(scene, 1)
    runner = make(4, workers=True)
    runner.patience_s = 0.0  # app.worker sets this value, so that a worker claims without delay
    assert runner.claim_due() == 1


def test_wake_up_causes_one_claim(scene, make):
    runner = make(4, workers=True)
    runner.wake()
    assert runner.claim_due() == 0
    due(scene, 1)
    assert runner.claim_due() == 0


def test_failed_claim_is_repeated(scene, make, monkeypatch):
    due(scene, 1)
    leases = scene.leases()
    runner = make(4, workers=True, leases=leases)
    runner.wake()
    with monkeypatch.context() as broken:
        broken.setattr(leases, "claim", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            runner.claim_due()
    assert runner.claim_due() == 1


def test_full_runner_wakes_another_and_claims_again_when_free(scene, make, broker):
    due(scene, 3)
    runner = make(2, workers=True)
    runner.wake()
    assert runner.claim_due() == 2
    assert broker.wakings == 1
    assert runner.claim_due() == 0, "there is no room"
    runner.pool.finish()
    assert runner.claim_due() == 1


def test_full_runner_claims_again_when_half_its_threads_are_free(scene, make):
    """Claiming one saga costs as much as claiming many, so the runner waits until several threads are free.

    The runner does not wait until all threads are free, because the due sagas would wait as long.
    """
    due(scene, 7)
    runner = make(4, workers=False)
    assert runner.claim_due() == 4
    runner.claim_now.clear()
    runner.pool.finish()
    assert not runner.claim_now.is_set()
    assert runner.claim_due() == 1, "at its next look"
    runner.claim_now.clear()
    runner.pool.finish()
    runner.pool.finish()
    assert runner.claim_now.is_set()
    assert runner.claim_due() == 2


def test_runner_claims_at_most_one_batch_at_once(scene, make):
    due(scene, CLAIM_LIMIT + 1)
    runner = make(2 * CLAIM_LIMIT, workers=False)
    assert runner.claim_due() == CLAIM_LIMIT
    assert runner.claim_due() == 1


def test_runner_claims_at_short_intervals_while_waiting_sagas_go_on(scene, make, monkeypatch):
    now, waits = [0.0], []
    monkeypatch.setattr("app.engine.runner.time", SimpleNamespace(monotonic=lambda: now[0]))
    runner = make(8, workers=False)

    def longest_wait():
        monkeypatch.setattr(runner, "claim_now", SimpleNamespace(clear=int, set=int, wait=ends))
        runner.stopping.clear()
        runner.recover()
        return waits.pop()

    def ends(seconds):
        waits.append(seconds)
        runner.stopping.set()

    usual = longest_wait()
    runner.expect_due()
    assert longest_wait() == PACED_CLAIM_S < usual
    now[0] = PACED_S - 0.5
    due(scene, 1)
    assert longest_wait() == PACED_CLAIM_S
    now[0] = PACED_S + 1
    assert longest_wait() == PACED_CLAIM_S, "a saga was claimed since"
    now[0] = 3 * PACED_S
    assert longest_wait() > PACED_CLAIM_S


def test_saga_without_a_waiting_client_is_left_to_workers(make):
    saga = Instance.new(CHECKOUT, {"client_id": 4, "magasin_id": 1}, actor="test")
    assert make(4, workers=False).accepts(saga)
    assert not make(4, workers=True).accepts(saga)


def limited(**columns):
    return Shares([dataclasses.replace(CHECKOUT, **columns)])


def test_runner_claims_no_more_sagas_of_a_table_than_its_limit(scene, make):
    due(scene, 7)
    runner = make(8, workers=False, shares=limited(at_once=3))
    assert runner.claim_due() == 3
    assert runner.claim_due() == 0
    assert not runner.claim_now.is_set()
    runner.pool.finish()
    assert not runner.claim_now.is_set(), "claiming one saga costs as much as claiming several"
    runner.pool.finish()
    assert runner.claim_now.is_set(), "half of the limit is free"
    assert runner.claim_due() == 2


def test_new_saga_of_a_full_table_is_left_to_a_later_claim(scene, make):
    due(scene, 2)
    runner = make(8, workers=False, shares=limited(at_once=2))
    saga = Instance.new(CHECKOUT, {"client_id": 4, "magasin_id": 1}, actor="test")
    assert runner.accepts(saga)
    runner.claim_due()
    assert not runner.accepts(saga)


def test_end_of_a_limited_saga_causes_no_claim_when_no_other_is_due(scene, make):
    due(scene, 2)
    runner = make(8, workers=False, shares=limited(at_once=3))
    assert runner.claim_due() == 2
    runner.pool.finish()
    runner.pool.finish()
    assert not runner.claim_now.is_set()


def of_tenant(scene, tenant):
    """Store a saga of the tenant, which another process has begun."""
    saga = Instance.new(CHECKOUT, {"client_id": 4, "magasin_id": 1}, actor="test")
    saga.tenant = tenant
    store = SagaStore(Connections(scene.database), scene.registry, "another", lambda: scene.now)
    store.insert(saga, -1, owner="another")
    return saga


def test_runner_claims_no_more_sagas_of_a_tenant_than_its_limit(scene, make):
    noisy, *_ = [of_tenant(scene, tenant) for tenant in ("noisy", "noisy", "noisy", "noisy", "quiet", None)]
    runner = make(5, workers=False, tenants_at_once={"*": 2})
    assert runner.claim_due() == 4, "two noisy ones, and the others behind those that are held back"
    assert not runner.accepts(noisy)
    for _ in range(4):
        runner.pool.finish()
    assert runner.claim_now.is_set()
    assert runner.accepts(noisy)
    assert runner.claim_due() == 2
