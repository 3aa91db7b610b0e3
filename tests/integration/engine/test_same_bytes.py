"""A call has the same bytes wherever its values come from: memory, SQLite's text or PostgreSQL's JSONB."""

import json
import re
import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from uuid import UUID

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry

from app.calls.client import HttpClient, Request
from app.store.instance import Instance
from app.values import parsed, parsed_strictly, written
from app.views.saga_data import data_schema
from machines.call import get, post
from machines.discovery import discover
from machines.fields import Field, FieldKind, amount, integer, text
from machines.references import split
from machines.registry import Registry
from machines.replies import Reply
from machines.retry import Retry
from machines.saga import Saga
from machines.statuses import UNDER_WAY
from machines.step import compensatable, pivot, retriable
from machines.transitions import Trigger
from tests.integration.engine.scene import Scene
from tests.support.databases import service_engine

SOON = Retry(attempts=3, base_s=0.1)
#: A saga that puts values from its data and from replies into the bodies and paths of an action, an undo and a probe.
EVERYWHERE = Saga(
    name="everywhere", version=1, initial="E0", completed="E_DONE", compensated="E_UNDONE",
    data={"case": text(), "amount": amount(), "n": integer()}, participants=("alpha",),
    steps=(
        compensatable("hold", post("alpha", "/hold/{amount}/{case}", amount="amount", n="n"), retry=SOON,
                      undo=post("alpha", "/hold/{n}/undo", case="case", amount="amount"),
                      done="E_HELD", refused="E_NOT_HELD"),
        compensatable("seal", post("alpha", "/seal", any="hold.any", ref="hold.ref"), retry=SOON,
                      undo=post("alpha", "/seal/{hold.ref}/undo", any="hold.any"), done="E_SEALED", refused="E_OPEN"),
        pivot("pay", post("alpha", "/pay/{hold.ref}", any="hold.any", seal="seal.any"), retry=SOON,
              probe=get("alpha", "/pay/{hold.ref}/outcome"), done="E_PAID", refused="E_NOT_PAID"),
        retriable("ship", post("alpha", "/ship/{hold.ref}", any="hold.any", seal="seal.any", pay="pay.any"),
                  done="E_DONE"),
    ),
)  # fmt: skip
SAGAS = Registry([*discover(), EVERYWHERE])
#: These headers differ between attempts on purpose, because they identify the attempt.
_OF_AN_ATTEMPT = re.compile(rb"(?im)^(traceparent|saga-epoch): [^\r]*\r\n")

integers = st.integers(-(10**60), 10**60).map(str)
decimals = st.decimals(allow_nan=False, allow_infinity=False, places=None).map(str).filter(
    lambda number: abs(int(number.partition("E")[2] or "0")) < 300 and len(number) < 80
)  # fmt: skip
floats = st.floats(allow_nan=False, allow_infinity=False).map(repr)
odd = st.sampled_from(["-0.0", "-0", "0e5", "1.0", "1.10", "1e2", "1E+2", "1e16", "1e22", "9007199254740993.0",
                       "1e310", "-2e308", "1e399",
                       "18446744073709551616", "0.1000000000000000055511151231257827", "5e-324", "-1e-7"])  # fmt: skip
numbers = integers | decimals | floats | odd
texts = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=20)
quoted = st.builds(lambda words, ascii_only: json.dumps(words, ensure_ascii=ascii_only), texts, st.booleans())
scalars = numbers | quoted.filter(lambda words: json.loads(words) not in ("", ".", "..")) | st.just("true")
#: The values are JSON text, because the test compares how numbers and strings are written.
anything = st.recursive(
    scalars | st.sampled_from(["null", '"\\u00e9"', '"\\\\u0000"']),
    lambda inner: (
        st.lists(inner, max_size=4).map(lambda items: f"[{', '.join(items)}]")
        | st.lists(st.tuples(quoted, inner), max_size=4).map(
            lambda pairs: "{" + ",".join(f"{name}: {value}" for name, value in pairs) + "}"
        )
    ),
    max_leaves=12,
)


@dataclass
class Recorder:
    """A participant that records every byte it receives, and answers as `behave` says."""

    behave: Callable[[Request], bytes] = lambda _request: b""
    received: list[bytes] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.listener.getsockname()[1]}"
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self._converse, args=(connection,), daemon=True).start()

    def _converse(self, connection: socket.socket) -> None:
        with connection:
            while head := _until(connection, b"\r\n\r\n"):
                length = int((re.search(rb"(?i)content-length: (\d+)", head) or [b"", b"0"])[1])
                body = b""
                while len(body) < length:
                    body += connection.recv(length - len(body))
                self.received.append(head + body)
                connection.sendall(self.behave(head))


def _until(connection: socket.socket, end: bytes) -> bytes:
    found = b""
    while not found.endswith(end):
        piece = connection.recv(1)  # read one byte at a time, so that the body stays in the socket
        if not piece:
            return b""
        found += piece
    return found


@pytest.fixture(scope="module")
def recorder() -> Iterator[Recorder]:
    recorder = Recorder()
    yield recorder
    recorder.listener.close()


class WireScene(Scene):
    """A scene that sends its calls over HTTP to a `Recorder`."""

    def __init__(self, database, recorder: Recorder) -> None:
        super().__init__(database, CollectorRegistry(), registry=SAGAS)
        self.recorder, self.participants = recorder, HttpClient(4)

    def send(self, request: Request) -> Reply:
        path = "/" + request.url.split("/", 3)[3]
        return self.participants.send(replace(request, url=self.recorder.url + path))


@dataclass
class Behaviour:
    """The participant's behaviour: the first attempt of each call gets a 500, later attempts the reply of the step."""

    saga: Saga
    #: The reply of each step, as JSON text.
    replies: dict[str, str]
    #: The step that is refused at once, so that all steps before it are undone.
    refuses: str | None
    #: The calls that had an attempt, each as step, direction, and True for a probe.
    seen: set[tuple[str, str, bool]] = field(default_factory=set)

    def __call__(self, head: bytes) -> bytes:
        _, step, direction = re.search(rb"(?i)idempotency-key: ([^\r]*)", head)[1].decode().split("/")
        probe = b"/outcome HTTP/1.1" in head
        if step == self.refuses and direction == "do":
            return _http("409 Conflict", b'{"detail": "no"}')
        if (step, direction, probe) not in self.seen:
            self.seen.add((step, direction, probe))
            return _http("500 Broken", b"")
        return _http("200 OK", self.replies[step].encode())


def _http(status: str, body: bytes) -> bytes:
    return f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body


def value_of(a_field: Field) -> st.SearchStrategy[str]:
    """Draw a value for a field, as JSON text."""
    match a_field.kind:
        case FieldKind.INTEGER:
            return st.integers(a_field.low, a_field.high).map(str)
        case FieldKind.AMOUNT:
            cents = st.integers(0, 10**9).map(lambda number: number / 100)
            return cents.map(repr) | cents.map(lambda number: f"{number:.4e}".replace("e+", "E+")).filter(_is_amount)
        case FieldKind.UUID:
            return st.uuids().map(lambda value: f'"{value}"')
        case FieldKind.TEXT:
            return quoted.filter(lambda words: json.loads(words) not in ("", ".", ".."))
        case FieldKind.LIST:
            return st.lists(object_of(a_field.items), min_size=1, max_size=3).map(lambda items: f"[{','.join(items)}]")


def _is_amount(number: str) -> bool:
    return round(float(number), 2) == float(number)


def object_of(fields: dict[str, Field]) -> st.SearchStrategy[str]:
    members = st.fixed_dictionaries({name: value_of(each) for name, each in fields.items()})
    return members.flatmap(lambda chosen: st.permutations(list(chosen.items()))).map(_as_object)


def _as_object(members: list[tuple[str, str]]) -> str:
    return "{" + ", ".join(f'"{name}": {value}' for name, value in members) + "}"


@st.composite
def courses(draw: st.DrawFn, saga: Saga) -> tuple[str, dict[str, str]]:
    """Draw the data of a saga and the reply of each step, as JSON text."""
    calls = [call for step in saga.steps for call in (step.call, step.undo, step.probe) if call]
    in_paths = {split(reference) for call in calls for reference in re.findall(r"\{([^{}]*)\}", call.path)}
    replies = {
        step.name: _as_object(
            [
                (name, draw(scalars if (step.name, name) in in_paths else anything))
                for name in sorted(saga.needed_fields[step.name] | {"any"})
            ]
        )
        for step in saga.steps
    }
    return draw(object_of(saga.data)), replies


@pytest.fixture
def database(store_url):
    database = service_engine(store_url)
    yield database
    database.dispose()


def sent(scene: WireScene, data: str, course: Behaviour, *, reloaded: bool) -> list[bytes]:
    """Run a saga and return everything that was sent.

    With `reloaded`, the saga is loaded from the database before each attempt except the first.
    """
    scene.recorder.received, scene.recorder.behave = [], replace(course, seen=set())
    given = data_schema(course.saga).load(parsed_strictly(data.encode()))
    saga = Instance.new(course.saga, given, actor="client")
    saga_id = saga.id
    scene.engine.run(saga, max_sleep_s=0.0 if reloaded else 10_000.0)
    while reloaded and saga.status in UNDER_WAY:
        scene.leases().expire_all()
        (saga,) = scene.leases("another").claim(1, 30)
        scene.engine.run(saga, max_sleep_s=0.0)
    assert saga.status in ("completed", "compensated"), saga.error
    return [_comparable(request, saga_id) for request in scene.recorder.received]


def _comparable(request: bytes, saga_id: UUID) -> bytes:
    return _OF_AN_ATTEMPT.sub(b"", request.replace(str(saga_id).encode(), b"ID"))


WORST = (
    '{"ref": 12345678901234567890123, "any": {"zz": -0.0, "a": [1e16, 1.10, 1E22, 0.1234567890123456789], '
    '"b": {"long": 1, "z": 2, "": 3}, "10": "\\ud83d\\ude00\\u2028", "9": 1e-7}}'
)


@pytest.mark.parametrize("saga", list(SAGAS), ids=str)
@settings(max_examples=2, deadline=None, suppress_health_check=list(HealthCheck), phases=[Phase.generate])
@given(drawn=st.data())
def test_calls_have_the_same_bytes_before_and_after_a_reload(database, recorder, saga, drawn):
    data, replies = drawn.draw(courses(saga))
    for refuses in (None, [step.name for step in saga.steps if step.refused][-1]):
        same_bytes(WireScene(database, recorder), data, Behaviour(saga, replies, refuses))


@pytest.mark.parametrize("refuses", [None, "pay"])
def test_extreme_values_have_the_same_bytes_before_and_after_a_reload(database, recorder, refuses):
    data = '{"case": "\\u00e9/?#%", "n": 9223372036854775807, "amount": 1e2}'
    replies = {step.name: WORST for step in EVERYWHERE.steps}
    same_bytes(WireScene(database, recorder), data, Behaviour(EVERYWHERE, replies, refuses))


def same_bytes(scene: WireScene, data: str, course: Behaviour) -> None:
    kept, reloaded = (sent(scene, data, course, reloaded=reloaded) for reloaded in (False, True))
    assert reloaded == kept
    assert kept[0] == kept[1], "the first attempt, and the next"


@settings(max_examples=300, deadline=None)
@given(content=anything)
def test_parsed_value_is_written_in_one_form_and_reads_back(content):
    value = parsed(content.encode())
    form = written(value)
    again = parsed(form)
    assert (written(again), again) == (form, value)
    assert list(map(type, _leaves(again))) == list(map(type, _leaves(value)))


def _leaves(value):
    if isinstance(value, dict):
        return [leaf for name in sorted(value) for leaf in _leaves(value[name])]
    return [leaf for item in value for leaf in _leaves(item)] if isinstance(value, list) else [value]


def test_resolved_reply_is_sent_with_the_same_bytes(database, recorder):
    """A later call has the same bytes, whether a person gave the reply in a resolve or a participant sent it."""
    scene = WireScene(database, recorder)
    refs = '{"ref": 12345678901234567890123, "any": {"zz": 1.0, "a": -0.0}}'
    recorder.behave = lambda head: (
        _http("500 Broken", b"") if b"/pay" in head or b"/ship" in head else _http("200 OK", refs.encode())
    )
    data = data_schema(EVERYWHERE).load(parsed_strictly(b'{"case": "x", "n": 1, "amount": 1}'))
    saga = Instance.new(EVERYWHERE, data, actor="client")
    scene.engine.run(saga, max_sleep_s=10_000.0)
    assert saga.status == "stuck"
    scene.engine.request_move(saga, Trigger.RESOLVE, "user:ada", "seen to", parsed_strictly(refs.encode()))
    recorder.received = []
    scene.engine.run(saga, max_sleep_s=0.0)
    scene.leases().expire_all()
    (saga,) = scene.leases("another").claim(1, 30)
    scene.engine.run(saga, max_sleep_s=0.0)
    first, second = (_comparable(request, saga.id) for request in recorder.received)
    assert first == second
    assert b'"pay":{"a":0.0,"zz":1.0}' in first
    assert b"/ship/12345678901234567890123 HTTP/1.1" in first
