"""What is counted and logged, always after the commit it describes and never with a saga's id or a client in a label.

telemetry    what happens, as it happens          derived   counters that follow from the moves of a table
aliases      other names of the same metrics      gauges    where all sagas are now, as the database has it
breakers     who is left in peace                 exposition   all of them together, as /metrics shows them
"""

from prometheus_client import disable_created_metrics

from app.telemetry.telemetry import Telemetry

__all__ = ["Telemetry"]

# A second series to each one, which nobody asks for.
disable_created_metrics()  # type: ignore[no-untyped-call]
