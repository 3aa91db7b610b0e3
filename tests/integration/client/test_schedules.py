"""Schedules by the client, for threads and for asyncio: what each call returns, and what a lost answer means."""

from dataclasses import replace
from datetime import UTC, datetime
from uuid import uuid4

import pytest
from flask import Response
from saga_client import (
    AsyncSchedules,
    Conflict,
    Forbidden,
    InvalidData,
    NotFound,
    Sagas,
    SagaType,
    Schedules,
    Unexpected,
)  # fmt: skip

from app.services import services
from tests.integration.client.conftest import Both, words

TRIP = {"customer": "Ada", "city": "Łódź", "nights": 3}
NIGHTLY = ("nightly", "0 3 * * *", "travel", TRIP)


@pytest.fixture(params=[False, True], ids=["threads", "asyncio"])
def schedules(request, service, operator_key):
    return Both(service.url, operator_key, "schedules", asynchronous=request.param)


def test_both_clients_have_the_same_words():
    assert words(AsyncSchedules) == words(Schedules)


def test_schedule_is_added_listed_shown_paused_resumed_and_removed(schedules):
    assert schedules.list() == ()
    added = schedules.add(*NIGHTLY, zone="Europe/Paris", overlap="allow")
    assert (added.name, added.cron, added.type, added.data) == NIGHTLY
    assert (added.zone, added.overlap, added.paused, added.created_by) == ("Europe/Paris", "allow", False, "key:ops")
    assert added.next_at > datetime.now(UTC) >= added.created_at
    assert (added.last_at, added.last_result, added.last_saga_id) == (None, None, None)
    assert schedules.list() == (schedules.show("nightly"),) == (added,)
    paused = schedules.pause("nightly")
    assert (paused.paused, paused.next_at) == (True, None)
    assert schedules.resume("nightly") == added
    assert schedules.remove("nightly") is None
    assert schedules.list() == ()


def test_schedule_is_changed_and_the_rest_stays(schedules):
    added = schedules.add(*NIGHTLY, zone="Europe/Paris")
    changed = schedules.change("nightly", cron="0 4 * * *", overlap="allow")
    assert changed == replace(added, cron="0 4 * * *", overlap="allow", next_at=changed.next_at)
    assert changed.next_at != added.next_at
    assert schedules.change("nightly", data=TRIP, zone="UTC").zone == "UTC"
    with pytest.raises(InvalidData, match="Nothing to change"):
        schedules.change("nightly")


def test_defaults_are_utc_and_skip(schedules):
    added = schedules.add("nightly", "0 3 * * *", SagaType("travel"), TRIP)
    assert (added.type, added.zone, added.overlap) == ("travel", "UTC", "skip")


def test_schedule_says_what_became_of_its_last_time(schedules, service):
    schedules.add(*NIGHTLY)
    store, following, saga_id = services(service).schedules.store, datetime(2131, 1, 31, 3, tzinfo=UTC), uuid4()
    due = store.find("nightly")
    store.advance(due, following, "started", saga_id)
    found = schedules.show("nightly")
    assert (found.last_at, found.last_result, found.last_saga_id) == (due.next_at, "started", saga_id)
    assert found.next_at == following


def test_wrong_schedule_names_each_field(schedules):
    with pytest.raises(InvalidData) as refused:
        schedules.add("nightly", "0 3 * *", "travel", TRIP)
    assert [each.pointer for each in refused.value.errors] == ["/cron"]
    with pytest.raises(InvalidData) as refused:
        schedules.add("nightly", "0 3 * * *", "travel", TRIP | {"nights": 0})
    assert [each.pointer for each in refused.value.errors] == ["/data/nights"]
    with pytest.raises(InvalidData, match="the data is no JSON"):
        schedules.add("nightly", "0 3 * * *", "travel", {"city": object()})


def test_unknown_schedule_is_not_found(schedules):
    for word in ("show", "pause", "resume", "remove"):
        with pytest.raises(NotFound, match="there is no schedule weekly"):
            getattr(schedules, word)("weekly")


def test_name_is_one_segment_of_the_path(schedules):
    schedules.add(*NIGHTLY)
    with pytest.raises(NotFound, match=r"there is no schedule nightly\?x"):
        schedules.show("nightly?x")


def test_change_that_is_made_already_is_a_conflict(schedules):
    schedules.add(*NIGHTLY)
    with pytest.raises(Conflict, match="there is a schedule nightly already"):
        schedules.add(*NIGHTLY)
    with pytest.raises(Conflict, match="is not paused"):
        schedules.resume("nightly")
    schedules.pause("nightly")
    with pytest.raises(Conflict, match="paused already"):
        schedules.pause("nightly")


def test_key_without_the_scope_is_forbidden(service, key):
    with Sagas(service.url, key) as sagas:
        assert sagas.schedules.list() == ()
        with pytest.raises(Forbidden):
            sagas.schedules.add(*NIGHTLY)


def test_change_whose_answer_is_lost_is_made_once_and_is_no_conflict(schedules, service):
    service.faults.next = ["lose"]
    assert schedules.add(*NIGHTLY).name == "nightly"
    service.faults.next = ["lose"]
    assert schedules.pause("nightly").paused
    service.faults.next = ["lose"]
    assert not schedules.resume("nightly").paused
    service.faults.next = ["lose"]
    assert schedules.remove("nightly") is None
    seen = [(method, path) for method, path, _ in service.faults.seen if method != "GET"]
    assert len(seen) == 8, "each change was sent twice"
    assert schedules.list() == ()


def test_name_that_another_schedule_has_is_a_conflict_also_after_a_lost_request(schedules, service):
    schedules.add(*NIGHTLY)
    service.faults.next = [Response("", 503)]
    with pytest.raises(Conflict):
        schedules.add("nightly", "0 4 * * *", "travel", TRIP)
    assert schedules.show("nightly").cron == "0 3 * * *"


@pytest.mark.parametrize("answer", [Response("<h1>It works</h1>", 200), Response("{}", 200)], ids=["page", "empty"])
def test_answer_of_another_program_is_unexpected(schedules, service, answer):
    for ask in (schedules.list, lambda: schedules.show("nightly"), lambda: schedules.add(*NIGHTLY)):
        service.faults.next = [answer]
        with pytest.raises(Unexpected):
            ask()
