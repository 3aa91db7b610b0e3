"""Signals by event: each is taken once, an early one is kept, and one for nobody is refused with the reason."""

import json
import threading
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from prometheus_client import CollectorRegistry

from app.errors import ProblemError
from app.events.intake import Intake
from app.events.signals import SIGNAL_EVENT
from app.store.dead_letters import DeadLetters
from machines.discovery import discover
from machines.fields import text
from machines.registry import Registry
from machines.saga import Saga
from machines.step import approval
from tests.integration.engine.scene import Scene

SUPPORT = Path(__file__).parents[2] / "support"
FIRST: dict[str, Any] = {"type": "early", "number": "L-7", "signal": "first"}
SECOND: dict[str, Any] = {"type": "early", "number": "L-7", "signal": "second", "body": {"days": 3}}


def event(event_id: int = 1, /, **data: Any) -> bytes:
    named = {"specversion": "1.0", "id": str(event_id), "source": "/hr", "type": SIGNAL_EVENT}
    return json.dumps(named | {"data": data}).encode()


@pytest.fixture
def intake(scene: Scene):
    scene.registry = discover(str(SUPPORT / "signalled_sagas"))
    yield made(scene)
    scene.runner.stop()


def made(scene: Scene) -> Intake:
    return Intake(scene.service, scene.registry, DeadLetters(scene.database), CollectorRegistry(), threading.Event())


def begin(scene: Scene, number: str = "L-7") -> str:
    return str(scene.run(scene.registry.latest("early"), person="Ada", number=number).id)


def continued(scene: Scene) -> list[tuple[str, str]]:
    """Let a process run the due sagas. Return the state and status of every saga."""
    for saga in scene.leases("other").claim(5, 30):
        scene.engine.run(saga, 0)
    return [(row["state"], row["status"]) for row in scene.rows("SELECT state, status FROM saga")]


def arrivals(scene: Scene) -> list[Any]:
    return scene.rows("SELECT name, sender FROM arrival ORDER BY name")


def refusal(intake: Intake, body: bytes) -> str:
    with pytest.raises(ProblemError) as refused:
        intake.accept(body)
    return str(refused.value.detail)


def test_a_signal_finds_its_saga_by_id_or_by_type_and_number(scene, intake):
    saga_id = begin(scene)
    assert intake.accept(event(saga=saga_id, signal="first")).outcome == "signalled"
    assert continued(scene) == [("AGREED", "waiting")]
    intake.accept(event(2, **SECOND))
    assert continued(scene) == [("TAKEN", "completed")]
    assert [row["sender"] for row in arrivals(scene)] == ["event:/hr", "event:/hr"]


def test_a_signal_that_comes_early_is_kept_until_the_saga_waits_for_it(scene, intake):
    begin(scene)
    intake.accept(event(2, **SECOND))
    assert continued(scene) == [("ASKED", "waiting")]
    intake.accept(event(1, **FIRST))
    continued(scene)
    assert continued(scene) == [("TAKEN", "completed")]


def test_a_repeated_event_is_one_signal_also_after_the_end_of_its_saga(scene, intake):
    begin(scene)
    for number, data in ((1, FIRST), (2, SECOND)):
        for _ in range(2):
            intake.accept(event(number, **data))
            continued(scene)
    assert continued(scene) == [("TAKEN", "completed")]
    assert intake.accept(event(2, **SECOND)).outcome == "signalled"
    assert len(arrivals(scene)) == 2


def test_a_repeated_event_means_the_first_saga_and_not_a_new_one_of_the_same_number(scene, intake):
    begin(scene)
    intake.accept(event(1, **FIRST))
    continued(scene)
    begin(scene)
    intake.accept(event(1, **FIRST))
    assert len(arrivals(scene)) == 1


def test_another_event_for_the_same_wait_is_refused(scene, intake):
    saga_id = begin(scene)
    intake.accept(event(1, saga=saga_id, signal="first"))
    assert "event:/hr has sent the signal first before" in refusal(intake, event(2, saga=saga_id, signal="first"))


@pytest.mark.parametrize(
    ("data", "says"),
    [
        ({"saga": "2f1b8c36-3f6c-4f2f-8f52-1b7a2f6f0a55", "signal": "first"}, "there is no saga 2f1b8c36"),
        (FIRST | {"number": "L-8"}, "there is no unfinished early saga with the number L-8"),
        (FIRST | {"signal": "third"}, "early v1 waits for no signal third; it waits for first, second"),
        (SECOND | {"body": {"days": 31}}, "/days"),
        (SECOND | {"body": {"days": 3, "more": 1}}, "/more: Unknown field"),
        ({"signal": "first"}, "Name the saga by `saga` (its id), or by `type` and `number`."),
        ({"type": "early", "signal": "first"}, "Name the saga by"),
        (FIRST | {"saga": "2f1b8c36-3f6c-4f2f-8f52-1b7a2f6f0a55"}, "Name the saga by"),
        (FIRST | {"other": 1}, "/data/other: Unknown field"),
        ({"type": "early", "number": "L-7"}, "/data/signal: Missing"),
    ],
)
def test_a_signal_that_cannot_be_taken_is_refused_with_the_reason(scene, intake, data, says):
    begin(scene)
    assert says in refusal(intake, event(**data))
    assert arrivals(scene) == []


def test_a_signal_that_nobody_will_ever_wait_for_becomes_a_dead_letter_with_the_reason(scene, intake):
    saga_id = begin(scene)
    scene.service.compensate(UUID(saga_id), "ada", "no")

    class Message:
        headers = None
        body, acknowledged = event(1, saga=saga_id, signal="first"), False

        def ack(self) -> None:
            self.acknowledged = True

    message = Message()
    intake._take(message)
    (letter,) = DeadLetters(scene.database).oldest()
    assert "it has ended in NOT_TAKEN, so nobody waits for the signal first" in letter.reason
    assert message.acknowledged


def test_a_number_of_several_unfinished_sagas_names_none(scene, intake):
    begin(scene)
    begin(scene)
    assert "name the saga by its id" in refusal(intake, event(**FIRST))


def test_an_approval_that_needs_a_role_is_no_matter_of_events(scene):
    step = approval("agree", role="operator", within_s=60, done="AGREED", refused="DENIED")
    scene.registry = Registry([table(step)])
    saga = scene.run(scene.registry.latest("case"), name="Ada")
    body = event(saga=str(saga.id), signal="agree", body={"approved": True})
    assert "needs the role operator, and an event has no role" in refusal(made(scene), body)
    assert arrivals(scene) == []


def test_a_release_without_waits_binds_no_queue_for_signals(scene, intake):
    assert intake.event_types == [SIGNAL_EVENT]
    scene.registry = discover("samples")
    assert SIGNAL_EVENT not in made(scene).event_types


def table(step: Any) -> Saga:
    return Saga(
        name="case", version=1, initial="ASKED", completed="AGREED", compensated="CALLED_OFF", participants=(),
        data={"name": text()}, steps=(step,),
    )  # fmt: skip
