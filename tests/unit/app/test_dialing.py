"""Connecting to real sockets, with a name server that answers as a test sets it."""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from app.dialing import FRESH_S, KEPT_S, SHUNNED_S, Dialer, UnreachableError


def address(listener: socket.socket) -> tuple:
    return socket.AF_INET, socket.SOCK_STREAM, 0, "", listener.getsockname()


class NameServer:
    """A fake name server, which answers each look-up with the addresses in `known`."""

    def __init__(self) -> None:
        self.known: list[tuple] = []
        #: The error that each look-up raises. None: a look-up returns `known`.
        self.error: Exception | None = None
        #: The number of look-ups.
        self.asked = 0
        #: True: look-ups get no answer until the test ends.
        self.blocked = False
        self.release = threading.Event()

    def look_up(self, *_: object, **__: object) -> list[tuple]:
        self.asked += 1
        if self.blocked:
            self.release.wait(20)
        if self.error:
            raise self.error
        return self.known


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def names() -> Iterator[NameServer]:
    names = NameServer()
    yield names
    names.release.set()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def alive() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener


@pytest.fixture
def mute() -> Iterator[socket.socket]:
    """Return a listener whose queue is full, so connecting to it never ends."""
    with ExitStack() as stack:
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        for _ in range(4):
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(listener.getsockname())
        yield listener


@pytest.fixture
def dial(names: NameServer, clock: Clock) -> Callable:
    dialer = Dialer(names.look_up, clock)

    def dial(within_s: float = 5.0, host: str = "stock.test") -> tuple:
        with dialer.connect(host, 80, clock.now + within_s) as connected:
            return connected.getpeername()

    return dial


def refused(dial: Callable, *arguments: float) -> str:
    with pytest.raises(UnreachableError) as error:
        dial(*arguments)
    return str(error.value)


def test_ip_address_needs_no_name_server(alive, names):
    names.blocked = True
    host, port = alive.getsockname()
    with Dialer(names.look_up).connect(host, port, time.monotonic() + 60) as connected:
        assert connected.getpeername() == (host, port)
    assert names.asked == 0


def test_dead_address_leaves_time_for_the_next_address(dial, names, mute, alive):
    names.known = [address(mute), address(alive)]
    assert dial(0.6) == alive.getsockname()


def test_an_address_that_failed_is_tried_last_for_a_while(dial, names, clock, mute, alive):
    names.known = [address(mute), address(alive)]
    dial(0.2)
    started = time.monotonic()
    assert dial(20.0) == alive.getsockname()
    assert time.monotonic() - started < 10, "the dead one, first in the answer, was not waited for"
    clock.now += SHUNNED_S + 1
    started = time.monotonic()
    dial(0.6)
    assert time.monotonic() - started >= 0.25, "it is tried first again, and has half of the time"


def test_every_address_is_named_in_the_error(dial, names, mute):
    with socket.create_server(("127.0.0.1", 0)) as gone:
        names.known = [address(gone), address(mute)]
    said = refused(dial, 0.2)
    assert "stock.test:80 at 127.0.0.1 refused the connection" in said
    assert "stock.test:80 at 127.0.0.1 did not answer in time while connecting" in said


def test_silent_name_server_holds_a_caller_only_until_its_deadline(dial, names):
    names.blocked = True
    started = time.monotonic()
    assert refused(dial, 0.1) == "the name server did not answer for stock.test in time"
    assert time.monotonic() - started < 10


def test_name_is_looked_up_once_for_many_callers(dial, names):
    names.blocked = True
    for _ in range(5):
        refused(dial, 0.01)
    assert names.asked == 1


def test_a_late_answer_serves_the_next_call(dial, names, alive):
    names.blocked, names.known = True, [address(alive)]
    refused(dial, 0.01)
    names.release.set()
    assert dial() == alive.getsockname()
    assert names.asked == 1


def test_lookup_is_cached_for_a_short_time(dial, names, clock, alive):
    names.known = [address(alive)]
    dial()
    clock.now += FRESH_S - 0.1
    dial()
    assert names.asked == 1
    clock.now += 0.2
    dial()
    assert names.asked == 2


def test_last_good_lookup_is_used_while_the_name_server_is_silent(dial, names, clock, alive):
    names.known = [address(alive)]
    dial()
    names.blocked = True
    clock.now += KEPT_S - 1
    assert dial(0.4) == alive.getsockname()
    clock.now += 2
    assert "did not answer" in refused(dial, 0.1)


def test_last_good_lookup_is_used_while_the_name_server_fails(dial, names, clock, alive):
    names.known = [address(alive)]
    dial()
    names.error = socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")
    clock.now += KEPT_S - 1
    assert dial() == alive.getsockname()
    clock.now += 2
    assert refused(dial) == "the name server has no answer at the moment for stock.test is"


@pytest.mark.parametrize(
    "error", [socket.gaierror(socket.EAI_NONAME, "Name or service not known"), UnicodeError("label too long")]
)
def test_last_lookup_is_not_used_for_a_deleted_name(dial, names, clock, alive, error):
    names.known = [address(alive)]
    dial()
    names.error = error
    clock.now += FRESH_S + 1
    assert refused(dial) == "there is no host named stock.test"


def test_no_connection_is_made_after_the_deadline(names, clock, alive):
    def slow(*arguments: object, **options: object) -> list[tuple]:
        clock.now += 10
        return [address(alive)]

    with pytest.raises(UnreachableError, match=r"no time was left to connect to stock\.test:80"):
        Dialer(slow, clock).connect("stock.test", 80, clock.now + 5)


@pytest.mark.skipif(not hasattr(socket, "TCP_USER_TIMEOUT"), reason="Linux alone has it")
def test_vanished_peer_is_noticed(alive):
    with Dialer().connect(*alive.getsockname(), time.monotonic() + 60) as connected:
        assert connected.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
        assert 0 < connected.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) <= 30_000
        assert 0 < connected.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) <= 30
