"""kill -9, at random and over and over, while a third of the calls goes wrong: 0 lost, 0 doubled, 0 silently stuck."""

import time
from itertools import islice

from tests.chaos.clients import Clients
from tests.chaos.orders import orders
from tests.chaos.size import size

REPLICAS, SAGAS, KILLS = size(3, 4), size(48, 2000), size(6, 200)


def test_random_kills(make_world, report):
    draw_orders = orders(report.seed)
    with make_world(REPLICAS) as world:
        world.network.weather(share=0.3)
        clients = Clients(world.urls, 16)
        hit, hits = 0, 0
        for _ in range(KILLS):
            # Each batch of sagas meets its kill.
            clients.give(islice(draw_orders, SAGAS // KILLS))
            time.sleep(world.random.uniform(0.1, 1.0))
            in_hand = killed(world)
            hit, hits = hit + in_hand, hits + bool(in_hand)
        clients.finish()
        report.tell(f"{KILLS} kills")
        world.judge(clients.promised, clients.troubles)
        # Whoever was killed says nothing; whoever lives has no reason to fail.
        assert 500 not in clients.statuses, f"{clients.statuses}; see {world.log}"
        report.require("kills that hit", hits, at_least=KILLS // 2)
        report.require("sagas in flight killed", hit, at_least=KILLS)
        report.require("calls with a fault", world.network.hits(), at_least=SAGAS // 2)


def killed(world) -> int:
    """Kill one that works, start it anew, and tell how many sagas in flight it has taken with it."""
    victim = world.random.choice(world.ready())
    owners = victim.owners()
    victim.kill()
    in_hand = world.sagas.in_flight(owners)
    victim.begin()
    return len(in_hand)
