"""Many simultaneous clients with one key start one saga."""

import threading
from collections import Counter
from itertools import islice

from tests.chaos.clients import Client
from tests.chaos.orders import orders
from tests.chaos.size import size

KEYS, CLIENTS = size(10, 200), 20


def test_simultaneous_clients_of_one_key_start_one_saga(make_world, report):
    drawn = list(islice(orders(report.seed), KEYS))
    with make_world(3) as world:
        crowd = [Client(world.urls) for _ in range(CLIENTS)]
        gate, troubles = threading.Barrier(CLIENTS), []

        def place_all(client):
            for order in drawn:
                gate.wait(60)
                try:
                    client.place(order)
                except Exception as error:  # noqa: BLE001  the other threads must not wait for this one
                    troubles.append(f"{order.key}: {type(error).__name__}: {error}")

        threads = [threading.Thread(target=place_all, args=(client,)) for client in crowd]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        asked = {key for client in crowd for key in client.promised}
        promised = {key: set().union(*(client.promised[key] for client in crowd)) for key in asked}
        world.judge(promised, troubles)
        sagas = [saga for saga in world.sagas.all() if not saga.key.endswith("-return")]
        report.require(f"keys x {CLIENTS} clients", len(promised.keys() & {o.key for o in drawn}), at_least=KEYS)
        report.add(f"{len(sagas)} sagas of those keys")
        assert len(sagas) == KEYS
        # There are no faults, so any other status would be a defect.
        statuses = sum((client.statuses for client in crowd), Counter())
        assert statuses.keys() <= {200, 201, 202, 409}, statuses
