"""The dashboard Saga Throughput: sagas, steps, transitions, calls and events per minute."""

from collections.abc import Iterator

from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.models.dashboard import Panel

from deploy.observability import shared
from deploy.observability.panels import PER_MINUTE, lines, wide
from deploy.observability.promql import INSTANCE, SAGA, busiest, gauge, per_minute, rate
from machines.facts import Facts

UID, TITLE = "saga-throughput", "Saga Throughput"


def panels(_: Facts) -> Iterator[Builder[Panel]]:
    begun = per_minute("saga_total", f'{SAGA},status="started"', "saga")
    yield lines("Sagas started a minute", {"{{saga}}": begun}, unit=PER_MINUTE, text="By type.", stacked=True)
    ended = per_minute("saga_total", f'{SAGA},status="completed"', "saga")
    yield lines("Sagas completed a minute", {"{{saga}}": ended}, unit=PER_MINUTE, text="By type.", stacked=True)
    yield shared.by_status()
    steps = busiest("saga_steps_total", SAGA, "saga", "step")
    text = "All outcomes; the ten busiest."
    yield wide(lines("Steps a minute", {"{{saga}} {{step}}": steps}, unit=PER_MINUTE, text=text))
    moves = busiest("saga_transitions_total", SAGA, "saga", "trigger")
    text = "Transitions; the ten most frequent."
    yield wide(lines("Transitions a minute", {"{{saga}} {{trigger}}": moves}, unit=PER_MINUTE, text=text))
    calls = per_minute("saga_participant_calls_total", INSTANCE, "participant")
    yield lines(
        "Participant calls a minute",
        {"{{participant}}": calls},
        unit=PER_MINUTE,
        text="HTTP calls.",
        stacked=True,
    )
    by_replica = per_minute("saga_transitions_total", SAGA, "instance")
    text = "The work of each replica. When a replica ends, the others take over its share."
    yield lines(
        "Transitions a minute by replica", {"{{instance}}": by_replica}, unit=PER_MINUTE, text=text, stacked=True
    )
    claims = f"60 * {rate('saga_claims_total', SAGA, 'saga')}"
    text = "Claims of due sagas: the lease of a dead process expired, or a wait ended."
    yield lines("Claims a minute", {"{{saga}}": claims}, unit=PER_MINUTE, text=text)
    events = per_minute("saga_events_published_total", INSTANCE, "event")
    yield wide(lines("Events a minute", {"{{event}}": events}, unit=PER_MINUTE, text="Published.", stacked=True))
    lag = {"oldest": gauge("saga_outbox_lag_seconds", INSTANCE)}
    yield wide(lines("Outbox lag", lag, unit="s", text="How long the oldest event has waited for the broker."))
