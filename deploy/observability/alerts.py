"""The alerts: a critical alert pages an operator at once, a warning can wait until the morning.

Each alert has a runbook in docs/runbooks/. One cause fires one alert. When a cause has its own alert, the alerts for
its consequences do not fire: their expressions exclude the cause where the labels allow it, and
deploy/alertmanager/alertmanager.yml inhibits the others.

Database gauges are equal on every replica: use `max`, never `sum`. Only saga_unknown_definition_sagas differs between
replicas: use `min`.
"""

from dataclasses import dataclass
from typing import Any

from deploy.observability.budget import BURNS, Burn
from deploy.observability.links import RUNBOOKS, UNFINISHED, sagas_in

#: The Prometheus job of the processes that answer requests; see deploy/prometheus.
JOB = 'job="saga-orchestrator"'
UP = f"up{{{JOB}}}"
#: The value of saga_breaker_state for an open circuit breaker.
OPEN = 2
#: The share of a participant's calls that may fail before SagaParticipantFailing fires.
FAILING = 0.2
CRITICAL, WARNING = "critical", "warning"


@dataclass(frozen=True, kw_only=True)
class Alert:
    """An alert. `summary` and `description` are Prometheus templates."""

    name: str
    severity: str
    lasts: str  # how long `expr` must hold before the alert fires
    expr: str
    summary: str
    description: str
    sagas_url: str = ""  # the page that lists the affected sagas

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
            "annotations": annotations | ({"sagas_url": self.sagas_url} if self.sagas_url else {}),
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
        description="The saga stopped at step {{ $labels.step }}, which calls {{ $labels.participant }}. An operator "
        "must decide.",
        sagas_url=sagas_in("{{ $labels.saga }}", state="{{ $labels.state }}"),
    ),
    Alert(
        name="SagaOverstayed",
        severity=WARNING,
        lasts="1m",
        expr="max by (saga, state) (saga_oldest_age_seconds)\n"
        "> on (saga, state) group_left (step, phase, participant) "
        'saga_dwell_limit_seconds{phase!~"stuck|waiting"}',
        summary="A {{ $labels.saga }} has been in {{ $labels.state }} for {{ $value | humanizeDuration }}",
        description="This is longer than its definition allows (dwell_s of step {{ $labels.step }}). The saga "
        "waits for {{ $labels.participant }}.",
        sagas_url=sagas_in("{{ $labels.saga }}", state="{{ $labels.state }}"),
    ),
    Alert(
        name="SagaWaitLate",
        severity=WARNING,
        lasts="1m",
        # The limit is the longest wait of the table and the dwell_s of its step, so a saga that waits does not fire.
        expr="max by (saga, state) (saga_oldest_age_seconds)\n"
        '> on (saga, state) group_left (step) saga_dwell_limit_seconds{phase="waiting"}',
        summary="The wait of a {{ $labels.saga }} in {{ $labels.state }} is over, and nothing has moved",
        description="The saga has been at step {{ $labels.step }} for {{ $value | humanizeDuration }}. Its wait has "
        "ended, but the saga did not go on.",
        sagas_url=sagas_in("{{ $labels.saga }}", state="{{ $labels.state }}"),
    ),
    Alert(
        name="SagaDefinitionUnknown",
        severity=CRITICAL,
        lasts="2m",
        # The minimum over all processes is 0 when one process has the definition. This process runs the sagas, for
        # example during a rolling upgrade.
        expr="min by (saga, version) (saga_unknown_definition_sagas) > 0",
        summary="{{ $value }} {{ $labels.saga }} v{{ $labels.version }} do not run: no process has their definition",
        description="The definition was removed, renamed or edited while sagas of it were unfinished. Deploy a release "
        "that has it, or restore it; the sagas then continue by themselves.",
        sagas_url=sagas_in("{{ $labels.saga }}", status=UNFINISHED),
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
        sagas_url=sagas_in("{{ $labels.saga }}", status="compensated,stuck"),
    )


PARTICIPANTS = (
    Alert(
        name="SagaBreakerOpen",
        severity=CRITICAL,
        lasts="2m",
        # The maximum over one minute, because an open breaker is half open for short times. A breaker without calls
        # stays half open.
        expr=f"max by (participant) (max_over_time(saga_breaker_state[1m])) >= {OPEN}",
        summary="Circuit breaker open for {{ $labels.participant }}: no calls are sent",
        description="Repeated calls failed. Sagas that need {{ $labels.participant }} wait; those that can be undone "
        "are undone at their deadline.",
    ),
    Alert(
        name="SagaParticipantFailing",
        severity=WARNING,
        lasts="2m",
        # A 5xx and a missing answer both leave a call in doubt. The alert does not fire while SagaBreakerOpen covers
        # the same cause. It does not fire either while the window contains calls from before the breaker closed.
        expr="sum by (participant) "
        '(rate(saga_participant_calls_total{status_code=~"5..|none"}[5m]))\n'
        "/ sum by (participant) (rate(saga_participant_calls_total[5m]))\n"
        f"> {FAILING}\n"
        "unless on (participant) max by (participant) (max_over_time(saga_breaker_state[5m])) > 0",
        summary="{{ $value | humanizePercentage }} of the calls to {{ $labels.participant }} fail",
        description="5xx or no answer within 5 minutes. The calls are retried; steps that stay in doubt are undone or "
        "stuck.",
    ),
    Alert(
        name="SagaCallsTurnedAway",
        severity=CRITICAL,
        lasts="1m",
        # With retries at most 30 s apart, each wrong setting is counted at least once in 5 minutes.
        expr="sum by (participant, setting) (increase(saga_participant_calls_turned_away_total[5m])) > 0",
        summary="{{ $labels.participant }} rejects calls: check {{ $labels.setting }}",
        description="Sagas wait; those that can be undone are undone at their deadline. Answers such as 401, 404 "
        "without JSON or 429 show wrong credentials, a wrong URL, a wrong request or too much load.",
    ),
)

REPLICAS = (
    Alert(
        name="SagaServiceDown",
        severity=CRITICAL,
        lasts="30s",
        expr=f"sum by (job) ({UP}) == 0\nor absent({UP})",
        summary="No replica of the orchestrator answers",
        description="No saga starts and no saga continues. All sagas are safe in the database.",
    ),
    Alert(
        name="SagaReplicaDown",
        severity=WARNING,
        lasts="1m",
        expr=f"{UP} == 0\nunless on (job) sum by (job) ({UP}) == 0",
        summary="{{ $labels.instance }} does not answer",
        description="The other replicas take over its sagas when the leases expire.",
    ),
    Alert(
        name="SagaDatabaseDown",
        severity=CRITICAL,
        lasts="30s",
        expr="max(saga_database_up) == 0",
        summary="No replica reaches the database",
        description="No saga moves, because nothing can be stored.",
    ),
    Alert(
        name="SagaRecoveryNotRunning",
        severity=CRITICAL,
        lasts="1m",
        expr="max(saga_overdue_seconds) > 60\nor max(saga_replicas) < 1",
        summary="No process claims the due sagas",
        description="A saga has been due for more than a minute, or no process sends a heartbeat.",
    ),
    Alert(
        name="SagaTakenLate",
        severity=WARNING,
        lasts="2m",
        expr="max(saga_overdue_seconds) > 5",
        summary="Due sagas have waited for {{ $value | humanizeDuration }}",
        description="Workers, the broker or free slots for sagas are missing: sagas without a waiting client continue "
        "only when a lease expires.",
    ),
    Alert(
        name="SagaWorkersMissing",
        severity=WARNING,
        lasts="1m",
        # Only a process with a BROKER_URL has saga_broker_up; without a broker, no workers are expected. During an
        # upgrade, a worker of an earlier release has the role `unknown`.
        expr='sum(max by (role) (saga_processes{role!="web"})) == 0\nand on () count(saga_broker_up) > 0',
        summary="No worker runs",
        description="BROKER_URL is set, so the web processes leave due sagas to workers: a saga without a waiting "
        "client continues only after LEASE_S.",
    ),
    Alert(
        name="SagaBrokerDown",
        severity=WARNING,
        lasts="1m",
        expr="min by (broker) (saga_broker_up) == 0",
        summary="A process does not reach the broker ({{ $labels.broker }})",
        description="Sagas continue up to RECOVERY_INTERVAL_S later, because workers look for due sagas themselves. "
        "Events wait in the outbox.",
    ),
    Alert(
        name="SagaConnectionsShort",
        severity=WARNING,
        lasts="1m",
        expr="max(saga_connections_possible) > max(saga_connections_allowed)",
        summary="The processes may open {{ $value }} database connections, more than the server accepts",
        description="At full load, requests wait for a connection and then get 503. Nothing fails before that.",
    ),
    Alert(
        name="SagaFencedWrites",
        severity=WARNING,
        lasts="0s",
        expr="sum(increase(saga_fenced_writes_total[10m])) > 5",
        summary="{{ $value | humanize }} writes of former lease holders were fenced in 10 minutes",
        description="Nothing is lost, but processes still run sagas that others have taken over: the processes are "
        "paused or overloaded, or LEASE_S is too short.",
    ),
)

EVENTS = (
    Alert(
        name="SagaOutboxLag",
        severity=WARNING,
        lasts="1m",
        expr="max(saga_outbox_lag_seconds) > 60",
        summary="The oldest event has waited {{ $value | humanizeDuration }} for the broker",
        description="Sagas continue, but their events are not published: the broker is down, or no process publishes.",
    ),
    Alert(
        name="SagaEventParked",
        severity=WARNING,
        lasts="0s",
        expr="max(saga_events_parked) > 0",
        summary="{{ $value }} dead letters in the incoming events",
        description="The senders wait for sagas that will not start. GET /api/v1/events/parked shows the errors.",
    ),
    Alert(
        name="SagaWebhookDead",
        severity=WARNING,
        lasts="0s",
        expr="max(saga_webhooks_dead) > 0",
        summary="{{ $value }} messages to webhooks were not delivered",
        description="Their receivers do not know that sagas have ended. `saga webhooks list` shows the errors; when "
        "the receiver is repaired, `saga webhooks redeliver` sends the messages again.",
    ),
)

KEYS = (
    Alert(
        name="SagaKeyExpires",
        severity=WARNING,
        lasts="10m",
        expr="max(saga_api_keys_expiring) > 0",
        summary="The API keys of {{ $value }} programs expire within 14 days",
        description="Then their requests get 401. `saga key list` shows the keys; make a second key of that name, give "
        "it to the program, and revoke the first.",
    ),
    Alert(
        name="SagaSignInsFail",
        severity=WARNING,
        lasts="1m",
        expr="sum by (kind) (increase(saga_refused_senders_total[10m])) > 30",
        summary="{{ $value | humanize }} senders of the kind {{ $labels.kind }} were refused in 10 minutes",
        description="Somebody guesses passwords, or a program has kept an old API key. `/admin/users` shows the failed "
        "sign-ins by name and hour; `saga key list` shows the keys that have ended.",
    ),
)

MEASURED = (*SAGAS, *PARTICIPANTS, *REPLICAS, *EVENTS, *KEYS)
OF_THE_BUDGET = tuple(compensation_rate(burn) for burn in BURNS)
ALERTS = (*MEASURED, *OF_THE_BUDGET)
