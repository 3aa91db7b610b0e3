"""Every move has the time at which it happened, by the database's clock, even when the move is committed later."""

from datetime import datetime

import pytest

from app.store.instance import Instance
from app.store.sagas import SagaStore
from machines.checkout import CHECKOUT
from machines.discovery import discover
from machines.transitions import Trigger

FRACTION_S = 0.05


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def saga(clock):
    return Instance.new(CHECKOUT, {"client_id": 4, "magasin_id": 1}, actor="client", clock=clock)


@pytest.fixture
def store(stored, clock):
    return SagaStore(stored.connections, discover(), "one", clock)


def moment(value) -> datetime:
    return value if isinstance(value, datetime) else datetime.fromisoformat(value)


def seconds(later, earlier) -> float:
    return (moment(later) - moment(earlier)).total_seconds()


def read(saga, clock, took_s):
    """Let the saga's first step succeed after `took_s` seconds, without a commit."""
    clock.now += took_s
    saga.fire(Trigger.SUCCEEDED, actor="engine", step="lire_panier", direction="do")


def journal(stored):
    return [row["at"] for row in stored.rows("SELECT at FROM journal ORDER BY seq")]


def row(stored):
    return stored.rows("SELECT created_at, updated_at, entered_at, deadline_at FROM saga")[0]


def test_moves_of_one_commit_keep_their_own_times(stored, store, clock, saga):
    read(saga, clock, 2.0)
    clock.now += 0.5
    store.insert(saga, 30, owner="one")
    began, answered = journal(stored)
    assert seconds(answered, began) == pytest.approx(2.0, abs=FRACTION_S)
    assert seconds(row(stored)["updated_at"], answered) == pytest.approx(0.5, abs=FRACTION_S)


def test_created_at_is_the_start_and_not_the_first_commit(stored, store, clock, saga):
    read(saga, clock, 2.0)
    store.insert(saga, 30, owner="one")
    found = row(stored)
    assert seconds(found["updated_at"], found["created_at"]) == pytest.approx(2.0, abs=FRACTION_S)
    assert seconds(found["updated_at"], found["entered_at"]) == pytest.approx(0.0, abs=FRACTION_S)
    assert seconds(found["deadline_at"], found["created_at"]) == pytest.approx(CHECKOUT.deadline_s, abs=FRACTION_S)


def test_entered_at_is_the_time_of_the_move_and_not_of_the_commit(stored, store, clock, saga):
    store.insert(saga, 30, owner="one")
    stored.rows("UPDATE saga SET updated_at = :long_ago", long_ago="2001-01-01 00:00:00.000000")
    read(saga, clock, 1.0)
    clock.now += 3.0
    saga.fire(Trigger.RETRY, actor="engine", step="reserver_stock", direction="do")
    store.save(saga, 30, owner="one")
    found = row(stored)
    assert seconds(found["updated_at"], found["entered_at"]) == pytest.approx(3.0, abs=FRACTION_S)
    assert seconds(found["updated_at"], journal(stored)[1]) == pytest.approx(3.0, abs=FRACTION_S)


def test_move_is_not_dated_before_the_previous_commit(stored, store, clock, saga):
    """The clock of the database may have been set back between the two commits."""
    store.insert(saga, 30, owner="one")
    stored.rows("UPDATE saga SET updated_at = '2199-01-01 00:00:00.000000'")
    read(saga, clock, 1.0)
    store.save(saga, 30, owner="one")
    assert moment(row(stored)["updated_at"]).year == 2199
    assert moment(journal(stored)[1]).year == 2199


def test_moves_without_an_age_have_the_time_of_their_commit(stored, store, saga):
    store.insert(saga, 30, owner="one")
    move = '[{"seq": 2, "source": "INITIEE", "trigger": "succeeded", "dest": "PANIER_RECUPERE", "actor": "old"}]'
    stored.rows("UPDATE saga SET updated_at = '2199-01-01 00:00:00.000000', moves = :move", move=move)
    assert [moment(at).year for at in journal(stored)][1:] == [2199]
