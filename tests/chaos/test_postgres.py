"""The database goes away under load, in several ways, and keeps every commit."""

import time
from itertools import cycle, islice

from tests.chaos.clients import Clients
from tests.chaos.orders import orders
from tests.chaos.postgres import STOPS
from tests.chaos.size import size
from tests.support.waiting import eventually

TIMES, SAGAS = size(3, 20), size(16, 40)
#: The number of threads of each replica, and so the size of its connection pool. In a small pool, a connection that is
#: never given back soon makes the test fail.
THREADS = size(3, 8)


def test_database_stopped_under_load_keeps_every_commit(make_world, report):
    draw_orders = orders(report.seed)
    with make_world(2, THREADS=str(THREADS)) as world:
        world.network.set_faults(share=0.1)
        clients = Clients(world.urls, 16)
        in_flight = []
        for how in islice(cycle(STOPS), TIMES):
            clients.give(islice(draw_orders, SAGAS))
            time.sleep(world.random.uniform(0.2, 0.8))
            in_flight.append(len(world.sagas.in_flight()))
            world.postgres.stop(how)
            eventually(lambda: not any(replica.answers() for replica in world.replicas), "no replica is ready")
            time.sleep(world.random.uniform(0.0, 2.0))
            world.postgres.start()
        clients.finish()
        eventually(lambda: all(replica.answers() for replica in world.replicas), "every replica is ready again")
        report.add(f"{TIMES} stops ({', '.join(STOPS)})")
        world.judge(clients.promised, clients.troubles)
        report.require("stops that hit sagas in flight", sum(map(bool, in_flight)), at_least=TIMES // 2)
        report.require("sagas in flight hit", sum(in_flight), at_least=2 * TIMES)
