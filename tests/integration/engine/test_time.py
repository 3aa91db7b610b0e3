"""Deadlines, leases and the end of a process: what the clock may stop, and what it may not."""

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
    """Let something happen while the first call of this step is in flight."""

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


def test_a_step_that_comes_too_late_is_not_sent_and_what_was_done_is_undone(scene):
    at_call(scene, "reserver_stock", lambda: pass_the_deadline(scene))
    saga = scene.run()
    assert (saga.state, saga.error) == ("ANNULEE", "ECHEC_PAIEMENT: payer: its deadline of 900 s is over")
    assert scene.calls == ["lire_panier", "reserver_stock", "undo_reserver_stock"]
    assert [row["trigger"] for row in scene.rows("SELECT trigger FROM journal WHERE step = 'payer'")] == ["expire"]


def test_a_call_in_flight_is_not_cut_short_by_the_deadline(scene):
    at_call(scene, "enregistrer_vente", lambda: pass_the_deadline(scene))
    assert scene.run().state == "CONFIRMEE"
    assert scene.calls == FORWARD


def test_a_pivot_that_was_never_sent_is_called_off(scene):
    at_call(scene, "payer", lambda: pass_the_deadline(scene))
    assert scene.run().state == "ANNULEE"
    assert scene.calls[-2:] == ["undo_payer", "undo_reserver_stock"]
    assert "enregistrer_vente" not in scene.calls


def test_a_pivot_that_may_have_been_sent_is_not_called_off(scene):
    scene.given(enregistrer_vente=[LOST])
    at_call(scene, "enregistrer_vente", lambda: pass_the_deadline(scene))
    assert scene.run().state == "CONFIRMEE"


def test_a_step_that_may_have_been_sent_is_undone_with_itself_when_its_time_is_over(scene):
    scene.given(payer=[LOST])
    at_call(scene, "payer", lambda: pass_the_deadline(scene))
    assert scene.run().state == "ANNULEE"
    assert scene.calls[-2:] == ["undo_payer", "undo_reserver_stock"]


def test_a_compensation_knows_no_deadline(scene):
    scene.given(payer=[REFUSED])
    at_call(scene, "payer", lambda: pass_the_deadline(scene))
    assert scene.run().state == "ANNULEE"
    assert scene.calls[-1] == "undo_reserver_stock"


def test_the_deadline_is_kept_through_a_crash_and_told_by_the_database(scene):
    saga = scene.given(payer=[NOT_SENT]).run(hold_s=0)
    assert saga.state == "STOCK_RESERVE"
    let_the_deadline_pass_in_the_database(scene)
    saga = scene.recovered()
    scene.engine.run(saga, 1000)
    assert saga.state == "ANNULEE"
    assert scene.calls[-1] == "undo_reserver_stock"


def test_the_deadline_counts_from_when_the_saga_begins_not_from_when_it_was_created(scene):
    created = scene.service.create("checkout", {"client_id": 4, "magasin_id": 1})
    assert scene.rows("SELECT deadline_at FROM saga") == [{"deadline_at": None}]
    pass_the_deadline(scene)
    assert scene.service.execute(created.id).status == "completed"
    assert scene.rows("SELECT deadline_at FROM saga") != [{"deadline_at": None}]


def test_no_call_is_sent_under_a_lease_that_may_end_before_it(scene):
    """Whoever slept beyond its lease asks the database first, and learns that the saga is another's."""

    def sleep_too_long():
        scene.now += 100.0  # stopped for longer than its lease, which nobody noticed …
        scene.recovered("other")  # … but another process, which has taken the saga meanwhile

    reads_first = answer(200, produits=[], montant=1.0)
    order = {"client_id": 4, "magasin_id": 1, "produits": [{"produit_id": "456", "quantite": 1}]}
    scene.given(creer_commande=[answer(201, commande_id="c1")], lire_produits=[reads_first])
    at_call(scene, "lire_produits", sleep_too_long)
    with pytest.raises(FencedError):
        scene.run(ORDER, **order)
    assert scene.calls == ["creer_commande", "lire_produits"]


def test_a_lease_that_runs_short_is_renewed_before_the_call(scene):
    scene.given(payer=[LOST])
    scene.at_each_sleep = lambda: setattr(scene, "now", 31.0)  # of the 1 + 5 + 30 seconds it had, 5 are left
    assert scene.run().state == "CONFIRMEE"
    assert len([sql for sql in scene.statements if sql.startswith("UPDATE")]) == 4 + 1 + 1  # retry, renewal


def test_a_process_that_ends_hands_its_saga_back_after_the_call_in_flight(scene):
    at_call(scene, "reserver_stock", lambda: setattr(scene, "stopping", True))
    saga = scene.run()
    assert (saga.state, scene.calls) == ("STOCK_RESERVE", ["lire_panier", "reserver_stock"])
    scene.stopping, scene.at_each_call = False, lambda _request: None
    (taken,) = scene.leases("other").claim(1, 30)  # at once: nobody waits for a lease to end
    scene.engine.run(taken, 1000)
    assert taken.state == "CONFIRMEE"
    assert scene.calls == FORWARD


def test_a_saga_that_kills_whoever_takes_it_is_quarantined(scene):
    scene.given(payer=[NOT_SENT]).run(hold_s=0)
    for _ in range(10):
        saga = scene.recovered()
        assert saga.may("succeeded")  # … and dies of it
    poison = scene.recovered()
    scene.engine.run(poison, 1000)
    assert (poison.state, poison.status) == ("STUCK_PAYER", "stuck")
    assert poison.error == "STUCK_PAYER: payer: claimed 11 times, and never came a step further"
    assert scene.calls.count("payer") == 1
    assert scene.rows("SELECT due_at FROM saga") == [{"due_at": None}], "nobody takes it any more"


def test_a_saga_that_moves_is_taken_as_often_as_need_be(scene):
    scene.given(payer=[NOT_SENT] * 30).run(hold_s=0)
    for _ in range(25):
        saga = scene.recovered()
        scene.engine.run(saga, 0)
        assert saga.state == "STOCK_RESERVE"
    assert scene.rows("SELECT claims FROM saga") == [{"claims": 0}]


def test_a_quarantined_saga_goes_on_when_a_person_says_so(scene):
    scene.given(payer=[NOT_SENT]).run(hold_s=0)
    for _ in range(11):
        poison = scene.recovered()
    scene.engine.run(poison, 1000)
    assert scene.service.retry(poison.id, "ada", "mended").status == "completed"


def test_a_quarantined_saga_is_undone_with_the_step_that_may_have_happened(scene):
    scene.run(hold_s=0)
    scene.given(payer=[LOST])
    poison = scene.run(hold_s=0)
    for _ in range(11):
        poison = scene.recovered()
    scene.engine.run(poison, 1000)
    assert scene.service.compensate(poison.id, "ada", "give the money back").status == "compensated"
    assert scene.calls[-2:] == ["undo_payer", "undo_reserver_stock"]


def test_a_stuck_pivot_that_is_sent_again_is_still_in_doubt(scene):
    """Its deadline is long over, but what became of the attempts before is not known: it is not called off."""
    stuck = scene.given(enregistrer_vente=[LOST] * 4).run()
    assert stuck.status == "stuck"
    let_the_deadline_pass_in_the_database(scene)
    assert scene.service.retry(stuck.id, "ada", "sales is back").status == "completed"


def test_what_its_first_claimant_may_have_sent_is_undone_by_the_next(scene):
    """The claim is all that is durable of that call: its process dies with the reply, and then the deadline is over."""
    scene.given(payer=[NOT_SENT]).run(hold_s=0)

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


def test_whoever_takes_over_what_was_never_sent_has_said_so_before_it_sends(scene):
    """Else somebody who cancels it in that moment would find that nothing was sent, and undo nothing of it."""
    deferred = scene.given(payer=[NOT_SENT]).run(hold_s=0)
    assert not scene.engine.store.read(deferred.id).in_doubt
    told = []
    saga = scene.recovered()
    scene.at_each_call = lambda _request: told.append(scene.engine.store.read(saga.id).in_doubt)
    scene.engine.run(saga, 1000)
    assert told[0] is True
    assert saga.state == "CONFIRMEE"


BUSY = Reply(status=503, body={}, retry_after_s=3600.0)


@pytest.mark.parametrize("reply", [BUSY, Reply(status=429, body={}, retry_after_s=1e9), NOT_SENT, LOST])
def test_no_wait_outlasts_the_deadline_that_ends_it(scene, reply):
    """A Retry-After, a back-off and a deferral alike: the saga wakes when its time is over, and goes back."""
    at_call(scene, "payer", lambda: setattr(scene, "now", OVER - 1.25))
    scene.at_each_sleep = lambda: setattr(scene, "now", scene.now + scene.slept[-1])
    saga = scene.given(payer=[reply] * 4).run(hold_s=10_000)
    assert saga.state == "ANNULEE"
    assert sum(scene.slept) <= 0.25


def test_a_wait_that_is_left_to_the_database_ends_with_the_deadline_as_well(scene):
    saga = scene.given(payer=[BUSY]).run(hold_s=0)
    left = {"sqlite": "julianday(due_at) - julianday(deadline_at)", "postgresql": "due_at - deadline_at"}
    early = "< 0.01" if scene.database.dialect.name == "sqlite" else "< interval '10 seconds'"
    (row,) = scene.rows(f"SELECT {left[scene.database.dialect.name]} {early} AS in_time FROM saga")
    assert (saga.state, bool(row["in_time"])) == ("STOCK_RESERVE", True)


def test_a_saga_that_expires_says_what_it_waited_for(scene):
    saga = scene.given(payer=[answer(401)]).run(hold_s=0)
    let_the_deadline_pass_in_the_database(scene)
    saga = scene.recovered()
    scene.engine.run(saga, 1000)
    assert saga.error == ("ECHEC_PAIEMENT: payer: its deadline of 900 s is over; last: 401; check PARTICIPANTS_API_KEY")
    assert "undo_payer" not in scene.calls, "it was turned away, so it did not happen"


def test_who_asks_for_a_wait_beyond_the_deadline_of_a_pivot_is_given_its_attempts_and_then_stuck(scene):
    at_call(scene, "enregistrer_vente", lambda: setattr(scene, "now", OVER - 2))
    scene.at_each_sleep = lambda: setattr(scene, "now", scene.now + scene.slept[-1])
    saga = scene.given(enregistrer_vente=[BUSY] * 9).run(hold_s=10_000)
    assert saga.state == "STUCK_ENREGISTRER_VENTE"
    assert scene.calls.count("enregistrer_vente") == 1 + 4
    assert max(scene.slept) <= CHECKOUT.steps[3].retry.cap_s, "the deadline ends its wish to wait"
    assert not [call for call in scene.calls if call.startswith("undo")]


@pytest.mark.parametrize("reply", [answer(401), Reply(status=404), NOT_SENT])
def test_a_pivot_in_doubt_that_cannot_be_sent_again_is_stuck_after_its_deadline(scene, reply):
    """It can neither go back nor be guessed, and a person can act on what is stuck alone."""
    at_call(scene, "enregistrer_vente", lambda: setattr(scene, "now", OVER))
    saga = scene.given(enregistrer_vente=[LOST, *[reply] * 50]).run(hold_s=10_000)
    assert saga.state == "STUCK_ENREGISTRER_VENTE"
    assert scene.calls.count("enregistrer_vente") == 4, "its attempts"
    assert scene.calls[-1] == "probe_enregistrer_vente", "the last word"
    assert not [call for call in scene.calls if call.startswith("undo")]


def test_a_pivot_in_doubt_that_cannot_be_sent_again_waits_until_its_deadline(scene):
    saga = scene.given(enregistrer_vente=[LOST, *[answer(401)] * 20]).run(hold_s=10_000)
    assert saga.state == "CONFIRMEE", "its key was mended in time"
    assert scene.calls.count("enregistrer_vente") == 1 + 20 + 1


def test_a_lease_covers_a_call_in_doubt_with_the_probes_around_it(scene):
    at_call(scene, "enregistrer_vente", lambda: None)
    scene.given(enregistrer_vente=[LOST]).run(hold_s=0)
    saga = scene.recovered()
    assert scene.engine.calls.longest_s(saga) == 3 * CHECKOUT.steps[3].timeout_s


def hang_beyond_the_lease(scene):
    """Let another process claim the saga while this one still looks for the participant's address."""
    found = []
    scene.at_each_call = lambda _request: found.append(scene.recovered())
    return found


def test_claims_during_which_nothing_could_be_sent_do_not_quarantine_a_saga(scene):
    """Each claimant is fenced before it can commit that it sent nothing, and takes its claim back."""
    scene.given(payer=[NOT_SENT] * 50).run(hold_s=0)
    found = hang_beyond_the_lease(scene)
    saga = scene.recovered()
    for _ in range(25):
        scene.runner.run_inline(saga, 0, inf)
        saga = found[-1]
    assert scene.calls.count("payer") == 1 + 25
    assert scene.rows("SELECT state, status, claims FROM saga") == [
        {"state": "STOCK_RESERVE", "status": "running", "claims": 1}
    ]


def test_claims_during_which_a_call_was_sent_quarantine_a_saga_all_the_same(scene):
    scene.given(payer=[NOT_SENT, *[LOST] * 50]).run(hold_s=0)
    found = hang_beyond_the_lease(scene)
    saga = scene.recovered()
    for _ in range(12):
        scene.runner.run_inline(saga, 0, inf)
        saga = found[-1]
    assert scene.calls.count("payer") == 1 + 10
    assert scene.rows("SELECT state FROM saga") == [{"state": "STUCK_PAYER"}]


def test_a_database_that_keeps_no_results_does_not_quarantine_a_saga(scene, monkeypatch):
    """A full disk takes a claim, which fits into a page that is there, and not the row of a move."""
    scene.given(payer=[NOT_SENT, *[LOST] * 50]).run(hold_s=0)

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


def test_a_claim_that_is_taken_back_late_is_not_that_of_who_has_the_saga_by_then(scene):
    scene.given(payer=[NOT_SENT] * 2).run(hold_s=0)
    slow = scene.recovered()
    scene.engine.run(scene.recovered(), 0)  # sends nothing, and says so: the count begins anew
    scene.recovered()
    scene.leases().discount(slow)
    assert scene.rows("SELECT claims FROM saga") == [{"claims": 1}], "the owner's, which may be sending"
