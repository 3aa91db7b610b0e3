"""`saga advise`: stored journals, read with one bounded query."""

import json
import re
from datetime import timedelta
from uuid import UUID

import pytest
from sqlalchemy import event, update

from app.services import services
from app.store import recent_journals as store
from app.store.database import db, db_now
from app.store.models import SagaRow
from machines.advice.figures import FEWEST
from machines.testing import always, given, ok, refused, unheard
from tests.support.stored_runs import run_store

DATA = {"client_id": 4, "magasin_id": 1}


@pytest.fixture
def cli(client):
    return lambda *words: client.application.test_cli_runner().invoke(args=["saga", "advise", *words])


def said(shown):
    """Return the output without the line breaks and the columns of its terminal."""
    return " ".join(shown.output.split())


@pytest.fixture
def store_one(client):
    return run_store(services().registry)


@pytest.fixture
def past(store_one):
    """Return a function that stores so many checkouts with these answers, and returns their ids."""

    def store_runs(count, **answers):
        scenario = given(services().registry.latest("checkout"), DATA).when(**answers)
        return [UUID(store_one(scenario.run())) for _ in range(count)]

    return store_runs


def test_odds_times_and_a_better_order_are_named(cli, past):
    past(25)
    past(15, payer=refused("NO_MONEY", 402))
    text = said(cli("checkout"))
    assert re.match(
        r"checkout v1: 40 sagas that have ended or are stuck, started \d{4}-\d\d-\d\d to \d{4}-\d\d-\d\d STEP", text
    )
    assert "payer 40 15 0 37.5% (24.2% to 53.0%)" in text
    assert "Order: lire_panier, payer, reserver_stock, enregistrer_vente, confirmer." in text
    assert "It would undo 0.0 steps in 1,000 sagas, and the present order undoes 375, if" in text
    assert "Read to ask first: none; no read that could come earlier would save undos." in text


def test_json_has_the_same_facts(cli, past):
    past(FEWEST)
    facts = json.loads(cli("checkout", "--json").output)
    assert (facts["sagas"], facts["enough"], facts["order"]["expected_undos"], facts["better_order"]) == (
        FEWEST,
        True,
        0,
        None,
    )
    payer = next(step for step in facts["steps"] if step["step"] == "payer")
    assert (payer["reached"], payer["odds"], payer["attempts"]) == (FEWEST, 0, {"1": FEWEST})
    assert 0 < payer["odds_high"] < 0.13


def test_too_few_sagas_say_nothing(cli, past):
    past(3, payer=refused())
    shown = cli("checkout")
    assert (shown.exit_code, f"Too few sagas to say anything: 3 of at least {FEWEST}." in shown.output) == (0, True)
    assert "too few" in shown.output
    assert "Order:" not in shown.output
    assert json.loads(cli("checkout", "--json").output)["enough"] is False


def test_no_saga_and_no_table_are_said(cli, client):
    assert "no saga of the last 30 days has ended or is stuck" in said(cli("checkout"))
    for wrong in (["nothing"], ["checkout", "--days", "nan"]):
        shown = cli(*wrong)
        assert (shown.exit_code, shown.output.count("\n")) == (2, 1)


def test_sagas_of_other_types_and_older_ones_are_left_out(cli, past, store_one):
    old = past(2)
    past(1)
    store_one(given(services().registry.latest("purchase_saga")).run())
    db.session.execute(update(SagaRow).where(SagaRow.id.in_(old)).values(created_at=db_now()))
    row = db.session.query(SagaRow).filter(SagaRow.id == old[0]).one()
    row.created_at = row.created_at - timedelta(days=40)
    db.session.commit()
    assert json.loads(cli("checkout", "--json").output)["sagas"] == 2
    assert json.loads(cli("checkout", "--json", "--days", "60").output)["sagas"] == 3


def test_saga_that_is_stuck_in_a_step_counts_for_its_odds_and_times(cli, past):
    past(20)
    past(20, enregistrer_vente=always(unheard))
    facts = json.loads(cli("checkout", "--json").output)
    step = next(each for each in facts["steps"] if each["step"] == "enregistrer_vente")
    assert facts["sagas"] == 40
    assert (step["reached"], step["gave_up"], step["odds"], step["unanswered"]) == (40, 20, 0.5, 20 * 4)
    assert step["step_p95_s"] > 1


def test_other_versions_are_counted_and_left_out(cli, past):
    (one, *_) = past(3)
    db.session.execute(update(SagaRow).where(SagaRow.id == one).values(definition_version=7))
    db.session.commit()
    facts = json.loads(cli("checkout", "--json").output)
    assert (facts["sagas"], facts["other_versions"]) == (2, 1)
    assert "1 of other versions left out" in said(cli("checkout"))


def test_one_query_reads_the_newest_sagas_and_no_more_rows_than_the_limit(client, past):
    past(4, payer=ok)
    statements = []
    event.listen(db.engine, "before_cursor_execute", lambda *given: statements.append(given[2]))
    assert len(store.recent_journals("checkout", 1, days=1, sagas=3).journals) == 3
    assert len(statements) == 1
    read = store.recent_journals("checkout", 1, days=1, sagas=4, most_rows=8)
    assert (read.cut, len(read.journals), len({len(each) for each in read.journals})) == (True, 1, 1)


def test_query_uses_the_indexes(client, past):
    past(2)
    query = store._query("checkout", 30, 10).limit(100)
    sql = query.compile(db.engine, compile_kwargs={"literal_binds": True})
    if db.engine.dialect.name == "postgresql":
        db.session.execute(db.text("SET enable_seqscan = off"))
        plan = "\n".join(row[0] for row in db.session.execute(db.text(f"EXPLAIN {sql}")))
        assert plan.count("Index Scan Backward using saga_finished") + plan.count("using saga_finished") >= 2
        assert plan.count("using saga_") >= 3, "for the stuck ones the planner chooses between two partial indexes"
        assert "journal_pkey" in plan
        assert "Seq Scan" not in plan
    else:
        plan = "\n".join(row[3] for row in db.session.execute(db.text(f"EXPLAIN QUERY PLAN {sql}")))
        assert plan.count("USING INDEX saga_finished") == 2
        assert plan.count("USING INDEX saga_unfinished") == 1
        assert "SCAN saga" not in plan
        assert "SEARCH journal USING" in plan
