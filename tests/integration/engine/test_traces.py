"""One trace per saga contains the spans of all processes. A participant receives the span of its call as parent."""

import pytest
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from app.otlp import provider
from app.traces import Traces
from tests.integration.engine.inputs import FORWARD, DiedError, die
from tests.integration.engine.scene import LOST, REFUSED


@pytest.fixture
def exported(scene):
    exporter = InMemorySpanExporter()
    made = provider(SimpleSpanProcessor(exporter))
    scene.traces = Traces(made)
    yield exporter.get_finished_spans
    made.shutdown()


def spans(exported):
    *attempts, whole = exported()
    return attempts, whole


def test_a_saga_is_one_trace_with_a_span_for_each_attempt(scene, exported):
    saga = scene.given(payer=[LOST]).run()
    attempts, whole = spans(exported)
    assert {span.context.trace_id for span in (*attempts, whole)} == {saga.id.int}
    assert whole.parent is None
    assert whole.name == "saga checkout"
    assert {span.parent.span_id for span in attempts} == {whole.context.span_id}
    assert [span.attributes["saga.step"] for span in attempts] == [*FORWARD[:3], *FORWARD[2:]]
    outcomes = [(span.attributes["saga.attempt"], span.attributes["saga.outcome"]) for span in attempts[2:4]]
    assert outcomes == [(1, "unknown"), (2, "succeeded")]
    assert [span.status.is_ok for span in attempts].count(False) == 1


def test_participant_receives_the_span_of_its_call(scene, exported):
    scene.given(payer=[REFUSED]).run()
    attempts, _whole = spans(exported)
    headers = [request.headers["traceparent"] for request in scene.requests]
    assert headers == [f"00-{s.context.trace_id:032x}-{s.context.span_id:016x}-01" for s in attempts]


def test_saga_taken_over_stays_one_trace(scene, exported):
    scene.at_each_call = lambda _request: die() if len(scene.requests) == 3 else None
    with pytest.raises(DiedError):
        scene.run()
    saga = scene.recovered("other")
    scene.engine.run(saga, 1000)
    attempts, whole = spans(exported)
    assert {span.context.trace_id for span in (*attempts, whole)} == {saga.id.int}
    assert {span.parent.span_id for span in attempts} == {whole.context.span_id}
    assert {span.attributes["saga.epoch"] for span in attempts} == {1, 2}


def test_no_span_is_recorded_by_default(scene):
    saga = scene.run()
    headers = [request.headers["traceparent"] for request in scene.requests]
    assert all(header.startswith(f"00-{saga.id.hex}-") and header.endswith("-00") for header in headers)
    assert len(set(headers)) == len(headers)
