"""Large answers that are not read take a limited room."""

import socket

import pytest

from app.serving.large_answers import FRESH_S, LOOK_S, Room, peers_behind

MOST = 4000


class World:
    """The kernel's connections, and the time."""

    def __init__(self):
        self.now, self.behind, self.looks = 0.0, set(), 0

    def look(self):
        self.looks += 1
        return self.behind


@pytest.fixture
def world():
    return World()


@pytest.fixture
def room(world):
    return Room(MOST, world.look, lambda: world.now)


def test_room_is_limited_in_all_and_for_each_address(room, world):
    world.now = 10.0
    taken = [room.take(f"10.0.0.{address}:{port}", 500) for address in range(5) for port in (1, 2, 3)]
    assert taken == [True, True, False] * 4 + [False] * 3
    assert world.looks == 1, "one look in LOOK_S"


def test_room_is_free_again_when_the_client_has_read(room, world):
    assert [room.take(f"10.0.0.1:{port}", 500) for port in (1, 2, 3)] == [True, True, False]
    world.behind = {2}
    world.now = FRESH_S - LOOK_S
    assert not room.take("10.0.0.1:3", 500), "an answer may not have reached the kernel yet"
    world.now += 2 * LOOK_S
    assert [room.take(f"10.0.0.1:{port}", 500) for port in (3, 4)] == [True, False]


def test_next_answer_of_a_connection_replaces_the_last_one(room):
    assert all(room.take("[::1]:7", 500) for _ in range(100))


def test_only_answer_to_an_address_may_be_larger_than_its_share(room):
    assert room.take("10.0.0.1:1", 2 * MOST)
    assert not room.take("10.0.0.2:1", 1)


@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
def test_kernel_shows_the_client_that_does_not_read(address):
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.create_server((address, 0), family=family) as server, socket.socket(family) as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
        client.connect(server.getsockname())
        port, number = server.getsockname()[1], client.getsockname()[1]
        sending, _ = server.accept()
        with sending:
            assert peers_behind(port) == set()
            sending.setblocking(False)
            sending.send(b"x" * (1 << 20))
            assert peers_behind(port) == {number}
    assert number not in peers_behind(port)
