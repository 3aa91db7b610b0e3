"""The intake of events: an event that a table names starts one saga, and a `saga.signal` sends a signal.

Any other message becomes a dead letter.
"""

import hashlib
import json
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from typing import Any

import structlog
from kombu.exceptions import KombuError
from kombu.message import Message
from prometheus_client import CollectorRegistry, Counter
from sqlalchemy.exc import SQLAlchemyError

from app.broker import as_kombu_errors, declare_again
from app.engine.service import SagaService
from app.errors import ForbiddenError, InvalidError, KeyReusedError, ProblemError, SagaDeletedError, StillRunningError
from app.events.cloudevent import read_cloudevent
from app.events.signals import SIGNAL_EVENT, send, waits_for_signals
from app.events.signatures import UNSIGNED, signature_in, tenant_of
from app.events.topics import connect, incoming_queue
from app.settings import EventSecret
from app.store.data_keys import KeyLostError
from app.store.database_errors import Meaning, in_one_line, meaning
from app.store.dead_letters import DeadLetters, client_of
from app.store.instance import SagaSnapshot
from app.store.tenants import acting_for
from app.views.saga_data import data_schema
from app.views.validation import load
from machines.lines import one_line
from machines.registry import Registry

_log = structlog.get_logger("intake")
#: Seconds between two attempts to reach an unreachable broker or database.
RETRY_S = 1.0
#: Longest wait for a message, in seconds; afterwards the thread reports progress.
_POLL_S = 0.5
#: Seconds between two declarations of the queue's bindings. Redis loses the bindings when it is flushed.
_DECLARE_S = 2.0
#: Number of attempts with a message that fails for an unknown reason, and seconds between two attempts. After the last
#: attempt the message becomes a dead letter.
TRIES, BETWEEN_TRIES_S = 3, 0.2
#: Largest size of an event's idempotency key as plain text, in bytes; a longer key is hashed.
LONGEST_PLAIN_KEY = 500
#: Largest size of a value in a PostgreSQL index, in bytes. So no earlier release can have stored a longer key.
LONGEST_INDEXED = 2704
#: Largest number of messages that a replica holds without acknowledging them; other replicas can take the rest.
_PREFETCH = 20


@dataclass(frozen=True, kw_only=True)
class Accepted:
    """What became of an event: `begun` (a saga was started), `known` (it came before) or `signalled`."""

    outcome: str
    #: Durable state of the saga; None: a saga that was started before and still runs.
    saga: SagaSnapshot | None


class Intake:
    """Consumes the incoming events.

    stopping: set when the process is to end.
    secrets: those of the senders of events; without them, no event needs a signature.
    """

    def __init__(
        self,
        service: SagaService,
        definitions: Registry,
        parked: DeadLetters,
        registry: CollectorRegistry,
        stopping: threading.Event,
        *,
        secrets: Sequence[EventSecret] = (),
    ) -> None:
        self._secrets = secrets
        self._service, self._parked, self._stopping = service, parked, stopping
        self._definitions, self._registry = definitions.started_by_event, definitions
        self._takes_signals = waits_for_signals(definitions)
        self._received = Counter("saga_events_heard", "Incoming events", ["outcome"], registry=registry)
        for outcome in ("begun", "known", "signalled", "parked"):
            self._received.labels(outcome)

    @property
    def event_types(self) -> list[str]:
        """The types of the events that start a saga or send a signal."""
        return sorted([*self._definitions, *([SIGNAL_EVENT] if self._takes_signals else [])])

    def run(self, url: str, progressed: Callable[[], None] = lambda: None) -> None:
        """Consume messages until the process is to end. progressed: called after each wait for a message."""
        while not self._stopping.is_set():
            try:
                self._read(url, progressed)
            except (KombuError, OSError, SQLAlchemyError, KeyLostError) as error:
                _log.warning("intake.away", error=str(error).partition("\n")[0])
                progressed()
                self._stopping.wait(RETRY_S)

    def accept(self, body: bytes, signature: Mapping[str, str] = UNSIGNED) -> Accepted:
        """Start the saga of an event, or send its signal, for the tenant whose secret has signed it.

        The source and the id identify an event: a repeated event changes nothing. Raise ProblemError when the message
        is unusable, or has no signature although it needs one.
        """
        with acting_for(tenant_of(body, signature, self._secrets)):
            return self._accept(read_cloudevent(body))

    def _accept(self, event: Mapping[str, Any]) -> Accepted:
        if event["type"] == SIGNAL_EVENT and self._takes_signals:
            key = event_key(event["source"], event["id"])
            return Accepted(outcome="signalled", saga=send(self._service, self._registry, event, key))
        started = self._started(event)
        return Accepted(outcome="begun" if started and not started.replayed else "known", saga=started)

    def _started(self, event: Mapping[str, Any]) -> SagaSnapshot | None:
        """Start the saga of an event. Return None when the saga is already running, or has ended and was deleted."""
        definition = self._definitions.get(event["type"])
        if definition is None:
            raise InvalidError(
                ("/type", f"No saga starts with this event type; use one of {', '.join(self.event_types)}.")
            )
        data = load(data_schema(definition), event["data"], below="/data")
        source, event_id, sent = event["source"], event["id"], event["data"]
        try:
            if former := former_key(source, event_id):
                # An earlier release may have started the saga, with a key that is not unique: another event can have
                # the same key.
                with suppress(KeyReusedError):
                    if started := self._service.started_with(definition.name, data, former, "event", sent):
                        return started
            return self._service.start(definition.name, data, event_key(source, event_id), 0, "event", sent)
        except (StillRunningError, SagaDeletedError):
            return None

    def _read(self, url: str, progressed: Callable[[], None]) -> None:
        connection = connect(url)
        with (
            as_kombu_errors(connection),
            closing(connection),
            connection.Consumer(
                incoming_queue(self.event_types),
                on_message=self._take,
                on_decode_error=self._undecodable,
                prefetch_count=_PREFETCH,
            ) as consumer,
        ):
            declared_at = time.monotonic()
            while not self._stopping.is_set():
                with suppress(TimeoutError):
                    connection.drain_events(timeout=_POLL_S)
                progressed()
                if time.monotonic() > declared_at + _DECLARE_S:
                    for queue in consumer.queues:
                        declare_again(queue)
                    declared_at = time.monotonic()

    def _take(self, message: Message) -> None:
        """Accept a message, and acknowledge it. When the database fails, only raise SQLAlchemyError."""
        body, signature = _body_of(message), signature_in(message.headers or {})
        try:
            accepted = self._accept_with_retries(body, signature)
        except ProblemError as problem:
            self._add_dead_letter(problem.detail, body, signature)
        except Exception as error:
            if _mended_by_operator(error):
                raise
            _log.exception("event.crashed")
            reason = f"tried {TRIES} times: {type(error).__name__}: {in_one_line(error)}"
            self._add_dead_letter(reason, body, signature)
        else:
            self._received.labels(accepted.outcome).inc()
        message.ack()

    def _accept_with_retries(self, body: bytes, signature: Mapping[str, str]) -> Accepted:
        """Accept a message, with several attempts when it fails for an unknown reason."""
        for further in reversed(range(TRIES)):
            try:
                return self.accept(body, signature)
            except ProblemError:
                raise
            except Exception as error:
                if not further or _mended_by_operator(error):
                    raise
                self._stopping.wait(BETWEEN_TRIES_S)
        raise AssertionError("the last try returns or raises")

    def _undecodable(self, message: Message, error: Exception) -> None:
        """Store a message as a dead letter, because kombu cannot decode it."""
        self._add_dead_letter(f"it cannot be decoded: {error}", _body_of(message), signature_in(message.headers or {}))
        message.ack()

    def _add_dead_letter(self, reason: str, body: bytes, signature: Mapping[str, str]) -> None:
        """Store a message that was not accepted. It belongs to the tenant whose secret has signed it."""
        reason, tenant = one_line(reason), None
        with suppress(ForbiddenError):
            tenant = tenant_of(body, signature, self._secrets)
        client = client_of(self._registry, body)
        self._parked.add(reason, body, tenant=tenant, signature=signature, client=client)
        _log.error("event.parked", reason=reason, mend="GET /api/v1/events/parked")
        self._received.labels("parked").inc()


def _body_of(message: Message) -> bytes:
    return message.body if isinstance(message.body, bytes) else str(message.body).encode(errors="replace")


def _mended_by_operator(error: Exception) -> bool:
    """Return True for a database error that an operator must correct. Other messages would fail with the same error."""
    return isinstance(error, SQLAlchemyError) and meaning(error) not in {Meaning.UNSTORABLE, Meaning.DEFECT}


def event_key(source: str, event_id: str) -> str:
    """Return the idempotency key of an event. It is not ASCII, so no request can send it as Idempotency-Key.

    The key is `✉ source id` in plain text, as in earlier releases, which can run at the same time during an upgrade.
    The key is a hash when the source contains white space, because the plain key would be ambiguous, or when the plain
    key is too long for an index.
    """
    plain = _plain_key(source, event_id)
    if len(plain.encode()) <= LONGEST_PLAIN_KEY and not any(map(str.isspace, source)):
        return plain
    return f"\N{ENVELOPE}#{hashlib.sha256(json.dumps([source, event_id]).encode()).hexdigest()}"


def former_key(source: str, event_id: str) -> str | None:
    """Return the key that earlier releases used for the event.

    Return None if `event_key` returns the same key, or if earlier releases could not store such a long key.
    """
    plain = _plain_key(source, event_id)
    fits = len(plain.encode()) <= LONGEST_INDEXED
    return plain if fits and plain != event_key(source, event_id) else None


def _plain_key(source: str, event_id: str) -> str:
    return f"\N{ENVELOPE} {source} {event_id}"
