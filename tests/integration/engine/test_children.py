"""A step that starts another saga: its start, its result, its failure, its compensation, and what a person may do."""

from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import update

from app.errors import ConflictError
from app.store.models import SagaRow
from machines.branching import sub
from machines.call import post
from machines.conditions import equal
from machines.fields import money, text
from machines.keeps import at
from machines.loop import CHILD_LOOK_S
from machines.registry import Registry
from machines.saga import Saga
from machines.step import Step, compensatable, pause, pivot, retriable
from tests.integration.engine.families import InlinePool, ends, settle, the, wake
from tests.integration.engine.passing import pass_time
from tests.integration.engine.scene import LOST, REFUSED, Scene, answer

HOUR = 3_600.0
AUTHORIZED = answer(201, id="A1")
HOLD = compensatable(
    "hold", post("stock", "/holds"), undo=post("stock", "/releases"), done="HELD", refused="SHORT",
)  # fmt: skip


def payment(*, version: int = 1, last: Step | None = None, **columns: Any) -> Saga:
    """Return the saga that is started as a child: it authorizes and captures an amount."""
    capture = compensatable(
        "capture", post("bank", "/captures", id="authorize.id"), undo=post("bank", "/refunds"),
        done="PAID", refused="NOT_CAPTURED",
    )  # fmt: skip
    return Saga(
        name="payment", version=version, initial="ASKED", completed="PAID", compensated="NOT_PAID",
        participants=("bank",),
        steps=(
            compensatable(
                "authorize", post("bank", "/authorizations", amount="amount", keeps={"id": text()}),
                undo=post("bank", "/voids"), done="AUTHORIZED", refused="DECLINED",
            ),
            last or capture,
        ),
        **({"data": {"amount": money()}} | columns),
    )  # fmt: skip


def order(*after: Step, child: Step | None = None, **columns: Any) -> Saga:
    """Return the parent: it holds the goods, pays by a child, and sends the goods."""
    pays = sub(
        "payment", data={"amount": "amount"}, keeps={"id": at("authorize.id", text())},
        done="PAID_FOR", refused="NOT_PAID_FOR",
    )  # fmt: skip
    return Saga(
        name="order", version=1, initial="NEW", completed="SENT", compensated="CALLED_OFF", deadline_s=HOUR,
        steps=(
            HOLD,
            child or pays,
            *(after or (pivot("send", post("mail", "/parcels"), done="SENT", refused="NOT_SENT"),)),
        ),
        **({"participants": ("stock", "mail"), "data": {"amount": money()}} | columns),
    )  # fmt: skip


SEND = compensatable(
    "send", post("mail", "/parcels", paid="payment.id"), undo=post("mail", "/recalls"), done="SENT", refused="NOT_SENT",
)  # fmt: skip


def begin(scene: Scene, parent: Saga, child: Saga | None = None) -> UUID:
    """Start the parent, and let processes run every saga that is due. Return its id."""
    scene.registry = Registry([parent, child or payment()])
    scene.runner.pool = InlinePool()
    saga = scene.run(parent, amount="12.00")
    settle(scene)
    return saga.id


def test_a_step_starts_a_child_and_uses_its_result(scene):
    scene.given(authorize=[AUTHORIZED])
    parent = begin(scene, order(SEND))
    assert ends(scene) == {"order": "SENT", "payment": "PAID"}
    assert scene.calls == ["hold", "authorize", "capture", "send"]
    assert scene.requests[-1].body == {"paid": "A1"}
    child = the(scene, "payment")
    assert (UUID(str(child["parent_id"])), child["parent_step"], child["child_number"]) == (parent, "payment", 1)
    assert child["idempotency_key"].endswith(f" {parent}/payment/1")
    (row,) = scene.rows("SELECT * FROM journal WHERE step = 'payment'")
    assert (row["trigger"], row["reason"]) == ("succeeded", f"saga {child['id']} has completed")


def test_the_parent_waits_and_its_child_is_due_after_one_commit(scene):
    scene.registry = Registry([order(), payment()])
    scene.run(scene.registry.latest("order"), amount="12.00")
    rows = {row["definition"]: row for row in scene.rows("SELECT * FROM saga")}
    assert (rows["order"]["state"], rows["order"]["status"], rows["order"]["owner"]) == ("HELD", "waiting", None)
    assert (rows["payment"]["state"], rows["payment"]["owner"]) == ("ASKED", None)
    assert rows["payment"]["due_at"] is not None


def test_a_child_that_is_refused_makes_the_parent_go_back(scene):
    scene.given(authorize=[AUTHORIZED], capture=[REFUSED])
    begin(scene, order())
    assert ends(scene) == {"order": "CALLED_OFF", "payment": "NOT_PAID"}
    assert scene.calls == ["hold", "authorize", "capture", "undo_authorize", "undo_hold"]
    assert "NOT_CAPTURED: capture" in the(scene, "order")["error"]


def test_a_later_refusal_compensates_the_child_in_reverse_order(scene):
    scene.given(authorize=[AUTHORIZED], send=[REFUSED])
    begin(scene, order())
    assert ends(scene) == {"order": "CALLED_OFF", "payment": "NOT_PAID"}
    assert scene.calls[-3:] == ["undo_capture", "undo_authorize", "undo_hold"]


def test_a_finished_parent_is_compensated_with_its_child(scene):
    scene.given(authorize=[AUTHORIZED])
    parent = begin(scene, order(SEND))
    scene.service.compensate(parent, "ada", "the customer has died", 0.0)
    settle(scene)
    assert ends(scene) == {"order": "CALLED_OFF", "payment": "NOT_PAID"}
    assert scene.calls[-4:] == ["undo_send", "undo_capture", "undo_authorize", "undo_hold"]


def test_a_cancelled_parent_stops_its_child_and_compensates_it(scene):
    scene.given(authorize=[AUTHORIZED])
    rests = payment(last=pause("rest", for_s=60, done="PAID", refused="STOPPED"))
    parent = begin(scene, order(), rests)
    assert ends(scene) == {"order": "HELD", "payment": "AUTHORIZED"}
    scene.service.compensate(parent, "ada", "the customer has called", 0.0)
    settle(scene)
    assert ends(scene) == {"order": "CALLED_OFF", "payment": "NOT_PAID"}
    assert scene.calls == ["hold", "authorize", "undo_authorize", "undo_hold"]


def test_the_deadline_of_the_parent_stops_its_child(scene):
    scene.given(authorize=[AUTHORIZED])
    rests = payment(last=pause("rest", for_s=10 * HOUR, done="PAID", refused="STOPPED"), deadline_s=20 * HOUR)
    begin(scene, order(), rests)
    pass_time(scene, HOUR + 1)
    settle(scene)
    assert ends(scene) == {"order": "CALLED_OFF", "payment": "NOT_PAID"}
    assert "its deadline of 3600 s is over" in the(scene, "order")["error"]


def test_a_completed_child_has_priority_over_the_deadline_of_its_parent(scene):
    scene.given(authorize=[AUTHORIZED])
    scene.registry = Registry([order(SEND), payment()])
    scene.run(scene.registry.latest("order"), amount="12.00")
    (child,) = scene.leases("other").claim(1, 30)
    scene.engine.run(child, 1000.0)
    _over(scene, "order")
    settle(scene)
    assert ends(scene)["payment"] == "NOT_PAID"  # `send` was not sent after the deadline, so all is undone
    steps = [row["trigger"] for row in scene.rows("SELECT * FROM journal WHERE step = 'payment' ORDER BY seq")]
    assert steps[0] == "succeeded"


def _over(scene: Scene, definition: str) -> None:
    past = {"sqlite": "'2000-01-01 00:00:00.000000'", "postgresql": "timestamptz '2000-01-01'"}
    with scene.database.connect() as connection:
        connection.exec_driver_sql(
            f"UPDATE saga SET deadline_at = {past[scene.database.dialect.name]} WHERE definition = '{definition}'"
        )


def test_the_parent_waits_for_a_stuck_child_that_is_resolved_where_it_is(scene):
    stuck = payment(last=retriable("capture", post("bank", "/captures"), done="PAID"))
    scene.given(authorize=[AUTHORIZED], capture=[REFUSED])
    begin(scene, _last(), stuck)
    assert ends(scene) == {"order": "HELD", "payment": "STUCK_CAPTURE"}
    scene.service.resolve(the(scene, "payment")["id"], "ada", "captured by phone", {}, 0.0)
    settle(scene)
    assert ends(scene) == {"order": "SENT", "payment": "PAID"}


def _last() -> Saga:
    """Return a parent whose last step is a child that must complete."""
    return Saga(
        name="order", version=1, initial="NEW", completed="SENT", compensated="CALLED_OFF", deadline_s=HOUR,
        data={"amount": money()}, participants=("stock",),
        steps=(
            HOLD,
            sub("payment", data={"amount": "amount"}, done="SENT"),
        ),
    )  # fmt: skip


def test_a_child_that_must_complete_and_is_refused_makes_the_parent_stuck_and_a_retry_starts_another(scene):
    scene.given(authorize=[REFUSED, AUTHORIZED])
    parent = begin(scene, _last())
    assert ends(scene) == {"order": "STUCK_PAYMENT", "payment": "NOT_PAID"}
    scene.service.retry(parent, "ada", "the bank works again", 0.0)
    settle(scene)
    assert ends(scene) == {"order": "SENT", "payment": "PAID"}
    assert [row["child_number"] for row in scene.rows("SELECT child_number FROM saga WHERE parent_id IS NOT NULL")] in (
        [1, 2], [2, 1],
    )  # fmt: skip


def test_a_pivot_child_is_neither_cancelled_nor_stopped_by_the_deadline(scene):
    pays = sub("payment", data={"amount": "amount"}, pivot=True, done="PAID_FOR", refused="NOT_PAID_FOR")
    send = retriable("send", post("mail", "/parcels"), done="SENT")
    captures = pivot("capture", post("bank", "/captures"), done="CAPTURED", refused="NOT_CAPTURED")
    rest = pause("rest", for_s=60, done="PAID")
    child = Saga(
        name="payment", version=1, initial="ASKED", completed="PAID", compensated="NOT_PAID", participants=("bank",),
        data={"amount": money()}, steps=(captures, rest),
    )  # fmt: skip
    parent = begin(scene, order(send, child=pays), child)
    assert ends(scene) == {"order": "HELD", "payment": "CAPTURED"}
    with pytest.raises(ConflictError):
        scene.service.compensate(parent, "ada", "too late", 0.0)
    _over(scene, "order")
    wake(scene)
    assert ends(scene) == {"order": "HELD", "payment": "CAPTURED"}
    pass_time(scene, 61)
    settle(scene)
    assert ends(scene) == {"order": "SENT", "payment": "PAID"}


def test_a_pivot_child_that_is_refused_makes_the_parent_go_back(scene):
    pays = sub("payment", data={"amount": "amount"}, pivot=True, done="PAID_FOR", refused="NOT_PAID_FOR")
    scene.given(authorize=[REFUSED])
    begin(scene, order(retriable("send", post("mail", "/parcels"), done="SENT"), child=pays))
    assert ends(scene) == {"order": "CALLED_OFF", "payment": "NOT_PAID"}


def test_a_completed_child_is_not_compensated_by_itself(scene):
    scene.given(authorize=[AUTHORIZED])
    begin(scene, order())
    with pytest.raises(ConflictError, match="which uses its result; compensate that saga"):
        scene.service.compensate(the(scene, "payment")["id"], "ada", "oops", 0.0)


def test_a_stuck_parent_is_not_resolved_past_a_child_that_runs(scene):
    scene.given(authorize=[AUTHORIZED])
    rests = payment(last=pause("rest", for_s=60, done="PAID", refused="STOPPED"))
    parent = begin(scene, order(), rests)
    with scene.database.connect() as connection:
        connection.exec_driver_sql(
            "UPDATE saga SET state = 'STUCK_PAYMENT', status = 'stuck' WHERE definition = 'order'"
        )
    with pytest.raises(ConflictError, match="retry the step, or act on that saga"):
        scene.service.resolve(parent, "ada", "done by hand", {"id": "A7"}, 0.0)


def test_a_child_whose_data_is_refused_makes_the_parent_go_back(scene):
    strict = payment(data={"amount": money(high="10.00")})
    begin(scene, order(), strict)
    assert ends(scene) == {"order": "CALLED_OFF"}
    assert "saga payment cannot be started: its field amount" in the(scene, "order")["error"]


def test_a_child_that_runs_is_kept_when_a_new_version_could_not_be_started(scene):
    scene.given(authorize=[AUTHORIZED])
    rests = payment(last=pause("rest", for_s=60, done="PAID", refused="STOPPED"))
    begin(scene, order(), rests)
    scene.registry = Registry([order(), rests, payment(version=2, data={"amount": money(high="10.00")})])
    del scene.__dict__["engine"]
    wake(scene)
    assert ends(scene) == {"order": "HELD", "payment": "AUTHORIZED"}


def test_a_child_whose_replies_lack_a_kept_field_is_compensated(scene):
    scene.given(authorize=[AUTHORIZED])
    keeps = {"receipt": at("capture.receipt", text())}
    pays = sub("payment", data={"amount": "amount"}, keeps=keeps, done="PAID_FOR", refused="NOT_PAID_FOR")
    begin(scene, order(child=pays))
    assert ends(scene) == {"order": "CALLED_OFF", "payment": "NOT_PAID"}


def test_a_new_child_runs_by_the_newest_version(scene):
    scene.registry = Registry([order(), payment(), payment(version=2)])
    scene.given(authorize=[AUTHORIZED])
    scene.run(scene.registry.latest("order"), amount="12.00")
    settle(scene)
    assert the(scene, "payment")["definition_version"] == 2


def test_a_child_may_have_a_child(scene):
    bill = Saga(
        name="bill", version=1, initial="UNPAID", completed="BILLED", compensated="NOT_BILLED",
        data={"amount": money()}, participants=(),
        steps=(sub("payment", data={"amount": "amount"}, done="BILLED", refused="NO_MONEY"),),
    )  # fmt: skip
    bills = sub("bill", data={"amount": "amount"}, done="PAID_FOR", refused="NOT_PAID_FOR")
    scene.registry = Registry([order(child=bills), bill, payment()])
    scene.given(authorize=[AUTHORIZED], send=[REFUSED])
    scene.run(scene.registry.latest("order"), amount="12.00")
    settle(scene)
    assert ends(scene) == {"order": "CALLED_OFF", "bill": "NOT_BILLED", "payment": "NOT_PAID"}
    assert scene.calls[-3:] == ["undo_capture", "undo_authorize", "undo_hold"]


def test_a_child_in_flight_is_fenced_and_its_call_counts_as_in_doubt(scene):
    """The parent goes back while another process runs the child: the child's next commit changes nothing."""
    scene.registry = Registry([order(), payment()])
    scene.runner.pool = InlinePool()
    scene.given(authorize=[AUTHORIZED, AUTHORIZED])
    parent = scene.run(scene.registry.latest("order"), amount="12.00")
    (child,) = scene.leases("other").claim(1, 30)

    def cancel(request: Any) -> None:
        if request.url.endswith("/authorizations"):
            scene.at_each_call = lambda _request: None
            scene.service.compensate(parent.id, "ada", "stop", 0.0)

    scene.at_each_call = cancel
    scene.runner.run_inline(child, 1000.0, float("inf"))
    settle(scene)
    assert ends(scene) == {"order": "CALLED_OFF", "payment": "NOT_PAID"}
    assert scene.calls == ["hold", "authorize", "undo_authorize", "undo_hold"]


def test_the_child_runs_on_at_once_after_a_lost_reply(scene):
    scene.given(authorize=[LOST, AUTHORIZED])
    begin(scene, order(SEND))
    assert ends(scene) == {"order": "SENT", "payment": "PAID"}


@pytest.mark.parametrize(("pays", "child"), [("yes", "NOT_PAID"), ("no", None)])
def test_a_child_is_started_and_undone_only_when_its_condition_holds(scene, pays, child):
    step = sub("payment", when=equal("pays", "yes"), data={"amount": "amount"}, done="PAID_FOR", refused="NOT_PAID_FOR")
    table = order(child=step, data={"amount": money(), "pays": text()})
    scene.registry = Registry([table, payment()])
    scene.given(authorize=[AUTHORIZED], send=[REFUSED])
    scene.run(table, amount="12.00", pays=pays)
    settle(scene)
    assert (ends(scene)["order"], ends(scene).get("payment")) == ("CALLED_OFF", child)
    assert ("undo_authorize" in scene.calls) == (child is not None)


def test_a_parent_that_was_not_woken_looks_at_its_child_later(scene):
    """A process of a release without child sagas ends a child and does not wake its parent."""
    scene.given(authorize=[AUTHORIZED])
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("app.store.sagas.wake_parent", lambda *_: None)
        begin(scene, order(SEND))
    assert ends(scene) == {"order": "HELD", "payment": "PAID"}
    pass_time(scene, CHILD_LOOK_S)
    settle(scene)
    assert ends(scene) == {"order": "SENT", "payment": "PAID"}


def test_a_child_that_an_older_process_has_completed_is_still_sent_back(scene):
    """A process of a release without child sagas does not see that the parent of the child goes back."""
    scene.given(authorize=[AUTHORIZED], send=[REFUSED])
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("app.store.sagas.send_back", lambda *_: None)
        begin(scene, order(SEND))
    with scene.database.connect() as connection:
        connection.execute(update(SagaRow).where(SagaRow.definition == "payment").values(goes_back=True))
    assert ends(scene) == {"order": "UNDOING_PAYMENT", "payment": "PAID"}
    pass_time(scene, CHILD_LOOK_S)
    settle(scene)
    assert ends(scene) == {"order": "CALLED_OFF", "payment": "NOT_PAID"}
