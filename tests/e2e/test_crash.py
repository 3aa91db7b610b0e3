"""kill -9 at every boundary between two stages of the checkout, then a restart: nothing is lost, nothing is doubled.

Each crash is a real process that dies by SIGKILL in the middle of its work on a real database, while the participants
live on and keep the books.
"""

import multiprocessing
from uuid import UUID

import pytest
from sqlalchemy import select

from app import create_app
from app.config import Config, from_environment
from app.store.database import db
from app.store.models import SagaRow

# A server that forks once the application is imported: a process costs milliseconds, not a second.
processes = multiprocessing.get_context("forkserver")
processes.set_forkserver_preload(["app", "tests.e2e.test_crash"])

#: A crash after which the saga must run as if nothing had happened, by (client, commits, sends) of a whole run.
RUNS = [(4, 5, 5), (3, 6, 6), (2, 4, 4)]
BOUNDARIES = [
    (client, f"{when}_{what}", number)
    for client, commits, sends in RUNS
    for what, count in (("commit", commits), ("send", sends))
    for when in ("before", "after")
    for number in range(1, count + 1)
]
EFFECTS = {
    4: {"reserver_stock": "done", "payer": "done", "enregistrer_vente": "done", "confirmer": "done"},
    3: {"reserver_stock": "undone", "payer": "undone", "enregistrer_vente": "refused"},
    2: {"reserver_stock": "undone", "payer": "refused"},
}


def make_app(url: str, participants_url: str, failpoint: str = ""):
    settings = from_environment({"DATABASE_URL": url, "PARTICIPANTS_URL": participants_url, "FAILPOINT": failpoint})
    return create_app(settings)


def buy(url: str, participants_url: str, failpoint: str, client_id: int) -> None:
    app = make_app(url, participants_url, failpoint)
    app.extensions["sagas"].start("checkout", {"client_id": client_id, "magasin_id": 1})


def recover(url: str, participants_url: str) -> None:
    app = make_app(url, participants_url)
    runner = app.extensions["runner"]
    runner._leases.end()
    while runner.recover():
        pass
    runner.stop()


def run(target, *arguments) -> int | None:
    process = processes.Process(target=target, args=arguments)
    process.start()
    process.join(30)
    return process.exitcode


def sagas(url: str) -> dict[UUID, SagaRow]:
    app = create_app(Config(database_url=from_environment({"DATABASE_URL": url}).database_url))
    with app.app_context():
        rows = {row.id: row for row in db.session.scalars(select(SagaRow))}
        db.engine.dispose()
    return rows


@pytest.mark.parametrize(("client", "place", "number"), BOUNDARIES)
def test_a_crash_at_this_boundary_loses_and_doubles_nothing(store_url, participants, client, place, number):
    assert run(buy, store_url, participants.url, f"{place}:{number}", client) == -9
    assert run(recover, store_url, participants.url) == 0
    begun = sagas(store_url)
    # Before the first commit nothing was promised to anybody, and nothing was done.
    promised = not (place in ("before_commit", "before_send", "after_send") and number == 1)
    assert len(begun) == promised
    for saga_id, row in begun.items():
        assert (row.state, row.due_at) == ("CONFIRMEE" if client == 4 else "ANNULEE", None)
        effects = participants.effects(str(saga_id))
        assert {step: effects[step] for step in EFFECTS[client]} == EFFECTS[client]
    participants.assert_balanced()


@pytest.mark.parametrize(("client", "commits", "sends"), RUNS)
def test_the_boundaries_are_all_there_are(store_url, participants, client, commits, sends):
    """One further of each kind is never reached: the list above has every boundary."""
    for place in (f"after_commit:{commits + 1}", f"before_send:{sends + 1}"):
        assert run(buy, store_url, participants.url, place, client) == 0
