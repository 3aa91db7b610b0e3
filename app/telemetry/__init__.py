"""Metrics and log lines of sagas.

A move is counted and logged after its commit. No label holds a saga's id or a client, because each value of a label is
a separate time series.

telemetry           the events of the engine: commits, calls, claims, fenced writes
entry_queue         a thread that counts and writes log lines a little later
counted_transition  a transition with the properties that the counters need
derived             counters that are computed from the transition counter at each scrape
aliases             the same metrics under the names of the reference systems
saga_gauges         sagas by state, read from the database
process_gauges      the circuit breakers and the service threads of this process
exposition          all of these together, as /metrics shows them
"""

from prometheus_client import disable_created_metrics

from app.telemetry.telemetry import Telemetry

__all__ = ["Telemetry"]

# Without this call prometheus_client adds a second series to each counter and histogram, with the time of its creation.
disable_created_metrics()  # type: ignore[no-untyped-call]
