"""Replies of /api/v1/sagas."""

from marshmallow import fields

from app.api.schemas.base import Problem, Reply, maybe, maybe_nested, moment, one_of
from app.views.saga_json import SAGA_STATUS_WORDS
from machines.history import RECORDED, Effect
from machines.statuses import SAGA_STATUSES, StepStatus
from machines.step import Kind


def _start_at() -> fields.Field[str]:
    words = "when a pending saga starts; null: it has started, or waits for `execute`"
    return maybe(fields.String, metadata={"format": "date-time", "description": words})


def _waiting_for() -> fields.Field[str]:
    words = "the signal, callback, poll, pause or saga, or participant and reason of a back-off; null: it does not wait"
    return maybe(fields.String, metadata={"description": words})


def _waiting_until() -> fields.Field[str]:
    words = "the end of that wait, or the time of the next attempt"
    return maybe(fields.String, metadata={"format": "date-time", "description": words})


class SagaShort(Reply):
    id = fields.UUID()
    type = fields.String()
    version = fields.Integer()
    status = one_of(sorted(set(SAGA_STATUSES.values())), metadata={"description": SAGA_STATUS_WORDS})
    state = fields.String()
    start_at = _start_at()
    created_at = moment()
    updated_at = moment()
    error_message = maybe(fields.String)


class SagaParent(Reply):
    id = fields.UUID()
    step = fields.String(metadata={"description": "the step that has started this saga"})
    number = fields.Integer(metadata={"description": "number of this saga among those of the step, from 1"})


class SagaLine(SagaShort):
    steps_count = fields.Integer()
    completed_steps = fields.Integer()
    parent = maybe_nested(SagaParent, "the saga whose step has started this one; null: none")
    waiting_for = _waiting_for()
    waiting_until = _waiting_until()


class SagaStep(Reply):
    id = fields.String()
    type = fields.String(metadata={"description": "name of the step"})
    kind = one_of(Kind)
    status = one_of(StepStatus)
    step_order = fields.Integer()
    started_at = maybe(fields.String, metadata={"format": "date-time"})
    completed_at = maybe(fields.String, metadata={"format": "date-time"})
    compensated_at = maybe(fields.String, metadata={"format": "date-time"})
    input_data = maybe(fields.Dict)
    output_data = maybe(fields.Dict)
    error_message = maybe(fields.String)
    attempts = fields.Integer()
    outcome = one_of(RECORDED, allow_none=True)
    retry_count = fields.Integer()


class SagaWithSteps(SagaShort):
    completed_at = maybe(fields.String, metadata={"format": "date-time"})
    steps = fields.List(fields.Nested(SagaStep))


class JournalEntry(Reply):
    seq = fields.Integer()
    at = moment()
    source = maybe(fields.String)
    trigger = fields.String()
    dest = fields.String()
    step = maybe(fields.String)
    direction = maybe(fields.String)
    attempt = maybe(fields.Integer)
    outcome = one_of(RECORDED, allow_none=True)
    actor = fields.String()
    reason = maybe(fields.String)
    status_code = maybe(fields.Integer)
    reply = maybe(fields.Raw, metadata={"description": "an object or an array"})
    duration_ms = maybe(fields.Float)


class SagaChild(SagaParent):
    type = fields.String()
    status = one_of(sorted(set(SAGA_STATUSES.values())))
    state = fields.String()
    stuck = fields.Boolean(metadata={"description": "true: it waits for a person, and its parent waits for it"})


_STUCK_BELOW = "the oldest stuck sagas that this one waits for, at any depth, ten at most: a person must act on them"


class SagaStuckBelow(Reply):
    id = fields.UUID()
    type = fields.String()
    state = fields.String()


class SagaWhole(SagaWithSteps):
    """The saga, its steps and its journal."""

    data = fields.Dict()
    started_by = maybe(fields.String, metadata={"description": "who started it, such as key:shop; null: not known"})
    erased_at = maybe(
        fields.String, metadata={"format": "date-time", "description": "when its personal data were erased"}
    )
    parent = maybe_nested(SagaParent, "the saga whose step has started this one; null: none")
    children = fields.List(fields.Nested(SagaChild), metadata={"description": "the sagas that its steps have started"})
    stuck_below = fields.List(fields.Nested(SagaStuckBelow), metadata={"description": _STUCK_BELOW})
    waiting_for = _waiting_for()
    waiting_until = _waiting_until()
    polls = maybe(fields.Integer, metadata={"description": "polls of that wait so far; null: it does not poll"})
    next_poll_at = maybe(
        fields.String, metadata={"format": "date-time", "description": "the next poll; null: none, or it is sent now"}
    )
    retry_count = fields.Integer(metadata={"description": "of the call that was retried most, undos included"})
    max_retries = fields.Integer(metadata={"description": "most retries of that call"})
    remaining_steps = fields.List(fields.String())
    journal = fields.List(fields.Nested(JournalEntry))


class Journal(Reply):
    """The moves of the saga, the oldest first."""

    journal = fields.List(fields.Nested(JournalEntry))


class ReplayDifference(Reply):
    move = fields.Integer(metadata={"description": "number of the move, from 1"})
    journal = fields.String(metadata={"description": 'the move in the journal; "": the journal ends before it'})
    table = fields.String(metadata={"description": 'the move by the present table; "": the run ends before it'})


class ReplayRun(Reply):
    calls = fields.List(fields.String(), metadata={"description": "such as `pay`, `undo pay` and `probe pay`"})
    status = fields.String()
    state = fields.String()
    error = maybe(fields.String)
    effects = fields.Dict(keys=fields.String(), values=one_of(Effect), metadata={"description": "step: its effect"})


class ReplayWhatIf(ReplayRun):
    change = fields.String()
    differs_at_call = maybe(fields.Integer, metadata={"description": "the first call that differs, from 0; null: none"})
    assumed = fields.List(
        fields.String(), metadata={"description": "calls that the journal does not have; they are taken to succeed"}
    )
    unused = fields.List(
        fields.String(), metadata={"description": "signals and actions of the journal that the run had no use for"}
    )
    not_reached = maybe(
        fields.String,
        metadata={
            "description": "why the change changes nothing, such as a call that is not made; null: it is reached"
        },
    )


class SagaReplay(Reply):
    """The saga's journal, run again in memory. Nothing was called or stored."""

    table = fields.String()
    version = fields.Integer()
    same_way = fields.Boolean(metadata={"description": "true: the present table goes the way of the journal"})
    difference = maybe_nested(ReplayDifference, "the first difference; null: none")
    unrecorded = fields.List(fields.String(), metadata={"description": "what the journal does not say, in sentences"})
    run = fields.Nested(ReplayRun)
    what_if = maybe_nested(ReplayWhatIf, "the run with one outcome changed; null: none was named")
    test = fields.String(metadata={"description": "the journal as a test in Python, without secrets"})


class Signalled(Reply):
    """The signal is stored. It is kept until the saga waits for it."""

    id = fields.UUID()
    signal = fields.String()
    status = one_of(sorted(set(SAGA_STATUSES.values())))
    state = fields.String()


class SagaCreated(Reply):
    """The saga is stored. Nothing runs yet: POST …/execute starts it."""

    message = fields.String()
    saga = fields.Nested(SagaShort)
    execute = fields.String(metadata={"description": "the path of the request that starts it"})


class SagaStarted(Reply):
    id = fields.UUID()
    type = fields.String()
    status = one_of(sorted(set(SAGA_STATUSES.values())), metadata={"description": SAGA_STATUS_WORDS})
    state = fields.String()
    stuck = fields.Boolean(metadata={"description": "true: the saga waits for a person"})
    start_at = _start_at()
    error_message = maybe(fields.String)


class BatchResult(Reply):
    key = maybe(fields.String, metadata={"description": "key of the start; null: it has no legal key"})
    saga = maybe_nested(SagaStarted, "the saga of the start; null: there is a problem")
    replayed = fields.Boolean(metadata={"description": "true: an earlier start with this key started the saga"})
    problem = maybe_nested(Problem, "why there is no saga; null: there is one")


class BatchResults(Reply):
    """A result for each start, in the order of the starts."""

    results = fields.List(fields.Nested(BatchResult))


class SagaCompleted(SagaStarted):
    """The saga has completed."""


class SagaUnderWay(SagaStarted):
    """The saga still runs, starts later, or is stuck. The header Location has the URL of its state."""


class SagaMoved(Reply):
    """The saga is completed, compensated or stuck (failed)."""

    message = fields.String()
    saga = fields.Nested(SagaWithSteps)


class SagaUnfinished(SagaMoved):
    """The saga still runs. The header Location has the URL of its state."""


class Pagination(Reply):
    optional = frozenset({"next_cursor", "searched_from"})

    total = fields.Integer(metadata={"description": "exact below 10,000"})
    limit = fields.Integer()
    offset = fields.Integer()
    has_more = fields.Boolean()
    next_cursor = maybe(fields.String, metadata={"description": "where the next page begins, for a sort by created_at"})
    searched_from = fields.AwareDateTime(
        metadata={
            "description": "older sagas were not looked at: no index serves error_contains, slower_than, "
            "entered_from, stuck_from and a sort by updated_at, so they look at the newest 10,000 sagas; created_from "
            "and created_to choose others. A sort by updated_at looks at all sagas of a client, an order, a tag, a "
            "parent, or an unfinished status"
        }
    )


class SagaList(Reply):
    """One page of the matching sagas."""

    sagas = fields.List(fields.Nested(SagaLine))
    pagination = fields.Nested(Pagination)
