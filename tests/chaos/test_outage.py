"""A participant is away for a while under load: its calls stay within the retry limits, and every saga ends well."""

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
#: The participant that goes away. Every saga except `commande` calls it.
AWAY = "client"
#: The largest number of attempts that any call may have: the limit of a step that must succeed in the end.
LONGEST_BUDGET = 10


@pytest.mark.parametrize("how", ["failing", "unreachable"])
def test_sagas_end_well_after_an_outage_of_a_participant(make_world, report, how):
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
        report.add(f"away for {OUTAGE_S} s, and asked {calls} times in it")
        report.add(f"{len(over)} calls beyond the retry budget")
        world.judge(clients.promised, clients.troubles)
        report.require("sagas waiting at its end", waiting, at_least=SAGAS // 10)
        assert not over


def go_away(network, how):
    """Make the participant unavailable: its gateway answers 503, or no connection to it is possible."""
    if how == "failing":
        network.set_faults(down=[AWAY])
    else:
        network.process.kill()


def come_back(network, how):
    if how == "failing":
        network.set_faults(down=[])
    else:
        network.process.begin()
        network.process.wait_until_ready()


def beyond_budget(world) -> dict[str, int]:
    """Return the calls that arrived more often than the limit of their step allows.

    The counts are exact, because this test kills no process.
    """
    attempts = {f"{step['name']}/do": step["attempts"] for steps in world.steps.values() for step in steps}
    return {
        key: done[ARRIVED]
        for key, done in (world.network.calls() | world.network_apart.calls()).items()
        if done[ARRIVED] > attempts.get(key.partition("/")[2], LONGEST_BUDGET)
    }
