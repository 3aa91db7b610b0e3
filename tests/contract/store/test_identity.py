"""Two processes with equal host names and pids, such as containers on one host network, are two owners."""

import os
import socket

import pytest
from sqlalchemy import text

from app import create_app
from app.config import from_environment
from app.services import services
from app.store.database import db
from app.store.outbox import Outbox


@pytest.fixture
def twins(store_url, monkeypatch):
    """Make two services on one database with the same host name and pid."""
    monkeypatch.setattr(socket, "gethostname", lambda: "vm")
    monkeypatch.setattr(os, "getpid", lambda: 2)
    apps = [create_app(from_environment({"DATABASE_URL": store_url})) for _ in range(2)]
    yield apps
    for app in apps:
        with app.app_context():
            db.engine.dispose()


def owners(app, table):
    with app.app_context(), db.engine.connect() as connection:
        return [row.owner for row in connection.execute(text(f"SELECT owner FROM {table}"))]


def test_processes_of_one_host_name_and_pid_are_two_replicas(twins):
    for app in twins:
        services(app).runner.heartbeat.beat()
    first, second = owners(twins[0], "replica")
    assert first != second
    assert {owner.rpartition(":")[0] for owner in (first, second)} == {"vm:2"}


def test_only_one_process_publishes_the_events_of_a_saga(twins, stored, saga, monkeypatch):
    monkeypatch.setattr(Outbox, "give_back", lambda _: None)
    stored.store().insert(saga, 30, owner="one")
    stored.rows("UPDATE journal SET event = 'CommandeCreate'")
    first, second = (services(app).events.relay for app in twins)
    published = []
    for relay in (first, second, first):
        stored.rows("INSERT INTO outbox (saga_id, seq, at) SELECT saga_id, seq, at FROM journal")
        published.append(relay.publish_batch())
    assert published == [1, 0, 2]
