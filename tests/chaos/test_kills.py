"""Random kills by SIGKILL while 30 % of the calls have a fault: no saga is lost or doubled, and each one ends."""

import time
from itertools import islice

from tests.chaos.clients import Clients
from tests.chaos.orders import orders
from tests.chaos.size import size

REPLICAS, SAGAS, KILLS = size(3, 4), size(48, 2000), size(6, 200)


def test_random_kills_lose_and_double_nothing(make_world, report):
    draw_orders = orders(report.seed)
    with make_world(REPLICAS) as world:
        world.network.set_faults(share=0.3)
        clients = Clients(world.urls, 16)
        hit, hits = 0, 0
        for _ in range(KILLS):
            # Each batch of sagas is hit by one kill.
            clients.give(islice(draw_orders, SAGAS // KILLS))
            time.sleep(world.random.uniform(0.1, 1.0))
            in_hand = killed(world)
            hit, hits = hit + in_hand, hits + bool(in_hand)
        clients.finish()
        report.add(f"{KILLS} kills")
        world.judge(clients.promised, clients.troubles)
        # A 500 would be a defect: a killed replica sends no answer, and a kill causes no error in other replicas.
        assert 500 not in clients.statuses, f"{clients.statuses}; see {world.log}"
        report.require("kills that hit", hits, at_least=KILLS // 2)
        report.require("sagas in flight killed", hit, at_least=KILLS)
        report.require("calls with a fault", world.network.hits(), at_least=SAGAS // 2)


def killed(world) -> int:
    """Kill one ready replica, start it again, and return how many sagas in flight it held."""
    victim = world.random.choice(world.ready())
    owners = victim.owners()
    victim.kill()
    in_hand = world.sagas.in_flight(owners)
    victim.begin()
    return len(in_hand)
