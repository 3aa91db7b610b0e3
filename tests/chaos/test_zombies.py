"""A frozen replica continues after its leases have ended and other replicas have finished its sagas."""

from itertools import islice

from tests.chaos.clients import Clients
from tests.chaos.faults import Fault
from tests.chaos.orders import orders
from tests.chaos.sagas import FINISHED
from tests.chaos.size import size
from tests.support.waiting import eventually, waited

ROUNDS, SAGAS = size(1, 12), size(24, 60)


def test_frozen_replica_cannot_write_after_a_takeover(make_world, report):
    draw_orders = orders(report.seed)
    with make_world(3) as world:
        # The calls are slow, so that the freeze hits a replica in the middle of a call.
        world.network.set_faults(share=0.7, kinds=[Fault.DELAY], delay_s=1.0)
        clients = Clients(world.urls, 16)
        taken_over, fenced = {}, 0
        for _ in range(ROUNDS):
            clients.give(islice(draw_orders, SAGAS))
            zombie = eventually(lambda: busy(world), "a replica has sagas in hand")
            before = zombie.fenced_writes()
            taken_over |= slept_through(world, zombie)
            zombie.thaw()
            waited(lambda zombie=zombie, before=before: zombie.fenced_writes() > before, 5)
            fenced += zombie.fenced_writes() - before
        clients.finish()
        world.judge(clients.promised, clients.troubles)
        accepted = [saga_id for saga_id, moves in taken_over.items() if world.sagas.moves(saga_id) != moves]
        report.add(f"{len(accepted)} with a stale write accepted")
        assert not accepted, "\n".join(world.sagas.journal(accepted[0]))
        report.require("sagas finished by others meanwhile", len(taken_over), at_least=ROUNDS)
        report.require("stale writes fenced", fenced, at_least=1)


def busy(world):
    """Return a replica that holds several sagas."""
    return next((one for one in world.replicas if len(world.sagas.in_flight(one.owners())) > 2), None)


def slept_through(world, zombie):
    """Freeze the replica until other replicas have ended its sagas. Return the moves of the finished sagas."""
    zombie.freeze()
    in_hand = world.sagas.in_flight(zombie.owners())
    eventually(lambda: not in_hand & world.sagas.in_flight(), "others end the sagas of the stopped one")
    finished = [saga for saga in world.sagas.all() if saga.id in in_hand and saga.status in FINISHED]
    return {saga.id: world.sagas.moves(saga.id) for saga in finished}
