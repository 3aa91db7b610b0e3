"""Deadlines, leases and the end of a process: what they may interrupt, and what they may not."""

from math import inf

import pytest
from sqlalchemy.exc import OperationalError

from app.store.sagas import FencedError
from machines.checkout import CHECKOUT
from machines.order import ORDER
from tests.integration.engine.inputs import FORWARD
from tests.integration.engine.scene import LOST, NOT_SENT, REFUSED, Reply, answer

OVER = CHECKOUT.deadline_s + 1


def at_call(scene, step, happens):
    """Let `happens` be called while the first call of the step is in flight."""

    def happen(_request):
        if scene.calls[-1] == step and scene.calls.count(step) == 1:
            happens()

    scene.at_each_call = happen


def pass_the_deadline(scene):
    scene.now += OVER


def let_the_deadline_pass_in_the_database(scene):
    past = {"sqlite": "datetime('now', '-1 second')", "postgresql": "now() - interval '1 second'"}
    with scene.database.begin() as connection:
        connection.exec_driver_sql(f"UPDATE saga SET deadline_at = {past[scene.database.dialect.name]}")


def test_step_after_the_deadline_is_not_sent_and_saga_is_compensated(scene):
    at_call(scene, "reserver_stock", lambda: pass_the_deadline(scene))
    saga = scene.run()
    assert (saga.state, saga.error) == ("ANNULEE", "Too late for payer: its deadline of 900 s is over")
    assert scene.calls == ["lire_panier", "reserver_stock", "undo_reserver_stock"]
    assert [row["trigger"] for row in scene.rows("SELECT trigger FROM journal WHERE step = 'payer'")] == ["expire"]


def test_deadline_does_not_interrupt_a_call_in_flight(scene):
    at_call(scene, "enregistrer_vente", lambda: pass_the_deadline(scene))
    assert scene.run().state == "CONFIRMEE"
    assert scene.calls == FORWARD


def test_unsent_pivot_is_not_sent_after_the_deadline(scene):
    at_call(scene, "payer", lambda: pass_the_deadline(scene))
    assert scene.run().state == "ANNULEE"
    assert scene.calls[-2:] == ["undo_payer", "undo_reserver_stock"]
    assert "enregistrer_vente" not in scene.calls


def test_pivot_in_doubt_is_not_compensated_after_the_deadline(scene):
    scene.given(enregistrer_vente=[LOST])
    at_call(scene, "enregistrer_vente", lambda: pass_the_deadline(scene))
    assert scene.run().state == "CONFIRMEE"


def test_step_in_doubt_is_compensated_after_the_deadline(scene):
    scene.given(payer=[LOST])
    at_call(scene, "payer", lambda: pass_the_deadline(scene))
    assert scene.run().state == "ANNULEE"
    assert scene.calls[-2:] == ["undo_payer", "undo_reserver_stock"]


def test_compensation_has_no_deadline(scene):
    scene.given(payer=[REFUSED])
    at_call(scene, "payer", lambda: pass_the_deadline(scene))
    assert scene.run().state == "ANNULEE"
    assert scene.calls[-1] == "undo_reserver_stock"


def test_deadline_survives_a_crash_in_the_database(scene):
    saga = scene.given(payer=[NOT_SENT]).run(max_sleep_s=0)
    assert saga.state == "STOCK_RESERVE"
    let_the_deadline_pass_in_the_database(scene)
    saga = scene.recovered()
    scene.engine.run(saga, 1000)
    assert saga.state == "ANNULEE"
    assert scene.calls[-1] == "undo_reserver_stock"


def test_deadline_counts_from_the_start_and_not_from_the_creation(scene):
    created = scene.service.create("checkout", {"client_id": 4, "magasin_id": 1})
    assert scene.rows("SELECT deadline_at FROM saga") == [{"deadline_at": None}]
    pass_the_deadline(scene)
    assert scene.service.execute(created.id).status == "completed"
    assert scene.rows("SELECT deadline_at FROM saga") != [{"deadline_at": None}]


def test_no_call_is_sent_when_its_lease_may_end_earlier(scene):
    """A process that was frozen beyond its lease first asks the database, and finds the saga's new owner there."""

    def sleep_too_long():
        scene.now += 100.0  # the process does not notice that it is frozen for longer than its lease …
        scene.recovered("other")  # … and meanwhile another process claims the saga

    reads_first = answer(200, produits=[], montant=1.0)
    order = {"client_id": 4, "magasin_id": 1, "produits": [{"produit_id": "456", "quantite": 1}]}
    scene.given(creer_commande=[answer(201, commande_id="c1")], lire_produits=[reads_first])
    at_call(scene, "lire_produits", sleep_too_long)
    with pytest.raises(FencedError):
        scene.run(ORDER, **order)
    assert scene.calls == ["creer_commande", "lire_produits"]


def test_short_lease_is_renewed_before_the_call(scene):
    scene.given(payer=[LOST])
    scene.at_each_sleep = lambda: setattr(scene, "now", 31.0)  # the lease of 36 s (1 + 5 + 30) has 5 s left
    assert scene.run().state == "CONFIRMEE"
    # 4 as without faults, 1 for the retry, and 1 for the renewal of the lease.
    assert len([sql for sql in scene.statements if sql.startswith("UPDATE")]) == 4 + 1 + 1


def test_ending_process_releases_its_saga_after_the_call_in_flight(scene):
    at_call(scene, "reserver_stock", lambda: setattr(scene, "stopping", True))
    saga = scene.run()
    assert (saga.state, scene.calls) == ("STOCK_RESERVE", ["lire_panier", "reserver_stock"])
    scene.stopping, scene.at_each_call = False, lambda _request: None
    (taken,) = scene.leases("other").claim(1, 30)  # the lease was released, so the test need not wait for its end
    scene.engine.run(taken, 1000)
    assert taken.state == "CONFIRMEE"
    assert scene.calls == FORWARD


def test_saga_that_kills_its_owners_is_quarantined(scene):
    scene.given(payer=[NOT_SENT]).run(max_sleep_s=0)
    for _ in range(10):
        saga = scene.recovered()
        assert saga.may("succeeded")  # the process could make the move, but dies
    poison = scene.recovered()
    scene.engine.run(poison, 1000)
    assert (poison.state, poison.status) == ("STUCK_PAYER", "stuck")
    assert poison.error == "STUCK_PAYER: payer: claimed 11 times, and made no move"
    assert scene.calls.count("payer") == 1
    assert scene.rows("SELECT due_at FROM saga") == [{"due_at": None}], "nobody takes it any more"


def test_saga_that_moves_is_never_quarantined(scene):
    scene.given(payer=[NOT_SENT] * 30).run(max_sleep_s=0)
    for _ in range(25):
        saga = scene.recovered()
        scene.engine.run(saga, 0)
        assert saga.state == "STOCK_RESERVE"
    assert scene.rows("SELECT claims FROM saga") == [{"claims": 0}]


def test_quarantined_saga_continues_after_a_retry(scene):
    scene.given(payer=[NOT_SENT]).run(max_sleep_s=0)
    for _ in range(11):
        poison = scene.recovered()
    scene.engine.run(poison, 1000)
    assert scene.service.retry(poison.id, "ada", "mended").status == "completed"


def test_compensate_of_a_quarantined_saga_undoes_the_step_in_doubt(scene):
    scene.run(max_sleep_s=0)
    scene.given(payer=[LOST])
    poison = scene.run(max_sleep_s=0)
    for _ in range(11):
        poison = scene.recovered()
    scene.engine.run(poison, 1000)
    assert scene.service.compensate(poison.id, "ada", "give the money back").status == "compensated"
    assert scene.calls[-2:] == ["undo_payer", "undo_reserver_stock"]


def test_retried_pivot_is_still_in_doubt(scene):
    """The deadline is over, but the saga is not compensated, because the earlier attempts may have taken effect."""
    stuck = scene.given(enregistrer_vente=[LOST] * 4).run()
    assert stuck.status == "stuck"
    let_the_deadline_pass_in_the_database(scene)
    assert scene.service.retry(stuck.id, "ada", "sales is back").status == "completed"


def test_next_owner_undoes_the_call_that_the_first_may_have_sent(scene):
    """The process claims the saga and dies before it stores the reply. Then the deadline is over."""
    scene.given(payer=[NOT_SENT]).run(max_sleep_s=0)

    def die(_request):
        raise KeyboardInterrupt

    scene.at_each_call = die
    with pytest.raises(KeyboardInterrupt):
        scene.engine.run(scene.recovered(), 1000)
    scene.at_each_call = lambda _request: None
    let_the_deadline_pass_in_the_database(scene)
    saga = scene.recovered()
    scene.engine.run(saga, 1000)
    assert saga.state == "ANNULEE"
    assert scene.calls[-2:] == ["undo_payer", "undo_reserver_stock"]


def test_claim_of_an_unsent_call_is_in_doubt_before_it_is_sent(scene):
    """A person may cancel the saga during the call. The cancel undoes the call only because the call is in doubt."""
    deferred = scene.given(payer=[NOT_SENT]).run(max_sleep_s=0)
    assert not scene.engine.store.read(deferred.id).in_doubt
    doubts = []
    saga = scene.recovered()
    scene.at_each_call = lambda _request: doubts.append(scene.engine.store.read(saga.id).in_doubt)
    scene.engine.run(saga, 1000)
    assert doubts[0] is True
    assert saga.state == "CONFIRMEE"


BUSY = Reply(status=503, body={}, retry_after_s=3600.0)


@pytest.mark.parametrize("reply", [BUSY, Reply(status=429, body={}, retry_after_s=1e9), NOT_SENT, LOST])
def test_wait_ends_at_the_deadline(scene, reply):
    """The wait is a Retry-After, a back-off or a deferral. At the deadline the saga is compensated."""
    at_call(scene, "payer", lambda: setattr(scene, "now", OVER - 1.25))
    scene.at_each_sleep = lambda: setattr(scene, "now", scene.now + scene.slept[-1])
    saga = scene.given(payer=[reply] * 4).run(max_sleep_s=10_000)
    assert saga.state == "ANNULEE"
    assert sum(scene.slept) <= 0.25


@pytest.mark.parametrize("reply", [BUSY, Reply(status=500, body={}, retry_after_s=3600.0)])
def test_retry_after_at_an_undo_is_obeyed_for_an_hour_in_all(scene, reply):
    """No deadline ends an undo, and the customer waits for the money."""
    scene.at_each_sleep = lambda: setattr(scene, "now", scene.now + scene.slept[-1])
    saga = scene.given(enregistrer_vente=[answer(409)], undo_payer=[reply] * 6).run(max_sleep_s=10_000)
    assert saga.state == "ANNULEE"
    assert len(scene.slept) == 6
    assert scene.slept[0] == pytest.approx(3600.0, abs=1.0)
    assert max(scene.slept[1:]) <= 60.0, "then the ordinary waits"


def test_wait_that_this_process_asks_for_is_obeyed_for_longer(scene):
    """An open circuit breaker and a paused participant say when the next try makes sense."""
    scene.at_each_sleep = lambda: setattr(scene, "now", scene.now + scene.slept[-1])
    held = Reply(error="paused", sent=False, withheld=True, retry_after_s=1800.0)
    scene.given(enregistrer_vente=[answer(409)], undo_payer=[held] * 4).run(max_sleep_s=10_000)
    assert scene.slept == [1800.0] * 4


@pytest.mark.parametrize(("turn_s", "waits_s"), [(20.0, 50.0), (5_000.0, 30.0)])
def test_call_that_is_held_back_waits_for_its_turn_unless_its_deadline_comes_first(scene, turn_s, waits_s):
    held = Reply(error="the breaker is open", sent=False, retry_after_s=30.0, turn_s=turn_s)
    scene.given(payer=[held]).run(max_sleep_s=10_000)
    assert scene.slept == [waits_s]


def test_stored_wait_ends_at_the_deadline(scene):
    saga = scene.given(payer=[BUSY]).run(max_sleep_s=0)
    left = {"sqlite": "julianday(due_at) - julianday(deadline_at)", "postgresql": "due_at - deadline_at"}
    early = "< 0.01" if scene.database.dialect.name == "sqlite" else "< interval '10 seconds'"
    (row,) = scene.rows(f"SELECT {left[scene.database.dialect.name]} {early} AS in_time FROM saga")
    assert (saga.state, bool(row["in_time"])) == ("STOCK_RESERVE", True)


def test_expired_saga_names_the_cause_of_its_wait(scene):
    saga = scene.given(payer=[answer(401)]).run(max_sleep_s=0)
    let_the_deadline_pass_in_the_database(scene)
    saga = scene.recovered()
    scene.engine.run(saga, 1000)
    assert saga.error == ("Too late for payer: its deadline of 900 s is over; last: 401; check PARTICIPANTS_API_KEY")
    assert "undo_payer" not in scene.calls, "it was turned away, so it did not happen"


def test_retry_after_beyond_a_pivots_deadline_counts_attempts(scene):
    at_call(scene, "enregistrer_vente", lambda: setattr(scene, "now", OVER - 2))
    scene.at_each_sleep = lambda: setattr(scene, "now", scene.now + scene.slept[-1])
    saga = scene.given(enregistrer_vente=[BUSY] * 9).run(max_sleep_s=10_000)
    assert saga.state == "STUCK_ENREGISTRER_VENTE"
    assert scene.calls.count("enregistrer_vente") == 1 + 4
    assert max(scene.slept) <= CHECKOUT.steps[3].retry.cap_s, "the deadline ends its wish to wait"
    assert not [call for call in scene.calls if call.startswith("undo")]


@pytest.mark.parametrize("reply", [answer(401), Reply(status=404), NOT_SENT])
def test_unsendable_pivot_in_doubt_is_stuck_after_its_deadline(scene, reply):
    """The saga cannot go back, and cannot assume an outcome. It is stuck, because people see only stuck sagas."""
    at_call(scene, "enregistrer_vente", lambda: setattr(scene, "now", OVER))
    saga = scene.given(enregistrer_vente=[LOST, *[reply] * 50]).run(max_sleep_s=10_000)
    assert saga.state == "STUCK_ENREGISTRER_VENTE"
    assert scene.calls.count("enregistrer_vente") == 4, "its attempts"
    assert scene.calls[-1] == "probe_enregistrer_vente", "the last word"
    assert not [call for call in scene.calls if call.startswith("undo")]


def test_unsendable_pivot_in_doubt_waits_until_its_deadline(scene):
    saga = scene.given(enregistrer_vente=[LOST, *[answer(401)] * 20]).run(max_sleep_s=10_000)
    assert saga.state == "CONFIRMEE", "its key was mended in time"
    assert scene.calls.count("enregistrer_vente") == 1 + 20 + 1


def test_lease_covers_a_call_in_doubt_and_its_probes(scene):
    at_call(scene, "enregistrer_vente", lambda: None)
    scene.given(enregistrer_vente=[LOST]).run(max_sleep_s=0)
    saga = scene.recovered()
    assert scene.engine.calls.longest_s(saga) == 3 * CHECKOUT.steps[3].timeout_s


def hang_beyond_the_lease(scene):
    """Let another process claim the saga while this process still looks up the participant's address."""
    found = []
    scene.at_each_call = lambda _request: found.append(scene.recovered())
    return found


def test_claims_without_a_sent_call_do_not_quarantine_a_saga(scene):
    """Each process is fenced before it commits that it sent nothing. Then it withdraws its claim."""
    scene.given(payer=[NOT_SENT] * 50).run(max_sleep_s=0)
    found = hang_beyond_the_lease(scene)
    saga = scene.recovered()
    for _ in range(25):
        scene.runner.run_inline(saga, 0, inf)
        saga = found[-1]
    assert scene.calls.count("payer") == 1 + 25
    assert scene.rows("SELECT state, status, claims FROM saga") == [
        {"state": "STOCK_RESERVE", "status": "running", "claims": 1}
    ]


def test_claims_with_a_sent_call_quarantine_a_saga(scene):
    scene.given(payer=[NOT_SENT, *[LOST] * 50]).run(max_sleep_s=0)
    found = hang_beyond_the_lease(scene)
    saga = scene.recovered()
    for _ in range(12):
        scene.runner.run_inline(saga, 0, inf)
        saga = found[-1]
    assert scene.calls.count("payer") == 1 + 10
    assert scene.rows("SELECT state FROM saga") == [{"state": "STUCK_PAYER"}]


def test_database_that_refuses_moves_does_not_quarantine_a_saga(scene, monkeypatch):
    """On a full disk a claim fits into an existing page, but the row of a move does not."""
    scene.given(payer=[NOT_SENT, *[LOST] * 50]).run(max_sleep_s=0)

    def full(*_arguments):
        raise OperationalError("INSERT", {}, Exception("No space left on device"))

    with monkeypatch.context() as disk:
        disk.setattr(scene.engine.store, "save", full)
        for _ in range(15):
            scene.runner.run_inline(scene.recovered(), 0, inf)
            scene.runner.release_lost()
    assert scene.rows("SELECT state, claims FROM saga") == [{"state": "STOCK_RESERVE", "claims": 0}]
    saga = scene.given(payer=[answer(409)]).recovered()
    assert saga.in_doubt, "it was sent, and its answer was lost with the commit"


def test_late_withdrawal_of_a_claim_leaves_the_new_owners_claim(scene):
    scene.given(payer=[NOT_SENT] * 2).run(max_sleep_s=0)
    slow = scene.recovered()
    scene.engine.run(scene.recovered(), 0)  # the owner commits that it sent nothing, which sets `claims` to 0
    scene.recovered()
    scene.leases().uncount_claim(slow)
    assert scene.rows("SELECT claims FROM saga") == [{"claims": 1}], "the owner's, which may be sending"
