"""AsyncSagas has the same methods as Sagas, with the same results."""

import asyncio
import inspect
import threading

import pytest
from saga_client import AsyncSagas, Compensated, InvalidData, Sagas, Status, Unavailable

from tests.support.waiting import free_port

TRIP = {"customer": "Ada", "city": "Łódź", "nights": 3}


def words(kind):
    return {
        name: str(inspect.signature(each))
        for name, each in inspect.getmembers(kind, inspect.isfunction)
        if name[0] != "_" and name != "close"
    }


def test_both_clients_have_the_same_words():
    assert words(AsyncSagas) == words(Sagas)


def test_every_word_works(service, key, agency):
    async def use():
        async with AsyncSagas(service.url, key) as sagas:
            run = await sagas.run("travel", TRIP, key="trip-1", wait=30)
            assert (run.status, (await sagas.get(run)).data) == (Status.COMPLETED, TRIP)
            started = await sagas.start("travel", TRIP)
            assert (await sagas.wait_for_end(started, wait=30)).state == "BOOKED"
            good, bad = await sagas.batch("travel", {"a": TRIP, "b": {}})
            assert (good.saga.type, type(bad.error)) == ("travel", InvalidData)
            agency.refusing.add("car/cars")
            with pytest.raises(Compensated, match="none left"):
                await sagas.run("travel", TRIP, wait=30)

    asyncio.run(use())


def test_a_start_is_sent_again_with_the_same_key(service, key):
    paused = []

    async def sleep(seconds):
        paused.append(seconds)

    async def use():
        async with AsyncSagas(service.url, key, sleep=sleep, jitter=lambda longest: longest) as sagas:
            service.faults.next = ["lose"]
            return await sagas.run("travel", TRIP, wait=30)

    assert asyncio.run(use()).status is Status.COMPLETED
    keys = [headers["Idempotency-Key"] for method, _, headers in service.faults.seen if method == "POST"]
    assert (len(keys), len(set(keys)), paused[0]) == (2, 1, 0.2)


def test_the_loop_is_free_while_sagas_run_and_few_threads_serve_many(service, key, agency):
    agency.free.clear()
    ticks = []

    async def tick():
        while True:
            ticks.append(1)
            await asyncio.sleep(0)

    async def use():
        async with AsyncSagas(service.url, key, connections=2) as sagas:
            ticking = asyncio.create_task(tick())
            started = await asyncio.gather(*(sagas.start("travel", TRIP, key=str(number)) for number in range(10)))
            ends = [asyncio.create_task(sagas.wait_for_end(saga, wait=30)) for saga in started]
            while len(ticks) < 100:  # noqa: ASYNC110  each sleep lets the other tasks run
                await asyncio.sleep(0)
            assert not any(end.done() for end in ends)
            agency.free.set()
            found = await asyncio.gather(*ends)
            ticking.cancel()
            return {saga.id for saga in found}

    assert len(asyncio.run(use())) == 10
    clients = [thread.name for thread in threading.enumerate() if thread.name.startswith("saga-client")]
    assert clients == []


def test_a_service_that_does_not_listen_is_unavailable():
    async def no_pause(_seconds):
        pass

    async def use():
        async with AsyncSagas(f"http://127.0.0.1:{free_port()}", sleep=no_pause) as sagas:
            await sagas.get("an-id")

    with pytest.raises(Unavailable):
        asyncio.run(use())
