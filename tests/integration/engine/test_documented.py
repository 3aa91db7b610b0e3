"""What docs/tables.md says about an author's function that fails, about retry=NEVER, and about long jobs."""

import pytest

from machines.call import get, post
from machines.fields import text
from machines.later import poll
from machines.outcomes import ACCEPTED, REFUSED
from machines.registry import Registry
from machines.replies import Reply
from machines.retry import NEVER
from machines.saga import Saga
from machines.step import compensatable, pivot, retriable
from machines.templates import computed
from tests.integration.engine.passing import continue_due, pass_time
from tests.integration.engine.scene import LOST, answer


def initials(name):
    return name[0] + name[5]


LETTERS = post("shop", "/letters", letters=computed(initials, "name"))
PLAIN = post("shop", "/plain", name="name")
BACK = post("shop", "/plain/undo", name="name")


def ring(hold=PLAIN, undo=BACK, sell=PLAIN, probe=None, tell=PLAIN):
    return Saga(
        name="ring", version=1, initial="ASKED", completed="TOLD", compensated="BACK", data={"name": text()},
        participants=("shop",),
        steps=(
            compensatable("hold", hold, undo=undo, done="HELD", refused="NONE_LEFT"),
            pivot("sell", sell, probe=probe, done="SOLD", refused="DECLINED"),
            retriable("tell", tell, done="TOLD"),
        ),
    )  # fmt: skip


def once():
    """Return a saga whose first step is sent only once, because its participant has no idempotency keys."""
    return Saga(
        name="once", version=1, initial="ASKED", completed="TOLD", compensated="BACK", data={"name": text()},
        participants=("shop",),
        steps=(
            compensatable("hold", PLAIN, undo=BACK, retry=NEVER, done="HELD", refused="NONE_LEFT"),
            pivot("sell", PLAIN, retry=NEVER, done="SOLD", refused="DECLINED"),
            retriable("tell", PLAIN, retry=NEVER, done="TOLD"),
        ),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("lost", "state", "calls"),
    [
        ("hold", "BACK", ["hold", "undo_hold"]),
        ("sell", "STUCK_SELL", ["hold", "sell"]),
        ("tell", "STUCK_TELL", ["hold", "sell", "tell"]),
    ],
)
def test_a_lost_reply_of_a_call_that_is_sent_once_leads_to_the_undo_or_to_stuck(scene, lost, state, calls):
    saga = run(scene.given(**{lost: [LOST]}), once(), name="Ada")
    assert (saga.state, scene.calls) == (state, calls)


def run(scene, definition, **data):
    scene.registry = Registry([definition])
    return scene.run(definition, **data)


WHY = f"{__name__}.initials(name) failed: IndexError: string index out of range"


@pytest.mark.parametrize(
    ("columns", "state", "calls"),
    [
        ({"hold": LETTERS}, "BACK", []),
        ({"sell": LETTERS}, "BACK", ["hold", "undo_hold"]),
        ({"tell": LETTERS}, "STUCK_TELL", ["hold", "sell"]),
    ],
)
def test_a_call_whose_function_raises_is_not_sent_and_counts_as_refused(scene, columns, state, calls):
    saga = run(scene, ring(**columns), name="Ada")
    assert (saga.state, scene.calls) == (state, calls)
    assert saga.error.endswith(WHY)


def test_an_undo_whose_function_raises_is_stuck_at_once(scene):
    saga = run(scene.given(sell=[answer(409)]), ring(undo=LETTERS), name="Ada")
    assert (saga.state, scene.calls) == ("STUCK_UNDO_HOLD", ["hold", "sell"])
    assert saga.error == f"STUCK_UNDO_HOLD: hold: {WHY}"


def test_a_probe_whose_function_raises_proves_nothing(scene):
    probe = get("shop", "/outcome", query={"letters": computed(initials, "name")})
    saga = run(scene.given(sell=[LOST] * 4), ring(probe=probe), name="Ada")
    assert (saga.state, scene.calls.count("sell")) == ("STUCK_SELL", 4)
    assert saga.error == f"STUCK_SELL: sell: still unknown: {WHY}; the last attempt: {LOST.error}"


# The example of docs/tables.md for a participant that answers 202 and has to be asked.

JOB = compensatable(
    "render",
    post("shop", "/jobs", name="name", keeps={"job": text()}, means={"status": {"failed": REFUSED}}),
    later=poll(
        get("shop", "/jobs/{render.job}", means={"status": {"queued": ACCEPTED, "failed": REFUSED}}),
        every_s=20,
        within_s=100,
    ),
    repeatable=True,
    undo=post("shop", "/jobs/{render.job}/cancel", body=None),
    done="RENDERED",
    refused="NOT_RENDERED",
)
PRINT = Saga(
    name="print", version=1, initial="ASKED", completed="PAID", compensated="BACK", data={"name": text()},
    participants=("shop",), steps=(JOB, pivot("pay", PLAIN, done="PAID", refused="DECLINED")),
)  # fmt: skip
QUEUED, DONE, FAILED = (Reply(status=200, body={"status": status}) for status in ("queued", "done", "failed"))


@pytest.mark.parametrize(
    ("replies", "state", "calls"),
    [
        ([QUEUED, QUEUED, DONE], "PAID", ["render", *["render"] * 3, "pay"]),
        ([QUEUED, FAILED], "BACK", ["render", *["render"] * 2]),
        ([QUEUED] * 5, "BACK", ["render", *["render"] * 3, "undo_render"]),
    ],
)
def test_a_job_is_asked_until_it_is_done_has_failed_or_takes_too_long(scene, replies, state, calls):
    run(scene.given(render=[answer(202, job="7"), *replies]), PRINT, name="Ada")
    for seconds in (20, 30, 60):
        pass_time(scene, seconds)
        continue_due(scene)
    assert (scene.rows("SELECT state FROM saga")[0]["state"], scene.calls) == (state, calls)
    assert scene.slept == []
