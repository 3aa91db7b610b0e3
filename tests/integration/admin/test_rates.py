"""The page of rates: ends and stuck sagas a minute, and the time of the calls of each step."""

import re
from html import unescape

import pytest
from sqlalchemy import text, update

from app.errors import BusyError
from app.store.database import db
from app.store.models import JournalRow
from app.store.rates import rates
from machines.statuses import Status
from tests.integration.admin.conftest import seen

ENDS = {
    ("checkout", 1, "CONFIRMEE"): Status.COMPLETED,
    ("checkout", 1, "ANNULEE"): Status.COMPENSATED,
    ("checkout", 1, "STUCK_PAYER"): Status.STUCK,
}

STUCK = ("succeeded", "succeeded", "succeeded", "exhausted")


def made_earlier(saga, seconds, last=99):
    """Make the moves of a saga older, up to the number `last`."""
    on_postgresql = db.engine.dialect.name == "postgresql"
    earlier = (
        "at - make_interval(secs => :s)"
        if on_postgresql
        else "strftime('%Y-%m-%d %H:%M:%f', at, '-' || :s || ' seconds') || '000'"
    )
    given = {"s": seconds, "id": saga.id if on_postgresql else saga.id.hex, "last": last}
    db.session.execute(text(f"UPDATE journal SET at = {earlier} WHERE saga_id = :id AND seq <= :last"), given)
    db.session.commit()


def test_ends_are_counted_in_the_part_of_the_window_in_which_they_came(walk):
    made_earlier(walk(*["succeeded"] * 5), 150)
    walk("refused")
    made_earlier(walk(*["succeeded"] * 5), 4_000)  # before the window
    found = rates(ENDS, ["checkout"], 3_600, 60)
    completed = {part: sagas for (_, status, part), sagas in found.arrivals.items() if status == "completed"}
    assert completed == {57: 1}
    assert sum(sagas for (_, status, _), sagas in found.arrivals.items() if status == "compensated") == 1


def test_the_times_of_a_step_are_percentiles_of_its_calls(walk):
    for _ in range(3):
        walk("succeeded")
    numbers = "SELECT count(*) FROM journal b WHERE b.at <= journal.at AND b.duration_ms IS NOT NULL"
    db.session.execute(text(f"UPDATE journal SET duration_ms = 10 * ({numbers}) WHERE duration_ms IS NOT NULL"))
    db.session.commit()
    (times,) = rates(ENDS, ["checkout"], 3_600, 60).times
    assert (times.step, times.direction, times.calls) == ("lire_panier", "do", 3)
    assert times.p50_ms <= times.p95_ms
    assert times.p95_ms == max(row.duration_ms for row in db.session.execute(text("SELECT duration_ms FROM journal"))
                               if row.duration_ms)  # fmt: skip


def test_a_call_that_was_held_back_does_not_count(walk):
    held_back, answered, _ = (walk("succeeded") for _ in range(3))
    db.session.execute(update(JournalRow).values(duration_ms=40).where(JournalRow.duration_ms.is_not(None)))
    for saga, status_code in ((held_back, None), (answered, 503)):
        deferral = {"trigger": "defer", "duration_ms": 0 if status_code is None else 40, "status_code": status_code}
        db.session.execute(
            update(JournalRow).values(**deferral).where(JournalRow.saga_id == saga.id, JournalRow.step.is_not(None))
            .where(JournalRow.duration_ms.is_not(None))
        )  # fmt: skip
    db.session.commit()
    (times,) = rates(ENDS, ["checkout"], 3_600, 60).times
    assert (times.calls, times.p50_ms) == (2, 40)


def test_the_page_has_figures_that_lead_to_their_lists(client, walk):
    walk(*["succeeded"] * 5)
    page = client.get("/admin/rates?type=checkout&window=30d")
    assert "completed 1 " in seen(page)
    (link,) = set(re.findall(r'href="(/admin/sagas\?[^"]*status=completed[^"]*)">1</a>', page.text))
    assert client.get(link.replace("&amp;", "&")).status_code == 200
    assert "Confirm the goods" in seen(page)
    assert "No call was made" in seen(client.get("/admin/rates?type=commande"))


def test_figures_lead_to_lists_of_the_same_window(client, walk, aged):
    for _ in range(2):
        aged(walk(*["succeeded"] * 5), 7200)
    inside = walk(*["succeeded"] * 5)
    stuck, long_stuck = (walk(*STUCK) for _ in range(2))
    aged(long_stuck, 7200)
    made_earlier(long_stuck, 7200)
    moved, again, before = (walk(*STUCK, "retry", outcome) for outcome in ("succeeded", "exhausted", "succeeded"))
    made_earlier(again, 600, last=5)
    made_earlier(before, 7200)
    page = client.get("/admin/rates").text
    lists = {
        word: client.get(unescape(re.search(rf'href="(/admin/sagas\?[^"]*{word}[^"]*)"', page)[1])).text
        for word in ("status=completed", "stuck_from=")
    }
    found = {word: set(re.findall(r'href="/admin/sagas/([0-9a-f-]{36})"', text)) for word, text in lists.items()}
    came = {str(saga.id) for saga in (stuck, moved, again)}
    assert found == {"status=completed": {str(inside.id)}, "stuck_from=": came}
    assert re.search('stuck_from=[^"]*">3</a>', page), "a saga that got stuck twice counts once"


def test_the_page_says_when_the_figures_take_too_long(client, monkeypatch):
    def busy(*_):
        raise BusyError("these figures take longer than 5 s; choose a shorter window")

    monkeypatch.setattr("app.admin.rates.rates", busy)
    page = client.get("/admin/rates")
    assert page.status_code == 200
    assert "There are no figures: these figures take longer than 5 s; choose a shorter window." in seen(page)


@pytest.mark.parametrize(("query", "status"), [("type=nothing", 404), ("window=1y", 400), ("sort=by", 400)])
def test_an_unknown_type_or_window_is_refused(client, query, status):
    assert client.get(f"/admin/rates?{query}").status_code == status
