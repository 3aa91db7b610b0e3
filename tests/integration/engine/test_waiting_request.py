"""A request that waits for a saga whose branches run in this process."""

from concurrent.futures import ThreadPoolExecutor

from machines.branching import together
from machines.registry import Registry
from tests.integration.engine.families import InlinePool
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


def test_no_request_is_kept_after_its_answer(scene):
    scene.registry = Registry([LETTERS])
    scene.service.start("order", ORDER, wait_s=0.05)
    assert not scene.runner.run_ends._waiting
