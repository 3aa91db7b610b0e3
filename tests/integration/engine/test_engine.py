import gzip
from types import SimpleNamespace

import pytest

from app.calls.answer import LARGEST_REPLY_BYTES
from app.calls.client import HttpClient, Request
from app.store.sagas import FencedError
from machines.call import post
from machines.fields import text
from machines.history import is_probe
from machines.retry import Retry
from machines.saga import Saga
from machines.step import compensatable, pivot
from tests.integration.engine.inputs import FORWARD, DiedError, die
from tests.integration.engine.scene import CART, LOST, NOT_SENT, REFUSED, Reply, answer
from tests.support.scripted_server import http, serving

PATHFINDER = Saga(
    name="pathfinder", version=1, initial="HERE", completed="THERE", compensated="UNDONE",
    data={"place": text()}, participants=("map",),
    steps=(pivot("go", post("map", "/places/{place}/go"), done="THERE", refused="LOST"),),
)  # fmt: skip

#: A saga whose second call has a field of the first reply in its path.
BOOKER = Saga(
    name="booker", version=1, initial="ASKED", completed="GONE", compensated="CALLED_OFF",
    data={"place": text()}, participants=("map",),
    steps=(
        compensatable("book", post("map", "/book", place="place"), undo=post("map", "/unbook"),
                      done="BOOKED", refused="FULL", undoing="UNBOOKING", retry=Retry(attempts=1)),
        pivot("go", post("map", "/places/{book.number}/go"), done="GONE", refused="LOST"),
    ),
)  # fmt: skip


def test_checkout_is_confirmed_when_every_call_succeeds(scene):
    saga = scene.run()
    assert (saga.state, saga.status, saga.error) == ("CONFIRMEE", "completed", None)
    assert scene.calls == FORWARD
    assert scene.states == [
        "INITIEE", "PANIER_RECUPERE", "STOCK_RESERVE", "PAIEMENT_EFFECTUE", "COMMANDE_ENREGISTREE", "CONFIRMEE",
    ]  # fmt: skip
    assert scene.rows("SELECT state, status, due_at FROM saga") == [
        {"state": "CONFIRMEE", "status": "completed", "due_at": None}
    ]


def test_four_steps_with_effects_take_five_commits_of_one_statement(scene):
    scene.run()
    assert [sql.split()[0] for sql in scene.statements] == ["INSERT", "UPDATE", "UPDATE", "UPDATE", "UPDATE"]


def test_call_is_sent_only_after_its_intent_is_durable(scene):
    durable = []
    scene.at_each_call = lambda _request: durable.append([row["state"] for row in scene.rows("SELECT state FROM saga")])
    scene.run()
    # The first step is a read and has no effect, so no commit is needed before it.
    assert durable == [[], ["PANIER_RECUPERE"], ["STOCK_RESERVE"], ["PAIEMENT_EFFECTUE"], ["COMMANDE_ENREGISTREE"]]


def test_no_connection_is_held_during_a_call(scene):
    kept = scene.engine.store.connections
    held = []
    scene.at_each_call = lambda _request: held.append(scene.database.pool.checkedout() - len(kept._idle))
    scene.given(payer=[REFUSED]).run()
    assert set(held) == {0}
    assert len(kept._idle) == 1


def test_each_call_has_its_idempotency_key_and_headers(scene):
    saga = scene.given(payer=[REFUSED]).run()
    reserve, release = scene.requests[1], scene.requests[3]
    assert reserve.headers["Idempotency-Key"] == f"{saga.id}/reserver_stock/do"
    assert release.headers["Idempotency-Key"] == f"{saga.id}/reserver_stock/undo"
    assert (reserve.headers["Saga-Id"], reserve.headers["Saga-Step"]) == (str(saga.id), "reserver_stock")
    assert reserve.headers["Saga-Epoch"] == "1"
    assert reserve.headers["traceparent"].startswith(f"00-{saga.id.hex}-")
    assert reserve.url == "http://127.0.0.1:8010/stock/reserver"
    assert reserve.body == {"produits": [{"produit_id": "p", "quantite": 2, "prix": 10.5}]}
    assert scene.requests[0].url == "http://127.0.0.1:8010/panier/4"
    assert scene.requests[0].body is None


def test_refused_first_read_ends_the_saga_without_compensation(scene):
    saga = scene.given(lire_panier=[answer(404, title="no cart")]).run()
    assert (saga.state, saga.error) == ("ANNULEE", "ECHEC_PANIER: lire_panier: 404 no cart")
    assert scene.calls == ["lire_panier"]
    assert scene.states == ["INITIEE", "ECHEC_PANIER", "ANNULEE"]


def test_refused_payment_releases_stock(scene):
    saga = scene.given(payer=[REFUSED]).run()
    assert (saga.state, saga.status) == ("ANNULEE", "compensated")
    assert scene.calls == ["lire_panier", "reserver_stock", "payer", "undo_reserver_stock"]
    assert scene.states[-4:] == ["STOCK_RESERVE", "ECHEC_PAIEMENT", "LIBERATION_STOCK", "ANNULEE"]


def test_a_refused_pivot_undoes_everything_in_reverse(scene):
    scene.given(enregistrer_vente=[REFUSED]).run()
    assert scene.calls[-3:] == ["enregistrer_vente", "undo_payer", "undo_reserver_stock"]
    assert scene.states[-4:] == ["ECHEC_ENREGISTREMENT", "REMBOURSEMENT", "LIBERATION_STOCK", "ANNULEE"]


def test_call_in_doubt_is_repeated_with_the_same_key(scene):
    saga = scene.given(payer=[LOST, answer(503)]).run()
    assert saga.state == "CONFIRMEE"
    assert scene.calls.count("payer") == 3
    keys = {r.headers["Idempotency-Key"] for r in scene.requests if "/payer/" in r.headers["Idempotency-Key"]}
    assert keys == {f"{saga.id}/payer/do"}
    assert scene.slept == [1.0, 2.0]


def test_every_attempt_is_in_the_journal(scene):
    scene.given(payer=[LOST, answer(503, detail="busy")]).run()
    rows = scene.rows("SELECT trigger, attempt, reason, status_code FROM journal WHERE step = 'payer' ORDER BY seq")
    assert [tuple(row.values()) for row in rows] == [
        ("retry", 1, "the connection was lost before the answer", None),
        ("retry", 2, "503 busy", 503),
        ("succeeded", 3, "200", 200),
    ]


def test_step_that_stays_in_doubt_is_compensated_with_those_before(scene):
    saga = scene.given(payer=[LOST] * 4).run()
    assert saga.state == "ANNULEE"
    assert scene.calls == ["lire_panier", "reserver_stock", *["payer"] * 4, "undo_payer", "undo_reserver_stock"]
    assert scene.states[-4:] == ["ECHEC_PAIEMENT", "REMBOURSEMENT", "LIBERATION_STOCK", "ANNULEE"]


def test_step_refused_in_doubt_is_compensated_with_those_before(scene):
    scene.given(payer=[LOST, REFUSED]).run()
    assert scene.calls[-2:] == ["undo_payer", "undo_reserver_stock"]


def test_read_that_stays_in_doubt_is_not_undone(scene):
    saga = scene.given(lire_panier=[answer(500)] * 4).run()
    assert (saga.state, scene.calls) == ("ANNULEE", ["lire_panier"] * 4)


def test_pivot_in_doubt_is_stuck(scene):
    saga = scene.given(enregistrer_vente=[LOST] * 4).run()
    assert (saga.state, saga.status) == ("STUCK_ENREGISTRER_VENTE", "stuck")
    assert scene.calls.count("enregistrer_vente") == 4
    assert scene.calls[-1] == "probe_enregistrer_vente"
    said = "its probe says that it was not done, and no attempt is left: 404 Not done; "
    said += "the last attempt: the connection was lost before the answer"
    assert saga.error == f"STUCK_ENREGISTRER_VENTE: enregistrer_vente: {said}"
    assert scene.rows("SELECT status, due_at FROM saga") == [{"status": "stuck", "due_at": None}]


def test_probe_is_sent_before_a_call_in_doubt_is_repeated(scene):
    scene.given(enregistrer_vente=[LOST], probe_enregistrer_vente=[answer(201, vente_id="v1")])
    saga = scene.run()
    assert saga.state == "CONFIRMEE"
    assert scene.calls[3:] == ["enregistrer_vente", "probe_enregistrer_vente", "confirmer"]
    assert saga.results["enregistrer_vente"] == {"vente_id": "v1"}
    call, probe = (r for r in scene.requests if "/enregistrer_vente/" in r.headers["Idempotency-Key"])
    assert (probe.method, probe.body, probe.headers["Idempotency-Key"]) == (
        "GET",
        None,
        call.headers["Idempotency-Key"],
    )


def test_probe_decides_after_the_last_attempt(scene):
    not_done = answer(404)
    scene.given(enregistrer_vente=[LOST] * 4, probe_enregistrer_vente=[not_done, not_done, not_done, answer(201)])
    assert scene.run().state == "CONFIRMEE"
    assert scene.calls.count("enregistrer_vente") == 4


def test_last_probe_that_cannot_be_sent_is_deferred(scene):
    probes = [answer(404), answer(404), answer(404), NOT_SENT, answer(201)]
    scene.given(enregistrer_vente=[LOST] * 4, probe_enregistrer_vente=probes)
    assert scene.run().state == "CONFIRMEE"
    assert scene.calls.count("probe_enregistrer_vente") == 5


def test_failed_probe_counts_as_an_attempt_when_the_breaker_opens(scene):
    """If a failed probe did not count, each probe would open the breaker again, and the saga would never end."""
    calls, probes = [LOST, *[NOT_SENT] * 20], [answer(503)] * 20
    saga = scene.given(enregistrer_vente=calls, probe_enregistrer_vente=probes).run()
    assert saga.state == "STUCK_ENREGISTRER_VENTE"
    assert scene.calls.count("probe_enregistrer_vente") == 4


def test_unsent_call_after_an_answered_probe_counts_no_attempt(scene):
    calls = [LOST, *[NOT_SENT] * 5, answer(201, vente_id="v1")]
    saga = scene.given(enregistrer_vente=calls, probe_enregistrer_vente=[answer(404)] * 6).run()
    assert saga.state == "CONFIRMEE"


@pytest.mark.parametrize("says_no", [404, 409, 410])
def test_probe_that_finds_nothing_proves_nothing(scene, says_no):
    """The call may still be on its way. Only a person can decide that the call will not arrive."""
    scene.given(enregistrer_vente=[LOST] * 4, probe_enregistrer_vente=[answer(says_no)] * 4)
    assert scene.run().state == "STUCK_ENREGISTRER_VENTE"


def test_first_attempt_sends_no_probe(scene):
    scene.run()
    assert not [call for call in scene.calls if call.startswith("probe")]


def test_probe_is_sent_first_after_a_crash_around_the_pivot(scene):
    scene.at_each_call = lambda _request: die() if len(scene.requests) == 4 else None
    with pytest.raises(DiedError):
        scene.run()
    scene.given(probe_enregistrer_vente=[answer(201)])
    scene.engine.run(scene.recovered(), 1000)
    assert scene.calls[3:] == ["enregistrer_vente", "probe_enregistrer_vente", "confirmer"]


def test_retriable_step_is_stuck_after_its_last_attempt(scene):
    saga = scene.given(confirmer=[LOST, *[answer(500)] * 20]).run()
    assert saga.state == "STUCK_CONFIRMER"
    assert scene.calls.count("confirmer") == 10
    assert not [call for call in scene.calls if call.startswith("undo")]


def test_refused_retriable_is_stuck_at_once_with_the_reason(scene):
    saga = scene.given(confirmer=[answer(409, detail="expired")]).run()
    assert (saga.state, saga.error) == ("STUCK_CONFIRMER", "STUCK_CONFIRMER: confirmer: 409 expired")
    assert scene.calls == FORWARD
    assert scene.rows("SELECT status, due_at FROM saga") == [{"status": "stuck", "due_at": None}]


def test_compensation_in_doubt_is_stuck_after_its_last_attempt(scene):
    saga = scene.given(payer=[REFUSED], undo_reserver_stock=[answer(500, detail="no")] * 20).run()
    assert (saga.state, saga.status) == ("STUCK_UNDO_RESERVER_STOCK", "stuck")
    assert saga.error == "STUCK_UNDO_RESERVER_STOCK: reserver_stock: 500 no"
    assert scene.calls.count("undo_reserver_stock") == 10


def test_refused_compensation_is_stuck_at_once_with_the_reason(scene):
    saga = scene.given(payer=[REFUSED], undo_reserver_stock=[answer(409, detail="already shipped")]).run()
    assert (saga.state, saga.status) == ("STUCK_UNDO_RESERVER_STOCK", "stuck")
    assert saga.error == "STUCK_UNDO_RESERVER_STOCK: reserver_stock: 409 already shipped"
    assert scene.calls.count("undo_reserver_stock") == 1


def test_compensation_refused_in_doubt_says_that_it_may_have_worked(scene):
    saga = scene.given(payer=[REFUSED], undo_reserver_stock=[LOST, answer(409, detail="released")]).run()
    assert saga.error == (
        "STUCK_UNDO_RESERVER_STOCK: reserver_stock: 409 released, after an attempt that may have worked"
    )


def test_compensation_turned_away_by_a_gateway_waits(scene):
    saga = scene.given(payer=[REFUSED], undo_reserver_stock=[answer(401)] * 15).run()
    assert saga.state == "ANNULEE"
    assert scene.calls.count("undo_reserver_stock") == 16


def test_pivot_refused_in_doubt_is_stuck_and_nothing_is_undone(scene):
    paid = answer(409, detail="order already paid")
    saga = scene.given(go=[LOST, paid]).run(PATHFINDER, place="here")
    assert (saga.state, saga.status) == ("STUCK_GO", "stuck")
    assert saga.error == "STUCK_GO: go: 409 order already paid, after an attempt that may have worked"
    (last,) = scene.rows("SELECT trigger, status_code FROM journal ORDER BY seq DESC LIMIT 1")
    assert tuple(last.values()) == ("refused_in_doubt", 409)


def test_a_move_by_a_probe_says_so_and_counts_as_no_attempt_of_the_call(scene):
    scene.given(enregistrer_vente=[LOST], probe_enregistrer_vente=[answer(201, vente_id="v1")])
    saga = scene.run()
    rows = scene.rows("SELECT trigger, reason FROM journal WHERE step = 'enregistrer_vente' ORDER BY seq")
    assert [row["trigger"] for row in rows] == ["retry", "succeeded"]
    assert [is_probe(SimpleNamespace(**row)) for row in rows] == [False, True]
    assert rows[1]["reason"] == "probe: 201"
    assert saga.state == "CONFIRMEE"


def test_probe_is_sent_after_a_pivot_is_refused_in_doubt(scene):
    scene.given(enregistrer_vente=[LOST, REFUSED], probe_enregistrer_vente=[answer(404), answer(201, vente_id="v")])
    saga = scene.run()
    assert saga.state == "CONFIRMEE"
    assert scene.calls[3:] == [
        "enregistrer_vente", "probe_enregistrer_vente", "enregistrer_vente", "probe_enregistrer_vente", "confirmer",
    ]  # fmt: skip
    assert saga.results["enregistrer_vente"] == {"vente_id": "v"}


@pytest.mark.parametrize("says_no", [404, 409, 410])
def test_pivot_refused_in_doubt_is_stuck_when_its_probe_finds_nothing(scene, says_no):
    no = answer(says_no, title="Not done")
    saga = scene.given(enregistrer_vente=[LOST, REFUSED], probe_enregistrer_vente=[no, no]).run()
    assert saga.error == (
        "STUCK_ENREGISTRER_VENTE: enregistrer_vente: 409 no, after an attempt that may have worked; "
        f"its probe: {says_no} Not done"
    )
    assert not [call for call in scene.calls if call.startswith("undo")]


def test_pivot_refused_in_doubt_waits_for_its_probe(scene):
    probes = [answer(404), answer(401), answer(404), answer(201)]
    saga = scene.given(enregistrer_vente=[LOST, REFUSED, REFUSED], probe_enregistrer_vente=probes).run()
    assert saga.state == "CONFIRMEE"
    (deferred,) = scene.rows("SELECT reason FROM journal WHERE trigger = 'defer'")
    assert deferred["reason"].endswith("; its probe: 401; check PARTICIPANTS_API_KEY")


def test_pivot_refused_after_a_crash_is_stuck_again_after_a_retry(scene):
    scene.at_each_call = lambda _request: die() if len(scene.requests) == 4 else None
    with pytest.raises(DiedError):
        scene.run()
    scene.given(enregistrer_vente=[REFUSED] * 2)
    saga = scene.recovered()
    scene.engine.run(saga, 1000)
    assert saga.state == "STUCK_ENREGISTRER_VENTE"
    assert scene.service.retry(saga.id, "ada", "look again").state == "STUCK_ENREGISTRER_VENTE"
    assert scene.service.compensate(saga.id, "ada", "sales says it has none").status == "compensated"


def test_pivot_refused_at_its_first_attempt_is_compensated(scene):
    assert scene.given(enregistrer_vente=[NOT_SENT, answer(429), REFUSED]).run().state == "ANNULEE"


def test_202_is_in_doubt(scene):
    saga = scene.given(enregistrer_vente=[answer(202)] * 4).run()
    assert saga.state == "STUCK_ENREGISTRER_VENTE"
    saga = scene.given(payer=[answer(202)] * 4).run()
    assert (saga.state, scene.calls[-2:]) == ("ANNULEE", ["undo_payer", "undo_reserver_stock"])
    assert saga.error == "ECHEC_PAIEMENT: payer: 202, but accepted does not say that it is done"


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        (answer(401, detail="no key"), "401 no key; check PARTICIPANTS_API_KEY"),
        (Reply(status=404), "404 without a JSON body; check PARTICIPANT_CLIENT_URL"),
        (answer(429), "429; check THREADS"),
        (answer(308), "308; check PARTICIPANT_CLIENT_URL"),
    ],
)
def test_call_turned_away_waits_and_names_the_setting(scene, reply, reason):
    saga = scene.given(payer=[reply] * 12).run()
    assert saga.state == "CONFIRMEE"
    assert scene.slept[:3] == [0.5, 1.0, 2.0]
    rows = scene.rows("SELECT trigger, attempt, reason FROM journal WHERE step = 'payer' ORDER BY seq")
    assert {tuple(row.values()) for row in rows[:-1]} == {("defer", 0, reason)}
    assert rows[-1]["attempt"] == 1


def test_a_call_that_is_turned_away_is_counted_by_the_setting_to_check(scene):
    scene.given(payer=[answer(401), Reply(status=404)]).run()
    scene.telemetry.queue.join()
    counted = {
        (sample.labels["participant"], sample.labels["setting"]): sample.value
        for metric in scene.metrics.collect()
        for sample in metric.samples
        if sample.name == "saga_participant_calls_turned_away_total"
    }
    assert counted == {("client", "PARTICIPANTS_API_KEY"): 1.0, ("client", "PARTICIPANT_CLIENT_URL"): 1.0}


def test_503_with_retry_after_is_in_doubt_and_counts_no_attempt(scene):
    busy = Reply(status=503, body={}, retry_after_s=7.0)
    scene.given(payer=[busy] * 12 + [REFUSED]).run(max_sleep_s=10_000)
    assert len(scene.slept) == 12
    assert scene.calls[-2:] == ["undo_payer", "undo_reserver_stock"]


def test_unsent_call_counts_no_attempt(scene):
    saga = scene.given(payer=[NOT_SENT] * 12).run()
    assert saga.state == "CONFIRMEE"
    assert scene.slept == [0.5, 1.0, 2.0, 4.0, 8.0, 16.0, *[30.0] * 6]
    (last,) = scene.rows("SELECT attempt FROM journal WHERE step = 'payer' AND trigger = 'succeeded'")
    assert last["attempt"] == 1


def test_success_without_a_needed_field_is_in_doubt(scene):
    saga = scene.given(reserver_stock=[answer(200)] * 4).run()
    assert saga.error == "ECHEC_STOCK: reserver_stock: 200, but without the field reservation_id"
    assert saga.state == "ANNULEE"
    assert scene.calls == ["lire_panier", *["reserver_stock"] * 4, "undo_reserver_stock"]


TOO_LARGE = Reply(status=200, unreadable="larger than 1,048,576 bytes", final=True)


def test_success_too_large_to_read_is_not_sent_again(scene):
    saga = scene.given(payer=[TOO_LARGE]).run()
    assert saga.error == "ECHEC_PAIEMENT: payer: 200, but larger than 1,048,576 bytes"
    assert scene.calls == ["lire_panier", "reserver_stock", "payer", "undo_payer", "undo_reserver_stock"]


@pytest.mark.parametrize(
    "content",
    [
        http(b" " * LARGEST_REPLY_BYTES),
        http(gzip.compress(b" " * 2 * LARGEST_REPLY_BYTES), headers="Content-Encoding: gzip\r\n"),
    ],
    ids=["plain", "gzip"],
)
def test_too_large_success_of_a_real_server_is_not_sent_again(scene, content):
    with serving() as server:
        server.answers.append(content)
        request = Request(
            participant="client", method="POST", url=f"{server.url}/pay", headers={}, body={}, timeout_s=10
        )
        reply = HttpClient(1).send(request)
    saga = scene.given(payer=[reply]).run()
    assert saga.error.startswith("ECHEC_PAIEMENT: payer: 200, but larger than 1,048,576 bytes")
    assert scene.calls.count("payer") == 1


def test_retriable_is_stuck_at_once_when_its_reply_is_too_large(scene):
    saga = scene.given(confirmer=[TOO_LARGE]).run()
    assert (saga.state, scene.calls) == ("STUCK_CONFIRMER", FORWARD)


def test_probe_decides_when_the_reply_of_the_pivot_is_too_large(scene):
    saga = scene.given(enregistrer_vente=[TOO_LARGE], probe_enregistrer_vente=[answer(201, vente_id="v1")]).run()
    assert (saga.state, saga.results["enregistrer_vente"]) == ("CONFIRMEE", {"vente_id": "v1"})
    assert scene.calls.count("enregistrer_vente") == 1


def test_pivot_is_stuck_when_its_reply_is_too_large_and_its_probe_finds_nothing(scene):
    saga = scene.given(enregistrer_vente=[TOO_LARGE]).run()
    assert (saga.state, scene.calls.count("enregistrer_vente")) == ("STUCK_ENREGISTRER_VENTE", 1)
    assert scene.calls[-1] == "probe_enregistrer_vente"


@pytest.mark.parametrize("body", [[{"reservation_id": "r1"}], {"value": "r1"}])
def test_array_lacks_the_fields_that_are_needed(scene, body):
    saga = scene.given(reserver_stock=[Reply(status=200, body=body)] * 4).run()
    assert saga.error == "ECHEC_STOCK: reserver_stock: 200, but without the field reservation_id"


@pytest.mark.parametrize("body", [["a", {"b": 1}], [], {"value": "done"}, {"path": "C:\\u0000"}])
def test_array_is_kept_where_no_field_is_needed(scene, body):
    scene.at_each_call = lambda _request: die() if len(scene.requests) == 4 else None
    with pytest.raises(DiedError):
        scene.given(payer=[Reply(status=200, body=body)]).run()
    saga = scene.recovered()
    assert saga.results["payer"] == body
    scene.engine.run(saga, 1000)
    assert saga.state == "CONFIRMEE"


def test_retry_after_is_obeyed_up_to_a_limit(scene):
    asks = [Reply(status=503, body={}, retry_after_s=7.0), Reply(status=429, body={}, retry_after_s=1e9)]
    scene.given(payer=asks).run(max_sleep_s=10_000)
    assert scene.slept == [7.0, pytest.approx(900.0, abs=5.0)], "until the deadline"
    assert scene.slept[1] <= 900.0
    scene.slept.clear()
    scene.given(confirmer=asks).run(max_sleep_s=10_000)
    assert scene.slept == [7.0, 3600.0], "no deadline ends this wait"


def test_retry_after_may_be_longer_than_an_hour_when_the_deadline_is_later(scene, monkeypatch):
    monkeypatch.setattr("machines.loop.LONGEST_RETRY_AFTER_S", 60.0)  # a limit shorter than the deadline
    scene.given(payer=[Reply(status=429, body={}, retry_after_s=600.0)]).run(max_sleep_s=10_000)
    assert scene.slept == [600.0]


def test_long_wait_is_stored_and_keeps_no_thread(scene):
    saga = scene.given(payer=[LOST]).run(max_sleep_s=0.9)
    assert (saga.state, scene.slept) == ("STOCK_RESERVE", [])
    (row,) = scene.rows("SELECT state, status, attempt, due_at FROM saga")
    assert (row["state"], row["status"], row["attempt"]) == ("STOCK_RESERVE", "running", 1)
    assert row["due_at"] is not None


def lose_the_lease_at_the_second_call(scene):
    def lose(_request):
        if len(scene.requests) == 2:
            scene.recovered("other")

    scene.at_each_call = lose


def test_a_fenced_saga_makes_no_further_call(scene):
    lose_the_lease_at_the_second_call(scene)
    with pytest.raises(FencedError):
        scene.run()
    assert scene.calls == ["lire_panier", "reserver_stock"]
    assert scene.rows("SELECT state, owner FROM saga") == [{"state": "PANIER_RECUPERE", "owner": "other"}]


def test_move_that_was_not_committed_is_not_counted(scene):
    lose_the_lease_at_the_second_call(scene)
    with pytest.raises(FencedError):
        scene.run()
    counted = {
        sample.labels["dest"]: sample.value
        for metric in scene.metrics.collect()
        for sample in metric.samples
        if sample.name == "saga_transitions_total"
    }
    assert counted == {"INITIEE": 1.0, "PANIER_RECUPERE": 1.0}


def test_recovered_saga_continues_from_its_last_commit(scene):
    scene.at_each_call = lambda _request: die() if len(scene.requests) == 3 else None
    with pytest.raises(DiedError):
        scene.run()
    saga = scene.recovered()
    scene.engine.run(saga, 1000)
    assert saga.state == "CONFIRMEE"
    assert scene.calls == ["lire_panier", "reserver_stock", "payer", "payer", "enregistrer_vente", "confirmer"]
    assert scene.requests[-1].body == {"reservation_id": "r1"}
    assert scene.requests[-1].headers["Saga-Epoch"] == "2"


def test_step_refused_after_a_crash_is_compensated_with_those_before(scene):
    """The call is in doubt, because the former owner may have sent it. So this step is compensated, too."""
    scene.at_each_call = lambda _request: die() if len(scene.requests) == 3 else None
    with pytest.raises(DiedError):
        scene.run()
    scene.given(payer=[REFUSED])
    scene.engine.run(scene.recovered(), 1000)
    assert scene.calls[-2:] == ["undo_payer", "undo_reserver_stock"]


def test_step_refused_at_its_first_sending_is_not_compensated(scene):
    saga = scene.given(payer=[NOT_SENT]).run(max_sleep_s=0)
    assert saga.state == "STOCK_RESERVE"
    scene.given(payer=[REFUSED])
    scene.engine.run(scene.recovered(), 1000)
    assert scene.calls[-1] == "undo_reserver_stock"
    assert "undo_payer" not in scene.calls


def test_reply_that_fits_no_later_path_is_undone_at_once(scene):
    """A later call could not be built from this reply. Without the undo, the saga could not go back after the pivot."""
    saga = scene.given(book=[answer(200, number=None)]).run(BOOKER, place="here")
    assert (saga.state, scene.calls) == ("CALLED_OFF", ["book", "undo_book"])
    assert saga.error == "FULL: book: 200, but number is null, which is no part of a path"


def test_impossible_call_is_refused_without_being_sent(scene):
    """The client's data would put `..` into a path. The engine does not send such a call, so the call has no effect."""
    saga = scene.run(PATHFINDER, place="..")
    assert (saga.state, saga.error) == ("UNDONE", "LOST: go: place is '..', which is no part of a path")
    assert scene.calls == []


def test_large_reply_that_is_no_success_is_not_stored(scene):
    """Only people read such a reply, and a participant could fill the database with it."""
    large = Reply(status=409, body={"detail": "no " * 300_000}, size=900_000)
    saga = scene.given(payer=[large]).run()
    assert saga.state == "ANNULEE"
    assert large.reason in saga.error
    (stored,) = [
        row["reply"] for row in scene.rows("SELECT reply FROM journal WHERE step = 'payer' AND reply IS NOT NULL")
    ]
    assert "left_out" in str(stored)
    assert "900000 bytes" in str(stored)
    assert len(str(stored)) < 200


def test_large_reply_of_a_success_is_stored(scene):
    large = Reply(status=200, body={**CART, "more": "x" * 100_000}, size=100_000)
    scene.given(lire_panier=[large]).run()
    stored = scene.rows("SELECT reply FROM journal WHERE step = 'lire_panier' AND reply IS NOT NULL")
    assert [len(str(row["reply"])) > 100_000 for row in stored] == [True]
