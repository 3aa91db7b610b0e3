"""A saga with a long first read is stored before the end of the read.

The saga then appears in the lists, and its client gets an answer in time.
"""

import threading
import time

import pytest
from sqlalchemy.exc import OperationalError

from app.engine.early_commits import LATE_S, EarlyCommits
from app.errors import StillRunningError
from tests.integration.engine.inputs import FORWARD
from tests.integration.engine.scene import REFUSED

CART = {"client_id": 4, "magasin_id": 1}


@pytest.fixture
def late(scene):
    """Make the service store every new saga early, as if its first read had already taken long."""
    scene.service.early_commits = EarlyCommits(
        scene.engine.insert_early, threading.Event(), lambda: time.monotonic() + LATE_S
    )
    return scene


def in_the_read(scene, happens):
    """Let `happens` be called while the saga's first read is in flight."""

    def happen(_request):
        scene.at_each_call = lambda _request: None
        happens()

    scene.at_each_call = happen


def sagas(scene):
    return [(row["state"], row["status"], row["version"]) for row in scene.rows("SELECT * FROM saga")]


def test_saga_in_a_long_first_read_is_stored_in_its_initial_state(late):
    seen = []
    in_the_read(late, lambda: (late.service.early_commits.look(), seen.extend(sagas(late))))
    assert late.service.start("checkout", CART).status == "completed"
    assert seen == [("INITIEE", "running", 1)]
    assert late.calls == FORWARD
    seqs = [row["seq"] for row in late.rows("SELECT seq FROM journal ORDER BY seq")]
    assert seqs == list(range(1, len(FORWARD) + 2)), "no move is written twice, and none is left out"


def test_saga_with_a_short_first_read_is_stored_by_its_first_commit(scene):
    in_the_read(scene, scene.service.early_commits.look)
    scene.service.start("checkout", CART)
    written = [sql.split()[0] for sql in scene.statements if sql.startswith(("INSERT", "UPDATE"))]
    assert written == ["INSERT", *["UPDATE"] * 4]


def test_saga_refused_in_its_read_ends_after_it_was_stored(late):
    late.given(lire_panier=[REFUSED])
    in_the_read(late, late.service.early_commits.look)
    assert late.service.start("checkout", CART).status == "compensated"
    assert sagas(late) == [("ANNULEE", "compensated", 2)]


def test_early_stored_saga_of_a_dead_process_runs_from_its_start(late):
    class DiedError(Exception):
        pass

    def die():
        late.service.early_commits.look()
        raise DiedError

    in_the_read(late, die)
    begun = late.service.start("checkout", CART, wait_s=2)
    late.runner.stop()
    assert begun.status == "running"
    saga = late.recovered("other")
    late.engine.run(saga, 1000)
    assert saga.state == "CONFIRMEE"
    assert late.calls.count("payer") == 1


def test_saga_that_lost_its_lease_in_the_read_sends_nothing(late):
    def taken():
        late.service.early_commits.look()
        late.taken = late.recovered("other")

    in_the_read(late, taken)
    begun = late.service.start("checkout", CART, wait_s=2)
    late.runner.stop()
    assert begun.status == "running"
    assert late.calls == ["lire_panier"]
    late.engine.run(late.taken, 1000)
    assert late.calls.count("payer") == 1


def test_insert_without_a_confirmation_is_found(late):
    """The connection is lost after the commit of the insert, before the server confirms the commit."""
    insert = late.engine.store.insert

    def lost(*arguments):
        insert(*arguments)
        raise OperationalError("INSERT", {}, Exception("server closed the connection"))

    def look():
        late.engine.store.insert = lost
        late.service.early_commits.look()
        late.engine.store.insert = insert

    in_the_read(late, look)
    assert late.service.start("checkout", CART, "k").status == "completed"
    assert len(sagas(late)) == 1
    assert late.calls == FORWARD


def test_failed_early_insert_is_tried_again(late):
    insert, tries = late.engine.store.insert, []

    def away(*_arguments):
        tries.append(1)
        raise OperationalError("INSERT", {}, Exception("no route to host"))

    def look():
        late.engine.store.insert = away
        late.service.early_commits.look()
        late.engine.store.insert = insert
        late.service.early_commits.look()
        tries.extend(sagas(late))

    in_the_read(late, look)
    assert late.service.start("checkout", CART).status == "completed"
    assert tries == [1, ("INITIEE", "running", 1)]


def test_early_insert_leaves_a_key_to_the_saga_that_took_it_first(late):
    def meanwhile():
        late.service.create("checkout", CART, "k")
        late.service.early_commits.look()

    in_the_read(late, meanwhile)
    assert late.service.start("checkout", CART, "k").status == "pending"
    assert len(sagas(late)) == 1
    assert "payer" not in late.calls


def test_client_waits_no_longer_than_it_requested(late):
    """The read lasts until both requests have their answers."""
    answered, reading = threading.Event(), threading.Event()

    def read():
        reading.set()
        answered.wait(20)

    in_the_read(late, read)
    answers = []

    def ask():
        answers.append(late.service.start("checkout", CART, "k", wait_s=1))

    asking = threading.Thread(target=ask)
    asking.start()
    assert reading.wait(20)
    late.service.early_commits.look()
    asking.join(20)
    assert [standing.status for standing in answers] == ["running"]
    with pytest.raises(StillRunningError):
        late.service.start("checkout", CART, "k")
    answered.set()
    late.runner.stop()
    assert late.rows("SELECT status FROM saga") == [{"status": "completed"}]
