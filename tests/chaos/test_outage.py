"""A participant is away for a while under many sagas: nobody hammers it, and all is well afterwards."""

import time
from itertools import islice

import pytest

from tests.chaos.clients import Clients
from tests.chaos.orders import orders
from tests.chaos.proxy import ARRIVED
from tests.chaos.size import size
from tests.chaos.world import DRAIN_S
from tests.support.waiting import waited

OUTAGE_S, SAGAS = size(4, 60), size(20, 500)
#: Every saga but a commande needs it.
AWAY = "client"
#: What must succeed in the end is sent as often before a person is asked; anything else as its table says.
LONGEST_BUDGET = 10


@pytest.mark.parametrize("how", ["failing", "unreachable"])
def test_outage(make_world, report, how):
    with make_world(2, apart=AWAY) as world:
        go_away(world.network_apart, how)
        until = time.monotonic() + OUTAGE_S
        clients = Clients(world.urls, 16)
        clients.give(islice(orders(report.seed), SAGAS))
        waited(lambda: False, until - time.monotonic())
        waiting = len(world.sagas.in_flight())
        calls = world.network_apart.totals()[ARRIVED] if how == "failing" else 0
        come_back(world.network_apart, how)
        clients.finish()
        waited(lambda: not world.sagas.in_flight(), DRAIN_S)
        over = beyond_budget(world)
        report.tell(f"away for {OUTAGE_S} s, and asked {calls} times in it")
        report.tell(f"{len(over)} calls beyond the retry budget")
        world.judge(clients.promised, clients.troubles)
        report.require("sagas waiting at its end", waiting, at_least=SAGAS // 10)
        assert not over


def go_away(network, how):
    """Answer 503 as a gateway does whose service is gone, or be gone altogether."""
    if how == "failing":
        network.weather(down=[AWAY])
    else:
        network.process.kill()


def come_back(network, how):
    if how == "failing":
        network.weather(down=[])
    else:
        network.process.begin()
        network.process.wait_until_ready()


def beyond_budget(world) -> dict[str, int]:
    """Give the calls that arrived more often than their step may be tried. Nobody was killed, so no count was lost."""
    attempts = {f"{step['name']}/do": step["attempts"] for steps in world.steps.values() for step in steps}
    return {
        key: done[ARRIVED]
        for key, done in (world.network.calls() | world.network_apart.calls()).items()
        if done[ARRIVED] > attempts.get(key.partition("/")[2], LONGEST_BUDGET)
    }
