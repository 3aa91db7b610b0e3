"""A participant may answer with any status; the series of its calls are few all the same."""

from prometheus_client import CollectorRegistry

from app.metrics import Telemetry
from app.participants.outcome import Outcome, Reply
from machines.call import post


def test_the_statuses_of_a_participant_make_few_series():
    registry = CollectorRegistry()
    telemetry, call = Telemetry(registry), post("stock", "/reserver")
    for status in (None, *range(1000)):
        telemetry.called(None, call, Reply(status=status), Outcome.UNKNOWN)
    exposed = [
        sample.labels["status_code"]
        for metric in registry.collect()
        for sample in metric.samples
        if sample.name == "saga_participant_calls_total"
    ]
    assert {"none", "200", "409", "503", "2xx", "4xx", "5xx", "other"} < set(exposed)
    assert len(exposed) < 80
