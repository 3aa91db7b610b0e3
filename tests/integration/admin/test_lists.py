"""The lists on both databases: their sagas, their order, and the index that each query uses."""

import json
import re
from datetime import UTC, datetime
from html import unescape
from types import SimpleNamespace

import pytest
from sqlalchemy import event, literal, select, text

from app.services import services
from app.store.attention import Attention
from app.store.causes import cause
from app.store.database import cause_of, db
from app.store.lists import SagaFilter, newest
from app.store.sagas import SagaStore
from app.store.statements import Connections
from app.store.statistics import counts_by_status, oldest_unfinished, started_lately
from app.views.states import dwell_limits, final_states
from machines.discovery import discover

PAID = ("succeeded", "succeeded", "succeeded")
DONE = (*PAID, "succeeded", "succeeded")
STUCK = (*PAID, "exhausted")
REFUSED = ("succeeded", "refused")


def trouble():
    return Attention(discover(), dwell_limits(discover()))


def count(sought):
    found = trouble().groups(sought)
    return found[0].total if found else 0


def ids(rows):
    return [row.id for row in rows]


def listed(limit=50, after=None, **wanted):
    return ids(newest(SagaFilter(**wanted), final_states(discover()), limit, after))


def test_stuck_and_overstayed_sagas_are_listed_oldest_first(walk, aged):
    young, old, slow = walk(*STUCK), walk(*STUCK), walk(*PAID)
    walk(*PAID)
    walk(*DONE)
    aged(old, 900)
    aged(slow, 301)  # longer than the 300 s that its table allows
    assert ids(trouble().page(SagaFilter(), 10)) == [old.id, slow.id, young.id]
    assert count(SagaFilter()) == 3


def test_overstayed_is_a_filter_of_the_page_and_of_the_command_line(client, walk, aged):
    walk(*STUCK)
    late = walk("succeeded")
    aged(late, 1e6)
    assert 'href="/admin/stuck?status=overstayed"><b>1</b>' in client.get("/admin").text
    page = client.get("/admin/stuck?status=overstayed").text
    assert re.findall(r'name="id" value="([0-9a-f-]{36})"', page) == [str(late.id)]
    found = client.application.test_cli_runner().invoke(args=["saga", "stuck", "--status", "overstayed", "--json"])
    assert [json.loads(line)["state"] for line in found.output.splitlines()] == ["PANIER_RECUPERE"]


def test_numbers_of_the_last_hour_lead_to_their_sagas(client, walk):
    ended, _ = walk(*DONE), walk("succeeded")
    links = re.findall(r'href="(/admin/sagas\?[^"]*created_from=[^"]+)"', client.get("/admin").text)
    listed = [tuple(re.findall(r'title="([0-9a-f-]{36})"', client.get(unescape(link)).text)) for link in links]
    assert [len(sagas) for sagas in listed] == [2, 1, 1, 2, 1], "in all, two statuses; of the type, completed"
    assert listed[1] == listed[4] == (str(ended.id),)


def test_saga_overstays_only_after_the_limit_of_its_table(walk, aged):
    aged(walk(*PAID), 290)
    assert count(SagaFilter()) == 0


@pytest.mark.parametrize(("start_at", "late"), [(None, []), (datetime(2030, 1, 1, tzinfo=UTC), ["pending"])])
def test_pending_saga_overstays_only_after_its_time_to_start(walk, aged, client, start_at, late):
    sagas, data = services(client.application).sagas, {"client_id": 4, "magasin_id": 1}
    saga_id = sagas.create("checkout", data, start_at=start_at).id
    assert count(SagaFilter()) == 0
    aged(SimpleNamespace(id=saga_id), 400 + 10 * 365 * 86_400)
    assert [row.status for row in trouble().page(SagaFilter(), 5)] == late


def test_stuck_sagas_are_grouped_by_cause(walk, aged):
    aged(walk(*STUCK, reason="503"), 60)
    walk(*STUCK, reason="503")
    walk(*STUCK, reason="timeout")
    groups = trouble().groups(SagaFilter())
    assert [(group.sagas, group.error.split(": ")[-1]) for group in groups] == [(2, "503"), (1, "timeout")]
    assert 60 <= groups[0].oldest_s < 120
    assert count(SagaFilter(error=groups[1].error)) == 1


def test_errors_that_differ_in_ids_and_numbers_have_one_cause(walk):
    for number in range(3):
        walk(*STUCK, reason=f"503 request 0f{number}-a: {number} s after 10:3{number}:07")
    walk(*STUCK, reason="500 request 0f9-a: 9 s after 10:39:07")
    walk(*STUCK, reason="503 closed")
    groups = trouble().groups(SagaFilter())
    assert [(group.sagas, group.errors, group.total_groups) for group in groups] == [(3, 3, 3), (1, 1, 3), (1, 1, 3)]
    assert count(SagaFilter(cause=groups[0].cause)) == 3
    errors = trouble().errors(SagaFilter(cause=groups[0].cause))
    assert [error.rpartition(" ")[2] for error, _ in errors] == ["10:30:07", "10:31:07", "10:32:07"]


def test_a_group_is_made_by_the_last_attempt_whatever_the_probes_answered(walk):
    for answer in ("404 no such sale", "503 busy", "timeout"):
        walk(*STUCK, reason=f"still unknown: {answer}; the last attempt: 500 broken")
    walk(*STUCK, reason="still unknown: timeout; the last attempt: 502 broken")
    walk(*STUCK, reason="still unknown: timeout; the last attempt: 500")
    walk(*STUCK, reason="still unknown: timeout; the last attempt: 502")
    groups = trouble().groups(SagaFilter())
    assert [group.sagas for group in groups] == [3, 1, 1, 1], "outcome, status and text of the last attempt"
    assert count(SagaFilter(cause=groups[0].cause)) == 3


def test_sagas_of_a_cause_are_found_without_computing_causes_in_the_database(walk, aged, monkeypatch):
    for number in range(3):
        walk(*STUCK, reason=f"503 request {number}")
    late = walk("succeeded")
    aged(late, 4000)
    asked = []
    event.listen(db.engine, "before_cursor_execute", lambda _c, _u, sql, *_: asked.append(sql))
    found = trouble()
    cause_of_three = found.groups(SagaFilter())[0].cause
    wanted, without = SagaFilter(cause=cause_of_three), SagaFilter(cause="")
    answers = [
        (len(found.page(each, 9)), sum(group.sagas for group in found.groups(each)), found.count_of(each))
        for each in (wanted, without, SagaFilter(cause="|of nothing"))
    ]
    assert answers == [(3, 3, 3), (1, 1, 1), (0, 0, 0)]
    assert not [sql for sql in asked if "regexp_replace" in sql or "saga_cause" in sql]
    monkeypatch.setattr("app.store.attention._MOST_NAMED", 2)
    assert trouble().count_of(wanted) == 3, "too many errors to name: the database computes their causes"
    assert [sql for sql in asked if "regexp_replace" in sql or "saga_cause" in sql]


@pytest.mark.parametrize(
    "error",
    ["", "no number", ": 503 ", "E: pay: 503 order 12.50, 3 left", "a-1_b-- c", "\u0661 é1 ½", "1" * 500, "z" * 500,
     "E: x: 099 y: 404 z", "10:31:07.5, 4:", "# #.#", "line\n12\n34", "E: pay: 503", "E: pay: 503\n",
     "E: pay: still unknown: 404 a; the last attempt: 503 b", "x; the last attempt: y",
     "E: p: \n; the last attempt: q: r", "E: p: a; the last attempt: b; the last attempt: c",
     ": : ; the last attempt: "],
)  # fmt: skip
def test_both_databases_compute_the_cause_that_python_does(client, error):
    assert client
    assert db.session.scalar(select(cause_of(literal(error)))) == cause(error)


def test_largest_group_is_first_and_the_number_of_groups_is_known(client, walk):
    walk(*STUCK, reason="closed")
    for number in range(2):
        walk(*STUCK, reason=f"request {number}")
    for page in ("/admin", "/admin/stuck"):
        text_of_page = client.get(page).get_data(as_text=True)
        assert text_of_page.index("request 0") < text_of_page.index("closed")
        assert "and 1 like it" in text_of_page
    assert "2 groups" in client.get("/admin/stuck").get_data(as_text=True)


def removed(*sagas, version=7):
    """Change the version of the sagas to a version that this release does not have."""
    for saga in sagas:
        saga_id = saga.id if db.engine.dialect.name == "postgresql" else saga.id.hex
        db.session.execute(text(f"UPDATE saga SET definition_version = {version} WHERE id = :id"), {"id": saga_id})
    db.session.commit()


def test_sagas_without_their_table_are_listed_from_the_first_moment(walk):
    lost, lost_stuck, ended = walk(*PAID), walk(*STUCK), walk(*DONE)
    walk(*PAID)
    removed(lost, lost_stuck, ended)
    assert {row.id: row.unknown for row in trouble().page(SagaFilter(), 10)} == {
        lost.id: True,
        lost_stuck.id: True,
    }
    groups = trouble().groups(SagaFilter())
    assert {(group.status, group.unknown, group.sagas) for group in groups} == {
        ("running", True, 1),
        ("stuck", True, 1),
    }


def test_sagas_without_their_table_are_counted_apart(walk, aged):
    stuck, slow, lost, lost_stuck = walk(*STUCK), walk(*PAID), walk(*PAID), walk(*STUCK)
    aged(slow, 900)
    aged(lost, 900)
    removed(lost, lost_stuck)
    (total,) = {(it.total, it.total_unknown, it.total_overstayed) for it in trouble().groups(SagaFilter())}
    assert total == (4, 2, 1)
    assert set(ids(trouble().page(SagaFilter(unknown=True), 10))) == {lost.id, lost_stuck.id}
    assert set(ids(trouble().page(SagaFilter(unknown=False), 10))) == {stuck.id, slow.id}


def test_a_group_holds_either_sagas_with_their_table_or_without(walk):
    one, _ = walk(*STUCK), walk(*STUCK)
    saga_id = one.id if db.engine.dialect.name == "postgresql" else one.id.hex
    db.session.execute(text("UPDATE saga SET table_digest = 'another' WHERE id = :id"), {"id": saga_id})
    db.session.commit()
    assert sorted((group.unknown, group.sagas) for group in trouble().groups(SagaFilter())) == [
        (False, 1),
        (True, 1),
    ]
    for unknown in (True, False):
        assert [it.sagas for it in trouble().groups(SagaFilter(unknown=unknown))] == [1]


def test_stuck_pages_continue_within_one_moment(walk):
    sagas = sorted(walk(*STUCK).id for _ in range(5))
    db.session.execute(text("UPDATE saga SET entered_at = (SELECT min(entered_at) FROM saga)"))
    db.session.commit()
    first = trouble().page(SagaFilter(), 3)
    rest = trouble().page(SagaFilter(), 3, (first[-1].entered_at, first[-1].id))
    assert [ids(first), ids(rest)] == [sagas[:3], sagas[3:]]


def test_sagas_stuck_after_the_given_moment_are_left_out(walk):
    before = walk(*STUCK)
    now = trouble().now
    walk(*STUCK)
    assert ids(trouble().page(SagaFilter(), 9, None, now)) == [before.id]


def test_stuck_sagas_are_found_by_id_and_its_last_or_first_digits_and_client(walk):
    mine, other = walk(*STUCK, client_id=77, magasin_id=1), walk(*STUCK)
    for words in (
        str(mine.id),
        str(mine.id)[-8:],
        str(mine.id)[-12:],
        mine.id.hex[-10:].upper(),
        mine.id.hex[:20],
        "77",
    ):
        assert ids(trouble().page(SagaFilter(words=words), 10)) == [mine.id]
        assert listed(words=words) == [mine.id]
    assert other.id not in listed(words="no such thing")
    assert listed(words="' OR 1=1 --") == []


def test_saga_is_found_by_its_order_reference(walk):
    walk(*STUCK)
    assert listed(words="sale-17") == []
    done = walk(*DONE)
    assert listed(words="sale-17") == [done.id]


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        ({}, "cancelled done stuck running"),
        ({"definitions": ("checkout",)}, "cancelled done stuck running"),
        ({"definitions": ("commande", "order_saga")}, ""),
        ({"statuses": ("completed",)}, "done"),
        ({"statuses": ("stuck",)}, "stuck"),
        ({"statuses": ("compensated",), "definitions": ("checkout", "commande")}, "cancelled"),
        ({"states": ("CONFIRMEE", "STOCK_RESERVE")}, "done running"),
        ({"states": ("ANNULEE",), "statuses": ("completed",)}, ""),
    ],
)
def test_list_shows_matching_sagas_newest_first(walk, wanted, found):
    sagas = {"running": walk("succeeded", "succeeded"), "stuck": walk(*STUCK), "done": walk(*DONE)}
    sagas["cancelled"] = walk(*REFUSED)
    assert listed(**wanted) == [sagas[name].id for name in found.split()]


def test_list_continues_after_the_previous_page(walk):
    sagas = [walk(*DONE) if number % 2 else walk(*STUCK) for number in range(6)][::-1]
    for wanted in ({}, {"definitions": ("checkout",)}):
        first = newest(SagaFilter(**wanted), final_states(discover()), 4)
        rest = listed(4, (first[-1].created_at, first[-1].id), **wanted)
        assert ids(first) + rest == [saga.id for saga in sagas]


def test_overview_counts_unfinished_sagas_and_the_last_hour(walk):
    first = walk(*PAID)
    for outcomes in (STUCK, STUCK, DONE, REFUSED):
        walk(*outcomes)
    assert {row.status: row.sagas for row in counts_by_status()} == {"running": 1, "stuck": 2}
    assert oldest_unfinished(1)[0].id == first.id
    _, hour = started_lately(discover().names)
    assert {minute.status: minute.sagas for minute in hour if minute.number >= 58} == {
        "running": 1, "stuck": 2, "completed": 1, "compensated": 1,
    }  # fmt: skip


def test_a_draft_is_no_old_saga(client):
    services().sagas.create("checkout", {"client_id": 4, "magasin_id": 1})
    assert oldest_unfinished(1) == []


def test_older_saga_is_not_counted_in_the_last_hour(walk):
    saga = walk(*DONE)
    saga_id = saga.id if db.engine.dialect.name == "postgresql" else saga.id.hex
    db.session.execute(text("UPDATE saga SET created_at = '2026-01-01 00:00:00+00' WHERE id = :id"), {"id": saga_id})
    db.session.commit()
    assert started_lately(discover().names)[1] == []


def test_failed_attempt_does_not_reset_the_age(walk):
    saga = walk("succeeded", "succeeded")
    entered = text("SELECT entered_at, updated_at FROM saga")
    before = db.session.execute(entered).one()
    db.session.rollback()
    again = walk_on(saga, "retry")
    after = db.session.execute(entered).one()
    assert (after.entered_at, again) == (before.entered_at, "STOCK_RESERVE")
    assert after.updated_at > before.updated_at
    db.session.rollback()
    walk_on(saga, "succeeded")
    assert db.session.execute(entered).one().entered_at > after.entered_at


def walk_on(saga, trigger):
    saga.fire(trigger, actor="test")
    SagaStore(Connections(db.engine), discover(), "test").save(saga, None, None)
    return saga.state


LOOKS = {
    "newest": lambda: newest(SagaFilter(), final_states(discover()), 50),
    "of two sagas": lambda: newest(SagaFilter(definitions=("checkout", "commande")), final_states(discover()), 50),
    "of a state": lambda: newest(SagaFilter(states=("ANNULEE",)), final_states(discover()), 50),
    "of words": lambda: newest(SagaFilter(words="abcdef01"), final_states(discover()), 50),
    "stuck": lambda: trouble().page(SagaFilter(), 50),
    "without a table": lambda: trouble().page(SagaFilter(unknown=True), 50),
    "groups": lambda: trouble().groups(SagaFilter()),
    "standing": counts_by_status,
    "oldest": lambda: oldest_unfinished(8),
    "lately": lambda: started_lately(discover().names),
}


@pytest.mark.parametrize("look", LOOKS)
def test_no_query_scans_all_sagas(walk, look):
    if db.engine.dialect.name == "postgresql":
        pytest.skip("PostgreSQL chooses by how much there is: benchmarks/admin_pages.py shows that it chooses well")
    asked = []
    event.listen(db.engine, "before_cursor_execute", lambda _c, _u, sql, given, *_: asked.append((sql, given)))
    LOOKS[look]()
    plans = [
        row[3]
        for sql, given in asked[:]
        if sql.startswith(("SELECT", "WITH"))
        for row in db.session.connection().exec_driver_sql(f"EXPLAIN QUERY PLAN {sql}", given)
    ]
    assert any("saga USING" in plan for plan in plans), plans
    assert [plan for plan in plans if plan.startswith("SCAN saga") and "INDEX" not in plan] == []
