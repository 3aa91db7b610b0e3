"""The metrics of the calls to a participant have few series, even if its answers have many different statuses."""

from prometheus_client import CollectorRegistry

from app.store.instance import Instance
from app.telemetry import Telemetry
from machines.call import post
from machines.checkout import CHECKOUT
from machines.replies import Reply


def test_statuses_of_a_participant_make_few_series():
    registry = CollectorRegistry()
    telemetry, call = Telemetry(registry), post("stock", "/reserver")
    saga = Instance.new(CHECKOUT, {"client_id": 4, "magasin_id": 1}, actor="test")
    for status in (None, *range(1000)):
        telemetry.called(saga, call, Reply(status=status))
    exposed = [
        sample.labels["status_code"]
        for metric in registry.collect()
        for sample in metric.samples
        if sample.name == "saga_participant_calls_total"
    ]
    assert {"none", "200", "409", "503", "2xx", "4xx", "5xx", "other"} < set(exposed)
    assert len(exposed) < 80
