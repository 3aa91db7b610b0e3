"""What others tell: an event that a table asks for begins a saga, once for each event; any other is parked."""

import threading
import time
from collections.abc import Iterable
from contextlib import closing, suppress

import structlog
from kombu.exceptions import KombuError
from kombu.message import Message
from prometheus_client import CollectorRegistry, Counter
from sqlalchemy.exc import SQLAlchemyError

from app.api.data import data_schema
from app.api.reading import load
from app.broker import declare_anew, errors_as_kombus
from app.engine.service import SagaService
from app.errors import InvalidError, ProblemError, StillRunningError
from app.events.cloudevent import read_cloudevent
from app.events.exchange import connect, heard
from app.store.instance import Standing
from app.store.parked import Parked
from machines.registry import Registry
from machines.saga import Saga

_log = structlog.get_logger("intake")
#: Between two tries to reach a broker or a database that is away.
AWAY_S = 1.0
_GLANCE_S = 0.5
#: A Redis that was flushed has forgotten who wants to hear of what: so often it is told again.
_FORGETFUL_S = 2.0
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
        self._begins = _begins(definitions)
        self._heard = Counter("saga_events_heard", "Events that came in", ["outcome"], registry=registry)
        for outcome in ("begun", "known", "parked"):
            self._heard.labels(outcome)

    @property
    def asked_for(self) -> list[str]:
        return sorted(self._begins)

    def run(self, url: str) -> None:
        """Take what comes until this process is to end."""
        while not self._stopping.is_set():
            try:
                self._read(url)
            except (KombuError, OSError, SQLAlchemyError) as error:
                _log.warning("intake.away", error=str(error).partition("\n")[0])
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
        try:
            return self._service.start(definition.name, data, _key(event["source"], event["id"]), wait_s=0)
        except StillRunningError:
            return None

    def _read(self, url: str) -> None:
        connection = connect(url)
        with (
            errors_as_kombus(connection),
            closing(connection),
            connection.Consumer(heard(self.asked_for), on_message=self._take, prefetch_count=_PREFETCH) as consumer,
        ):
            declared = time.monotonic()
            while not self._stopping.is_set():
                with suppress(TimeoutError):
                    connection.drain_events(timeout=_GLANCE_S)
                if time.monotonic() > declared + _FORGETFUL_S:
                    for queue in consumer.queues:
                        declare_anew(queue)
                    declared = time.monotonic()

    def _take(self, message: Message) -> None:
        body = message.body if isinstance(message.body, bytes) else str(message.body).encode()
        try:
            begun = self.begin(body)
        except ProblemError as problem:
            self._parked.add(problem.detail, body)
            _log.error("event.parked", reason=problem.detail, mend="GET /api/v1/events/parked")
            self._heard.labels("parked").inc()
        else:
            self._heard.labels("begun" if begun and not begun.replayed else "known").inc()
        message.ack()


def _begins(definitions: Iterable[Saga]) -> dict[str, Saga]:
    """Say which saga an event begins: the newest version of it."""
    ordered = sorted(definitions, key=lambda definition: definition.version)
    return {definition.started_by: definition for definition in ordered if definition.started_by}


def _key(source: str, event_id: str) -> str:
    """Name an event by what no Idempotency-Key of a request can be, for those are ASCII."""
    return f"\N{ENVELOPE} {source} {event_id}"
