"""Writes several commits by one batch, and compares what single commits and batches have written."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from unittest.mock import Mock

import pytest

from app.store.group_commit import Commit, GroupCommit
from app.store.instance import Instance
from app.store.sagas import SagaStore
from machines.transitions import Trigger
from tests.support.waiting import waited

on_postgresql = pytest.mark.parametrize("store_url", ["postgresql"], indirect=True)


def advance(saga: Instance) -> None:
    saga.fire(Trigger.SUCCEEDED, actor="engine", step="lire_panier", direction="do", reply={"é": [1.50, None]})


@contextmanager
def busy(group: GroupCommit, threads: ThreadPoolExecutor) -> Iterator[None]:
    """Keep statements on their way until the end of the block, so that all commits of the block wait."""
    group.at_once, go, started = 1, threading.Event(), threading.Event()
    statement = Mock(run=lambda _values: (started.set(), go.wait(10)))
    threads.submit(group.write, Commit(statement, {}))
    assert started.wait(10)
    yield
    go.set()


def save_together(
    store: SagaStore, threads: ThreadPoolExecutor, sagas: list[Instance], **how: object
) -> list["Future[None]"]:
    """Save sagas by one batch."""
    return together(store.saves, store.save, threads, sagas, **how)


def together(
    group: GroupCommit, write: Callable[..., None], threads: ThreadPoolExecutor, sagas: list[Instance], **how: object
) -> list["Future[None]"]:
    how = {"delay_s": 30, "owner": "one"} | how
    found = []
    with busy(group, threads):
        for number, saga in enumerate(sagas, 1):
            found.append(threads.submit(write, saga, **how))
            waited(lambda number=number: group.waiting == number)
    return found


def errors(found: list["Future[None]"]) -> list[type | None]:
    return [None if each.exception(10) is None else type(each.exception(10)) for each in found]


def assert_same_rows(stored, sagas):
    """Compare the rows of the sagas and their journals. Of a time, and of the moves with their ages: is it there?"""
    times = ("due_at", "deadline_at", "created_at", "updated_at", "entered_at", "at", "moves", "idempotency_key")
    for table, by, order in (("saga", "id", "id"), ("journal", "saga_id", "seq")):
        found = {}
        for row in stored.rows(f"SELECT * FROM {table} ORDER BY {order}"):
            kept = {name: value for name, value in row.items() if name not in (by, *times)}
            kept |= {name: value is None for name, value in row.items() if name in times}
            found.setdefault(str(row[by]).replace("-", ""), []).append(kept)
        assert [found[saga.id.hex] for saga in sagas] == [found[sagas[0].id.hex]] * len(sagas)
