"""A request that waits for a saga whose branches run in this process."""

from concurrent.futures import ThreadPoolExecutor
from uuid import UUID

from sqlalchemy import update

from app.store.children import only_a_person_moves
from app.store.database import in_seconds
from app.store.models import SagaRow
from machines import post, retriable
from machines.branching import each, together
from machines.registry import Registry
from tests.integration.engine.families import InlinePool, begin
from tests.integration.engine.scene import REFUSED
from tests.integration.engine.test_branches import order, step
from tests.support.waiting import eventually

LETTERS = order(
    together(step("label", keeps={}), step("bill", keeps={}), name="papers", done="PRINTED", refused="NO_PAPERS")
)
ORDER = {"customer": "ada", "lines": []}


def test_request_answers_when_this_process_has_run_the_last_branch(scene, monkeypatch):
    # Without the wake-up the request reads the saga only after the 90 s, and `result` raises before.
    monkeypatch.setattr("app.engine.service._FIRST_POLL_S", 90.0)
    monkeypatch.setattr("app.engine.service._DATABASE_POLL_S", 90.0)
    scene.registry = Registry([LETTERS])
    scene.runner.pool = InlinePool()
    with ThreadPoolExecutor(1) as client:
        asked = client.submit(scene.service.start, "order", ORDER, wait_s=180.0)
        eventually(lambda: asked.done() or (not scene.runner.claim_due() and asked.done()), "the request to end", 60.0)
        assert asked.result(0).state == "PRINTED"


MARKED = order(
    step("hold", keeps={}), each("lines", retriable("mark", post("stock", "/mark"), done="MARKED"), done="ALL_MARKED")
)
TWO = {"customer": "ada", "lines": [{"sku": "a", "quantity": 1}, {"sku": "b", "quantity": 1}]}


def test_request_answers_when_only_a_person_can_move_a_branch(scene):
    scene.registry = Registry([MARKED])
    scene.runner.pool = InlinePool()
    scene.given(mark=[REFUSED, REFUSED])
    with ThreadPoolExecutor(1) as client:
        asked = client.submit(scene.service.start, "order", TWO, wait_s=90.0)
        eventually(lambda: asked.done() or (not scene.runner.claim_due() and asked.done()), "the request to end", 60.0)
        assert asked.result(0).status == "waiting"
    assert len(scene.rows("SELECT id FROM saga WHERE status = 'stuck'")) == 2


def test_saga_waits_for_a_person_only_when_nothing_below_it_moves_by_itself(scene):
    def waits(within_s=30.0):
        return only_a_person_moves(scene.database, root, within_s)

    def change(saga_id, **values):
        with scene.database.connect() as connection:
            connection.execute(update(SagaRow).where(SagaRow.id == saga_id).values(**values))

    scene.given(mark=[REFUSED, REFUSED])
    root = begin(scene, MARKED, **TWO)
    _, second = (UUID(str(row["id"])) for row in scene.rows("SELECT id FROM saga WHERE status = 'stuck'"))
    assert waits()
    change(second, status="running", due_at=in_seconds(60.0))
    assert (waits(30.0), waits(90.0)) == (True, False), "it is tried again in a minute"
    change(second, due_at=None, owner="another process")
    assert not waits(), "a process runs it"
    change(second, owner=None, status="stuck")
    change(root, due_at=in_seconds(0.0))
    assert not waits(), "a branch has ended, and has woken it"
    with scene.database.connect() as connection:
        connection.execute(update(SagaRow).where(SagaRow.parent_id.is_not(None)).values(status="waiting"))
    change(root, due_at=None)
    assert not waits(), "its branches wait for a signal"


def test_no_request_is_kept_after_its_answer(scene):
    scene.registry = Registry([LETTERS])
    scene.service.start("order", ORDER, wait_s=0.05)
    assert not scene.runner.run_ends._waiting
