"""002's throughput: how much is done a minute."""

from collections.abc import Iterator

from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.models.dashboard import Panel

from deploy.observability import shared
from deploy.observability.facts import Facts
from deploy.observability.panels import PER_MINUTE, lines, wide
from deploy.observability.promql import INSTANCE, SAGA, busiest, gauge, per_minute, rate

UID, TITLE = "saga-throughput", "Saga Throughput"


def panels(_: Facts) -> Iterator[Builder[Panel]]:
    begun = per_minute("saga_total", f'{SAGA},status="started"', "saga")
    yield lines("Sagas started a minute", {"{{saga}}": begun}, unit=PER_MINUTE, says="By type.", stacked=True)
    ended = per_minute("saga_total", f'{SAGA},status="completed"', "saga")
    yield lines("Sagas completed a minute", {"{{saga}}": ended}, unit=PER_MINUTE, says="By type.", stacked=True)
    yield shared.by_status()
    steps = busiest("saga_steps_total", SAGA, "saga", "step")
    says = "All outcomes; the ten busiest."
    yield wide(lines("Steps a minute", {"{{saga}} {{step}}": steps}, unit=PER_MINUTE, says=says))
    moves = busiest("saga_transitions_total", SAGA, "saga", "trigger")
    says = "Moves made; the ten most frequent."
    yield wide(lines("Transitions a minute", {"{{saga}} {{trigger}}": moves}, unit=PER_MINUTE, says=says))
    calls = per_minute("saga_participant_calls_total", INSTANCE, "participant")
    yield lines(
        "Participant calls a minute", {"{{participant}}": calls}, unit=PER_MINUTE, says="HTTP out.", stacked=True
    )
    by_replica = per_minute("saga_transitions_total", SAGA, "instance")
    says = "Who does the work. A replica that ends leaves its share to the others."
    yield lines(
        "Transitions a minute by replica", {"{{instance}}": by_replica}, unit=PER_MINUTE, says=says, stacked=True
    )
    claims = f"60 * {rate('saga_claims_total', SAGA, 'saga')}"
    says = "Sagas taken over because they were due: their owner died, or their wait was over."
    yield lines("Claims a minute", {"{{saga}}": claims}, unit=PER_MINUTE, says=says)
    events = per_minute("saga_events_published_total", INSTANCE, "event")
    yield wide(lines("Events a minute", {"{{event}}": events}, unit=PER_MINUTE, says="Published.", stacked=True))
    lag = {"oldest": gauge("saga_outbox_lag_seconds", INSTANCE)}
    yield wide(lines("Outbox lag", lag, unit="s", says="How long the oldest event has waited for the broker."))
