"""The answer to an accepted call against a cancel, an expiry, another answer, and the commit that enters the wait.

Each race is run in both orders of the commits, on two connections of a real PostgreSQL.
"""

from collections.abc import Callable, Iterator
from functools import partial
from uuid import UUID

import pytest

from app.engine import answers
from app.errors import ConflictError, GoneError
from app.store.instance import Instance
from app.store.sagas import FencedError
from machines.fields import text
from machines.later import callback
from machines.registry import Registry
from machines.replies import Reply
from tests.integration.engine.bank import HOUR, sale
from tests.integration.engine.racing import Second, cancelled, expired, in_the_next_save, settled
from tests.integration.engine.scene import REFUSED, Scene, answer

SALE = sale({"keeps": {"id": text()}}, later=callback(within_s=HOUR))
PAID = answer(200, id="p1")


@pytest.fixture
def store_url(postgres_pool) -> Iterator[str]:
    yield from postgres_pool.lend()


def begun(scene: Scene) -> Instance:
    scene.registry = Registry([SALE])
    scene.given(pay=[answer(202)])
    return scene.run(SALE, customer="Ada")


def say(scene: Scene, reply: Reply = PAID) -> None:
    """Send an answer to the URL that the participant received with its call."""
    (url,) = {request.headers["Saga-Reply-To"] for request in scene.requests if request.url.endswith("/pay")}
    saga_id, step, token = url.rsplit("/", 3)[1:]
    scene.answers.take(UUID(saga_id), step, token, reply)


def while_admitted(monkeypatch: pytest.MonkeyPatch, act: Callable[[], object]) -> None:
    """Let `act` happen once, when the next answer is admitted and its transaction holds the row of the saga."""
    admit, left = answers.admit_answer, [act]

    def admits(*given: object) -> None:
        admit(*given)
        if left:
            left.pop()()

    monkeypatch.setattr(answers, "admit_answer", admits)


def moves(scene: Scene) -> list[str]:
    return [row["trigger"] for row in scene.rows("SELECT * FROM journal WHERE source = 'AWAITING_PAY'")]


@pytest.mark.parametrize("other", [cancelled, expired])
def test_an_answer_that_commits_first_fences_the_other_commit(scene, other, monkeypatch):
    saga = begun(scene)
    second = Second(scene, other(scene, saga.id))
    while_admitted(monkeypatch, second.begin)
    say(scene)
    assert isinstance(second.end(), FencedError)
    assert settled(scene) == "SENT"
    assert moves(scene) == ["succeeded"]
    assert scene.calls == ["hold", "pay", "send"], "nothing was undone"


@pytest.mark.parametrize(("other", "move"), [(cancelled, "cancel"), (expired, "exhausted")])
def test_an_answer_that_commits_second_is_gone_and_leaves_no_trace(scene, other, move, monkeypatch):
    saga = begun(scene)
    commit = other(scene, saga.id)
    second = Second(scene, partial(say, scene))
    in_the_next_save(scene, monkeypatch, second.begin)
    commit()
    assert isinstance(second.end(), GoneError)
    assert settled(scene) == "CALLED_OFF"
    assert scene.rows("SELECT * FROM arrival") == []
    assert moves(scene) == [move]
    assert sorted(set(scene.calls)) == ["hold", "pay", "undo_hold", "undo_pay"]


@pytest.mark.parametrize("answer_first", [True, False])
def test_an_answer_that_meets_the_commit_that_enters_the_wait_is_taken(scene, answer_first, monkeypatch):
    """The 202 has been read. The process commits the wait while the answer arrives."""
    seconds: list[Second] = []
    save = scene.engine.store.save

    def enters(saga: Instance, *given: object, **how: object) -> None:
        if saga.state != "AWAITING_PAY" or seconds:
            save(saga, *given, **how)
            return
        commit, arrive = partial(save, saga, *given, **how), partial(say, scene)
        second = Second(scene, commit if answer_first else arrive)
        seconds.append(second)
        if answer_first:
            while_admitted(monkeypatch, second.begin)
            arrive()
        else:
            in_the_next_save(scene, monkeypatch, second.begin)
            commit()
        assert second.end() is None, "neither commit fences the other one"

    scene.engine.store.save = enters
    begun(scene)
    assert seconds, "the saga has entered the wait"
    assert settled(scene) == "SENT", "the answer is not lost until the time is over"
    assert moves(scene) == ["succeeded"]


@pytest.mark.parametrize(("other", "error"), [(PAID, type(None)), (REFUSED, ConflictError)], ids=["same", "different"])
def test_two_answers_that_meet_are_one_move_and_the_first_one_counts(scene, other, error, monkeypatch):
    begun(scene)
    second = Second(scene, partial(say, scene, other))
    while_admitted(monkeypatch, second.begin)
    say(scene)
    assert isinstance(second.end(), error)
    assert settled(scene) == "SENT"
    assert len(scene.rows("SELECT * FROM arrival")) == 1
    assert moves(scene) == ["succeeded"]
