"""What wakes a person, or waits for one in the morning. Each alert has a page in docs/runbooks/.

One cause, one alert: what follows from a cause that has an alert of its own is left out here where the labels allow
it, else inhibited in deploy/alertmanager/alertmanager.yml.

Database gauges are the same on every replica: `max`, never `sum`. saga_unknown_definition_sagas alone is each replica's
own: `min`.
"""

from dataclasses import dataclass
from typing import Any

from deploy.observability.budget import BURNS, Burn
from deploy.observability.links import RUNBOOKS, UNFINISHED, sagas_in

#: As deploy/prometheus calls those that answer requests.
JOB = 'job="saga-orchestrator"'
UP = f"up{{{JOB}}}"
#: A breaker that tries again between two scrapes is still open for us.
OPEN = 2
#: So many of a participant's calls may go wrong.
FAILING = 0.2
CRITICAL, WARNING = "critical", "warning"


@dataclass(frozen=True, kw_only=True)
class Alert:
    """expr holds for `lasts` before it fires. summary and description are Prometheus templates."""

    name: str
    severity: str
    lasts: str
    expr: str
    summary: str
    description: str
    look: str = ""

    def as_rule(self) -> dict[str, Any]:
        annotations = {
            "summary": self.summary,
            "description": self.description,
            "runbook_url": f"{RUNBOOKS}/{self.name}.md",
        }
        return {
            "alert": self.name,
            "expr": self.expr,
            "for": self.lasts,
            "labels": {"severity": self.severity},
            "annotations": annotations | ({"sagas_url": self.look} if self.look else {}),
        }


SAGAS = (
    Alert(
        name="SagaStuck",
        severity=CRITICAL,
        lasts="1m",
        expr="max by (saga, state) (saga_current)\n"
        '* on (saga, state) group_right () (saga_dwell_limit_seconds{phase="stuck"} > bool 0)\n'
        "> 0",
        summary="{{ $value }} {{ $labels.saga }} stuck in {{ $labels.state }}",
        description="The engine has stopped at step {{ $labels.step }}, which asks {{ $labels.participant }}. A person "
        "must decide.",
        look=sagas_in("{{ $labels.saga }}", state="{{ $labels.state }}"),
    ),
    Alert(
        name="SagaOverstayed",
        severity=WARNING,
        lasts="1m",
        expr="max by (saga, state) (saga_oldest_age_seconds)\n"
        "> on (saga, state) group_left (step, phase, participant) "
        'saga_dwell_limit_seconds{phase!="stuck"}',
        summary="A {{ $labels.saga }} has been in {{ $labels.state }} for {{ $value | humanizeDuration }}",
        description="That is longer than its table allows (dwell_s of step {{ $labels.step }}); it waits for "
        "{{ $labels.participant }}.",
        look=sagas_in("{{ $labels.saga }}", state="{{ $labels.state }}"),
    ),
    Alert(
        name="SagaDefinitionUnknown",
        severity=CRITICAL,
        lasts="2m",
        # The least of all processes: where one has the table, it carries the sagas on, as in a rolling upgrade.
        expr="min by (saga, version) (saga_unknown_definition_sagas) > 0",
        summary="{{ $value }} {{ $labels.saga }} v{{ $labels.version }} stand still: no process has their table",
        description="The table was removed, renamed or edited while sagas of it were unfinished. Deploy a release that "
        "has it, or put the table back; the sagas then go on by themselves.",
        look=sagas_in("{{ $labels.saga }}", status=UNFINISHED),
    ),
)


def compensation_rate(burn: Burn) -> Alert:
    return Alert(
        name="SagaCompensationRateHigh",
        severity=burn.severity,
        lasts=burn.lasts,
        expr=burn.expr,
        summary="{{ $value | humanizePercentage }} of {{ $labels.saga }} do not succeed",
        description=f"Over {burn.long} and over {burn.short}, more than {burn.factor:g} times the error budget (one in "
        "five) ended compensated or stuck.",
        look=sagas_in("{{ $labels.saga }}", status="compensated,stuck"),
    )


PARTICIPANTS = (
    Alert(
        name="SagaBreakerOpen",
        severity=CRITICAL,
        lasts="2m",
        # At its maximum over a minute, for an open breaker is half open now and then. An idle one stays half open.
        expr=f"max by (participant) (max_over_time(saga_breaker_state[1m])) >= {OPEN}",
        summary="{{ $labels.participant }} is left in peace: its breaker is open",
        description="Call after call failed, so none is sent; sagas that need {{ $labels.participant }} wait for it, "
        "and those that may are undone at their deadline.",
    ),
    Alert(
        name="SagaParticipantFailing",
        severity=WARNING,
        lasts="2m",
        # No answer and 5xx alike: it may have happened. Not while its breaker says the same, nor as long as the calls
        # from before it closed are in the window.
        expr="sum by (participant) "
        '(rate(saga_participant_calls_total{status_code=~"5..|none"}[5m]))\n'
        "/ sum by (participant) (rate(saga_participant_calls_total[5m]))\n"
        f"> {FAILING}\n"
        "unless on (participant) max by (participant) (max_over_time(saga_breaker_state[5m])) > 0",
        summary="{{ $value | humanizePercentage }} of the calls to {{ $labels.participant }} fail",
        description="5xx or no answer over 5 minutes. Calls are repeated, and what stays unknown is undone or stuck.",
    ),
    Alert(
        name="SagaCallsTurnedAway",
        severity=CRITICAL,
        lasts="1m",
        # Calls that nobody acts on: with retries up to 30 s apart, each setting shows at least once in 5 minutes.
        expr="sum by (participant, setting) (increase(saga_participant_calls_turned_away_total[5m])) > 0",
        summary="Calls to {{ $labels.participant }} are turned away: check {{ $labels.setting }}",
        description="Sagas wait, and are undone at their deadline where they may be. The answers say that our "
        "credentials, our address, our request or the load is at fault, as 401, 404 without JSON or 429.",
    ),
)

REPLICAS = (
    Alert(
        name="SagaServiceDown",
        severity=CRITICAL,
        lasts="30s",
        expr=f"sum by (job) ({UP}) == 0\nor absent({UP})",
        summary="No replica of the orchestrator answers",
        description="No saga starts and none is carried on. They are safe in the database.",
    ),
    Alert(
        name="SagaReplicaDown",
        severity=WARNING,
        lasts="1m",
        expr=f"{UP} == 0\nunless on (job) sum by (job) ({UP}) == 0",
        summary="{{ $labels.instance }} does not answer",
        description="The other replicas have taken over its sagas, or will when their leases run out.",
    ),
    Alert(
        name="SagaDatabaseDown",
        severity=CRITICAL,
        lasts="30s",
        expr="max(saga_database_up) == 0",
        summary="No replica reaches the database",
        description="Nothing moves, for nothing can be made durable.",
    ),
    Alert(
        name="SagaRecoveryNotRunning",
        severity=CRITICAL,
        lasts="1m",
        expr="max(saga_overdue_seconds) > 60\nor max(saga_replicas) < 1",
        summary="Nobody carries on the sagas that are due",
        description="A saga has been due for more than a minute, or no process has a pulse.",
    ),
    Alert(
        name="SagaTakenLate",
        severity=WARNING,
        lasts="2m",
        expr="max(saga_overdue_seconds) > 5",
        summary="Due sagas wait for {{ $value | humanizeDuration }}",
        description="Workers, the broker or room for sagas are missing: what nobody waits for goes on only when a "
        "lease is over.",
    ),
    Alert(
        name="SagaFencedWrites",
        severity=WARNING,
        lasts="0s",
        expr="sum(increase(saga_fenced_writes_total[10m])) > 5",
        summary="{{ $value | humanize }} writes of former owners were refused in 10 minutes",
        description="Nothing is lost, but processes go on with sagas that others have taken over: they are paused or "
        "overloaded, or LEASE_S is too short.",
    ),
)

EVENTS = (
    Alert(
        name="SagaOutboxLag",
        severity=WARNING,
        lasts="1m",
        expr="max(saga_outbox_lag_seconds) > 60",
        summary="The oldest event has waited for the broker for {{ $value | humanizeDuration }}",
        description="Sagas go on, but nobody is told: the broker is away, or no process publishes.",
    ),
    Alert(
        name="SagaEventParked",
        severity=WARNING,
        lasts="0s",
        expr="max(saga_events_parked) > 0",
        summary="Messages that nobody could take: {{ $value }}",
        description="Whoever sent them waits for sagas that will not begin. GET /api/v1/events/parked says what is "
        "wrong.",
    ),
)

MEASURED = (*SAGAS, *PARTICIPANTS, *REPLICAS, *EVENTS)
OF_THE_BUDGET = tuple(compensation_rate(burn) for burn in BURNS)
ALERTS = (*MEASURED, *OF_THE_BUDGET)
