"""What others tell: an event that a table asks for begins a saga, once for each event; any other is parked."""

import hashlib
import json
import threading
import time
from collections.abc import Callable
from contextlib import closing, suppress

import structlog
from kombu.exceptions import KombuError
from kombu.message import Message
from prometheus_client import CollectorRegistry, Counter
from sqlalchemy.exc import SQLAlchemyError

from app.broker import declare_anew, errors_as_kombus
from app.engine.service import SagaService
from app.errors import InvalidError, KeyReusedError, ProblemError, StillRunningError
from app.events.cloudevent import read_cloudevent
from app.events.exchange import connect, heard
from app.store.database_errors import Meaning, in_one_line, meaning
from app.store.instance import Standing
from app.store.parked import Parked
from app.values import one_line
from app.views.saga_data import data_schema
from app.views.validation import load
from machines.registry import Registry

_log = structlog.get_logger("intake")
#: Between two tries to reach a broker or a database that is away.
AWAY_S = 1.0
_GLANCE_S = 0.5
#: A Redis that was flushed has forgotten who wants to hear of what: so often it is told again.
_FORGETFUL_S = 2.0
#: A message that fails this many times, for no known reason, is parked: the fault is the message's.
TRIES = 3
BETWEEN_TRIES_S = 0.2
#: In bytes. Longer event keys are hashed.
LONGEST_PLAIN_KEY = 500
#: In bytes. No index of PostgreSQL's has a longer key, so no earlier release can have stored one.
LONGEST_INDEXED = 2704
#: So many messages are in hand at once; the others wait where another replica may take them.
_PREFETCH = 20


class Intake:
    """stopping: set when this process is to end."""

    def __init__(
        self,
        service: SagaService,
        definitions: Registry,
        parked: Parked,
        registry: CollectorRegistry,
        stopping: threading.Event,
    ) -> None:
        self._service, self._parked, self._stopping = service, parked, stopping
        self._begins = definitions.begun_by
        self._heard = Counter("saga_events_heard", "Events that came in", ["outcome"], registry=registry)
        for outcome in ("begun", "known", "parked"):
            self._heard.labels(outcome)

    @property
    def asked_for(self) -> list[str]:
        return sorted(self._begins)

    def run(self, url: str, progressed: Callable[[], None] = lambda: None) -> None:
        """Take what comes until this process is to end. progressed: called again and again meanwhile."""
        while not self._stopping.is_set():
            try:
                self._read(url, progressed)
            except (KombuError, OSError, SQLAlchemyError) as error:
                _log.warning("intake.away", error=str(error).partition("\n")[0])
                progressed()
                self._stopping.wait(AWAY_S)

    def begin(self, body: bytes) -> Standing | None:
        """Begin the saga that an event asks for. None: it runs already. Raises ProblemError when it cannot be taken.

        The same event, told by its source and its id, begins one saga however often it comes.
        """
        event = read_cloudevent(body)
        definition = self._begins.get(event["type"])
        if definition is None:
            raise InvalidError(("/type", f"No saga begins with it; {', '.join(self.asked_for)} would begin one."))
        data = load(data_schema(definition), event["data"], below="/data")
        source, event_id, sent = event["source"], event["id"], event["data"]
        try:
            if former := former_key(source, event_id):
                # A release before this one may have begun it, under a key that another event could have had as well.
                with suppress(KeyReusedError):
                    if begun := self._service.begun(definition.name, data, former, "event", sent):
                        return begun
            return self._service.start(definition.name, data, event_key(source, event_id), 0, "event", sent)
        except StillRunningError:
            return None

    def _read(self, url: str, progressed: Callable[[], None]) -> None:
        connection = connect(url)
        with (
            errors_as_kombus(connection),
            closing(connection),
            connection.Consumer(
                heard(self.asked_for),
                on_message=self._take,
                on_decode_error=self._undecodable,
                prefetch_count=_PREFETCH,
            ) as consumer,
        ):
            declared = time.monotonic()
            while not self._stopping.is_set():
                with suppress(TimeoutError):
                    connection.drain_events(timeout=_GLANCE_S)
                progressed()
                if time.monotonic() > declared + _FORGETFUL_S:
                    for queue in consumer.queues:
                        declare_anew(queue)
                    declared = time.monotonic()

    def _take(self, message: Message) -> None:
        """Take a message and acknowledge it. Raises SQLAlchemyError, and does neither, while the database is away."""
        body = message.body if isinstance(message.body, bytes) else str(message.body).encode(errors="replace")
        try:
            begun = self._begin_patiently(body)
        except ProblemError as problem:
            self._park(problem.detail, body)
        except Exception as error:
            if _operators(error):
                raise
            _log.exception("event.crashed")
            self._park(f"tried {TRIES} times: {type(error).__name__}: {in_one_line(error)}", body)
        else:
            self._heard.labels("begun" if begun and not begun.replayed else "known").inc()
        message.ack()

    def _begin_patiently(self, body: bytes) -> Standing | None:
        """Begin its saga, with several tries where it fails for no reason that is known."""
        for further in reversed(range(TRIES)):
            try:
                return self.begin(body)
            except ProblemError:
                raise
            except Exception as error:
                if not further or _operators(error):
                    raise
                self._stopping.wait(BETWEEN_TRIES_S)
        raise AssertionError("the last try returns or raises")

    def _undecodable(self, message: Message, error: Exception) -> None:
        """Park what kombu itself cannot make a message of."""
        body = message.body if isinstance(message.body, bytes) else str(message.body).encode(errors="replace")
        self._park(f"it cannot be decoded: {error}", body)
        message.ack()

    def _park(self, reason: str, body: bytes) -> None:
        reason = one_line(reason)
        self._parked.add(reason, body)
        _log.error("event.parked", reason=reason, mend="GET /api/v1/events/parked")
        self._heard.labels("parked").inc()


def _operators(error: Exception) -> bool:
    """Return True for an error that the operator of the database mends, and no change of the message would."""
    return isinstance(error, SQLAlchemyError) and meaning(error) not in {Meaning.UNSTORABLE, Meaning.DEFECT}


def event_key(source: str, event_id: str) -> str:
    """Return the key of an event's saga, which no Idempotency-Key of a request can be, for those are ASCII.

    Replicas of earlier releases know an event by its source and id as they are, and still do during an upgrade. A
    source with white space could be confused with another event's, and a long key fits no index: these are hashed.
    """
    plain = _plain_key(source, event_id)
    if len(plain.encode()) <= LONGEST_PLAIN_KEY and not any(map(str.isspace, source)):
        return plain
    return f"\N{ENVELOPE}#{hashlib.sha256(json.dumps([source, event_id]).encode()).hexdigest()}"


def former_key(source: str, event_id: str) -> str | None:
    """Return the key that earlier releases gave the event, where it is another one."""
    plain = _plain_key(source, event_id)
    fits = len(plain.encode()) <= LONGEST_INDEXED
    return plain if fits and plain != event_key(source, event_id) else None


def _plain_key(source: str, event_id: str) -> str:
    return f"\N{ENVELOPE} {source} {event_id}"
