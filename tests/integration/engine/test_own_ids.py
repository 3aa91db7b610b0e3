"""The participant chooses the id of a booking, and the undo names this id. The reply with the id may be lost."""

from uuid import uuid4

import pytest

from app.store.instance import Instance, SagaSnapshot
from machines.call import delete, get, post
from machines.fields import text
from machines.keeps import at, header
from machines.loop import IncompleteReplyError
from machines.outcomes import IN_DOUBT, REFUSED_UNDO
from machines.registry import Registry
from machines.replies import Reply
from machines.retry import NEVER, Retry
from machines.saga import Saga
from machines.step import compensatable, pivot
from machines.templates import computed
from machines.transitions import Trigger
from tests.integration.engine.scene import LOST, NOT_SENT, REFUSED, Scene, answer

TWICE = Retry(attempts=2, base_s=0.0)
BOOKED = answer(200, booking={"id": "b/7", "card": "4242"})


def trip(**columns: object) -> Saga:
    """Return a saga that makes a booking, and undoes the booking by its id when the payment is refused."""
    headers = columns.pop("headers", {})
    means, pay_retry = columns.pop("means", {}), columns.pop("pay_retry", Retry())
    pay_probe = columns.pop("pay_probe", None)
    return Saga(
        name="trip", version=1, initial="ASKED", completed="PAID", compensated="CALLED_OFF",
        data={"city": text()}, participants=("fly", "pay"),
        steps=(
            compensatable(
                "book", post("fly", "/bookings", city="city", keeps={"id": at("booking.id", text())}, means=means,
                             headers=headers),
                undo=delete("fly", "/bookings/{book.id}", retry=TWICE), done="BOOKED", refused="FULL",
                **({"repeatable": True, "retry": TWICE} | columns),
            ),
            pivot("pay", post("pay", "/pay"), done="PAID", refused="DECLINED", retry=pay_retry, probe=pay_probe),
        ),
    )  # fmt: skip


def run(scene: Scene, definition: Saga):
    scene.registry = Registry([definition])
    return scene.run(definition, city="Oslo")


def paths(scene: Scene) -> list[str]:
    return [f"{request.method} {request.url.partition('8010')[2]}" for request in scene.requests]


def test_a_booking_is_undone_by_the_id_that_its_reply_had(scene):
    saga = run(scene.given(book=[BOOKED], pay=[REFUSED]), trip())
    assert saga.state == "CALLED_OFF"
    assert paths(scene)[-1] == "DELETE /fly/bookings/b%2F7"
    assert scene.requests[-1].body is None


def test_only_what_is_kept_of_a_reply_is_stored(scene):
    run(scene.given(book=[BOOKED]), trip())
    (row,) = scene.rows("SELECT reply FROM journal WHERE step = 'book'")
    assert str(row["reply"]).replace('"', "'").replace(" ", "") == "{'id':'b/7'}"


def test_a_lost_reply_is_recovered_by_the_same_call_with_the_same_key(scene):
    saga = run(scene.given(book=[LOST, LOST, BOOKED]), trip())
    assert saga.state == "CALLED_OFF"
    assert paths(scene) == ["POST /fly/bookings"] * 3 + ["DELETE /fly/bookings/b%2F7"]
    first, _, again, undo = (request.headers["Idempotency-Key"] for request in scene.requests)
    assert first == again
    assert undo.endswith("/book/undo")


def test_a_lost_reply_is_recovered_by_the_probe_with_keeps_of_its_own(scene):
    probe = get("fly", "/bookings/outcome", query={"ref": "saga.id"}, keeps={"id": at("items.0.id", text())})
    found = answer(200, items=[{"id": "b9"}])
    saga = run(scene.given(book=[LOST], probe_book=[LOST, LOST, found]), trip(probe=probe, repeatable=False))
    assert saga.state == "CALLED_OFF"
    assert paths(scene)[-1] == "DELETE /fly/bookings/b9"
    assert paths(scene)[-2] == f"GET /fly/bookings/outcome?ref={saga.id}"


def test_a_probe_that_finds_nothing_to_undo_leaves_the_effect_unknown(scene):
    probe = get("fly", "/bookings/outcome", query={"ref": "saga.id"}, keeps={"id": at("items.0.id", text())})
    nothing = answer(404, detail="no such booking")
    saga = run(scene.given(book=[LOST], probe_book=[nothing] * 3), trip(probe=probe, repeatable=False))
    assert saga.state == "CALLED_OFF"
    (undone,) = scene.rows("SELECT reason FROM journal WHERE direction = 'undo'")
    assert undone["reason"].startswith("the probe found nothing to undo, but a call may still be on its way: 404")


def test_nothing_is_undone_when_the_recovery_says_that_nothing_was_done(scene):
    saga = run(scene.given(book=[LOST, LOST, answer(402, detail="no")]), trip())
    assert saga.state == "CALLED_OFF"
    assert paths(scene) == ["POST /fly/bookings"] * 3
    (undone,) = scene.rows("SELECT reason FROM journal WHERE direction = 'undo'")
    assert undone["reason"] == "nothing to undo, book was never done: 402 no"


@pytest.mark.parametrize(
    "lost", [LOST, answer(500), answer(202), answer(200, booking={}), answer(200, booking={"id": 5})]
)
def test_a_reply_that_cannot_be_recovered_makes_the_undo_stuck(scene, lost):
    saga = run(scene.given(book=[lost] * 5), trip())
    assert saga.state == "STUCK_UNDO_BOOK"
    assert paths(scene) == ["POST /fly/bookings"] * 4
    assert "the reply of book is lost, and POST fly/bookings did not recover it" in str(saga.error)


def test_a_conflict_with_the_same_key_is_no_proof_that_nothing_was_done(scene):
    saga = run(scene.given(book=[LOST, LOST, answer(409), answer(409)]), trip())
    assert saga.state == "STUCK_UNDO_BOOK"


def test_a_recovery_that_cannot_be_sent_waits_without_an_attempt(scene):
    saga = run(scene.given(book=[LOST, LOST, *[NOT_SENT] * 5, BOOKED]), trip())
    assert saga.state == "CALLED_OFF"
    assert paths(scene)[-1] == "DELETE /fly/bookings/b%2F7"


def test_another_process_recovers_the_reply_again(scene):
    definition = trip()
    scene.registry = Registry([definition])
    scene.given(book=[LOST, LOST, BOOKED], undo_book=[NOT_SENT])
    scene.run(definition, max_sleep_s=0.1, city="Oslo")
    scene.given(book=[BOOKED])
    saga = scene.recovered("other")
    assert (saga.state, saga.results) == ("UNDOING_BOOK", {})
    scene.engine.run(saga, 1000.0)
    assert saga.state == "CALLED_OFF"
    assert paths(scene)[-3:] == ["DELETE /fly/bookings/b%2F7", "POST /fly/bookings", "DELETE /fly/bookings/b%2F7"]


def test_a_refusal_that_leaves_something_behind_is_undone(scene):
    means = {"status": {"requires_action": REFUSED_UNDO}}
    left = Reply(status=200, body={"status": "requires_action", "booking": {"id": "b7"}})
    saga = run(scene.given(book=[left]), trip(means=means))
    assert saga.state == "CALLED_OFF"
    assert scene.states == ["ASKED", "FULL", "UNDOING_BOOK", "CALLED_OFF"]
    assert paths(scene) == ["POST /fly/bookings", "DELETE /fly/bookings/b7"]
    assert saga.error == 'FULL: book: 200: status is "requires_action"'


def test_a_refusal_that_leaves_nothing_behind_is_not_undone(scene):
    saga = run(scene.given(book=[REFUSED]), trip())
    assert paths(scene) == ["POST /fly/bookings"]
    assert saga.state == "CALLED_OFF"


def test_a_status_means_what_the_call_says(scene):
    saga = run(scene.given(book=[answer(409), BOOKED]), trip(means={409: IN_DOUBT}))
    assert saga.state == "PAID"
    assert [row["trigger"] for row in scene.rows("SELECT * FROM journal ORDER BY seq")].count("retry") == 1


@pytest.mark.parametrize(("reply", "state"), [
    (answer(404, error="gone"), "CALLED_OFF"), (answer(410), "CALLED_OFF"),
    (answer(403), None), (Reply(status=404, body=None), None), (REFUSED, "STUCK_UNDO_BOOK"),
])  # fmt: skip
def test_a_delete_of_what_is_gone_is_done_when_the_participant_itself_says_so(scene, reply, state):
    definition = trip()
    scene.registry = Registry([definition])
    scene.given(book=[BOOKED], pay=[REFUSED], undo_book=[reply])
    saga = scene.run(definition, max_sleep_s=0.0, city="Oslo")
    assert saga.state == (state or "UNDOING_BOOK")


def test_an_undo_is_retried_as_often_as_its_call_says(scene):
    saga = run(scene.given(book=[BOOKED], pay=[REFUSED], undo_book=[LOST] * 9), trip())
    assert saga.state == "STUCK_UNDO_BOOK"
    assert scene.calls.count("undo_book") == 2


def test_a_pivot_at_a_participant_without_keys_is_sent_once_and_then_stuck(scene):
    saga = run(scene.given(book=[BOOKED], pay=[LOST]), trip(pay_retry=NEVER))
    assert saga.state == "STUCK_PAY"
    assert scene.calls == ["book", "pay"]


def test_the_field_that_is_missing_is_named(scene):
    saga = run(scene.given(book=[answer(200, booking={})] * 4), trip())
    assert "200, but without the field booking.id" in str(saga.error)


def test_an_id_from_a_header_is_kept_by_its_last_segment(scene):
    definition = Saga(
        name="trip", version=1, initial="ASKED", completed="PAID", compensated="CALLED_OFF",
        data={"city": text()}, participants=("fly",),
        steps=(
            compensatable("book", post("fly", "/bookings", keeps={"id": header("Location", last_segment=True)}),
                          undo=delete("fly", "/bookings/{book.id}"), done="BOOKED", refused="FULL", repeatable=True),
            pivot("pay", post("fly", "/pay"), done="PAID", refused="DECLINED"),
        ),
    )  # fmt: skip
    created = Reply(status=201, body={}, blank=True, headers={b"location": b"https://fly.example/bookings/b%2F7?x=y"})
    run(scene.given(book=[created], pay=[REFUSED]), definition)
    assert paths(scene)[-1] == "DELETE /fly/bookings/b%2F7"


def taken_over(scene: Scene, definition: Saga):
    """Let the process die while the payment is in flight. Return the saga as the next process claims it."""
    scene.registry = Registry([definition])

    def die(request):
        if request.headers["Saga-Step"] == "pay":
            raise KeyboardInterrupt

    scene.at_each_call = die
    with pytest.raises(KeyboardInterrupt):
        scene.run(definition, city="Oslo")
    scene.at_each_call = lambda _request: None
    return scene.recovered("other")


def test_a_call_that_is_sent_only_once_is_not_sent_again_after_a_crash(scene):
    saga = taken_over(scene.given(book=[BOOKED]), trip(pay_retry=NEVER))
    scene.engine.run(saga, 1000.0)
    assert (saga.state, scene.calls) == ("STUCK_PAY", ["book", "pay"])
    assert saga.error == "STUCK_PAY: pay: it may have been sent before, and it is sent only once"


def test_the_probe_of_a_call_that_is_sent_only_once_is_asked_after_a_crash(scene):
    probe = get("pay", "/payments/outcome", query={"ref": "saga.id"})
    saga = taken_over(scene.given(book=[BOOKED]), trip(pay_retry=NEVER, pay_probe=probe))
    scene.given(probe_pay=[LOST, answer(200)])
    scene.engine.run(saga, 1000.0)
    assert (saga.state, scene.calls) == ("PAID", ["book", "pay", "probe_pay", "probe_pay"])


def test_a_call_that_is_sent_only_once_is_not_sent_again_after_a_busy_answer(scene):
    busy = Reply(status=503, body={}, retry_after_s=1.0)
    saga = run(scene.given(book=[BOOKED], pay=[busy]), trip(pay_retry=NEVER))
    assert (saga.state, scene.calls) == ("STUCK_PAY", ["book", "pay"])


def test_a_person_may_send_a_call_again_that_is_sent_only_once(scene):
    definition = trip(pay_retry=NEVER)
    saga = run(scene.given(book=[BOOKED], pay=[LOST]), definition)
    scene.service.retry(saga.id, "ada", "the bank says that it has no payment")
    assert scene.calls == ["book", "pay", "pay"]


def test_a_success_of_a_call_with_meanings_is_not_explained(scene):
    run(scene.given(book=[BOOKED]), trip(means={"status": {"failed": "refused"}}))
    (row,) = scene.rows("SELECT reason FROM journal WHERE step = 'book'")
    assert row["reason"] == "200"


def without_most_of_the_id(key: str) -> str:
    return key[24:]


def test_a_participant_gets_the_key_that_it_takes_at_each_attempt_and_in_the_recovery(scene):
    own = {"Idempotency-Key": computed(without_most_of_the_id, "saga.key")}
    saga = run(scene.given(book=[LOST, LOST, BOOKED]), trip(headers=own))
    keys = [request.headers["Idempotency-Key"] for request in scene.requests]
    short = str(saga.id)[24:]
    assert keys == [f"{short}/book/do"] * 3 + [f"{saga.id}/book/undo"]


@pytest.mark.parametrize(("reply", "wrong"), [({"id": 77}, "field id is 77, no text"), ({}, "id")])
def test_a_reply_given_by_hand_has_the_types_of_what_is_kept(scene, reply, wrong):
    definition = trip(retry=Retry(attempts=2))
    scene.registry = Registry([definition])
    scene.given(book=[BOOKED], pay=[REFUSED], undo_book=[REFUSED])
    stuck = Instance(definition, uuid4(), {"city": "Oslo"}, "STUCK_BOOK", in_doubt=True)
    with pytest.raises(IncompleteReplyError) as refused:
        scene.engine.request_move(as_committed(stuck), Trigger.RESOLVE, "ops", "done by hand", reply)
    assert refused.value.fields == [wrong]


def test_a_reply_given_by_hand_is_stored_as_the_call_keeps_it(scene):
    definition = trip()
    stuck = Instance(definition, uuid4(), {"city": "Oslo"}, "STUCK_BOOK", in_doubt=True)
    scene.engine.request_move(as_committed(stuck), Trigger.RESOLVE, "ops", "by hand", {"id": "b8", "card": "4242"})
    assert (stuck.state, stuck.results) == ("BOOKED", {"book": {"id": "b8"}})


def as_committed(saga: Instance) -> Instance:
    """Return the saga as if its state were committed, because a person can act only on a committed state."""
    saga.committed_snapshot = SagaSnapshot(id=saga.id, state=saga.state, status="stuck", error=None)
    return saga


def test_a_refusal_has_the_participants_words_although_it_lacks_what_is_kept(scene):
    saga = run(scene.given(book=[answer(422, detail="the flight is full")]), trip())
    assert saga.error == "FULL: book: 422 the flight is full"


def test_a_refused_credential_names_the_setting_although_the_reply_lacks_what_is_kept(scene):
    definition = trip()
    scene.registry = Registry([definition])
    saga = scene.given(book=[answer(401, error="who are you")]).run(definition, max_sleep_s=0.0, city="Oslo")
    assert str(saga.waits_for).startswith("401 who are you; check PARTICIPANT")
