"""A stored saga, replayed: on the command line, in the API and on its page."""

import os
import runpy
from pathlib import Path

import pytest

from app.services import services
from app.store.database import db
from machines.testing import given, lost, refused
from tests.support.stored_runs import run_store
from tests.support.waiting import eventually

DATA = {"client_id": 4, "magasin_id": 1}


@pytest.fixture
def stored(client):
    """Return a function that stores a saga which a test has run in memory."""
    return run_store(services().registry)


@pytest.fixture
def checkout(client):
    return given(services().registry.latest("checkout"), DATA)


@pytest.fixture
def cli(client):
    return lambda *words: client.application.test_cli_runner().invoke(args=["saga", "replay", *words])


def test_command_writes_a_test_that_passes(cli, stored, checkout, tmp_path):
    saga_id = stored(checkout.when(payer=refused("NO_MONEY", 402)).run())
    written = cli(saga_id)
    assert (written.exit_code, written.stderr.splitlines()[0]) == (
        0, "checkout v1: the present table goes the same way as the journal.",
    )  # fmt: skip
    file = tmp_path / "test_it.py"
    file.write_text(written.stdout)
    runpy.run_path(str(file))["test_checkout_goes_the_way_of_its_journal"]()
    assert 'payer=refused("NO_MONEY", 402)' in written.stdout
    assert f"Saga {saga_id}" in written.stdout


def test_command_writes_the_test_to_a_file_and_names_it(cli, stored, checkout, tmp_path):
    file = tmp_path / "test_it.py"
    shown = cli(stored(checkout.run())[:13], "--out", str(file))
    assert (shown.exit_code, shown.stderr) == (0, f"{file}\n")
    assert file.read_text().startswith('"""Saga ')
    missing = cli(stored(checkout.run()), "--out", str(tmp_path / "none" / "x.py"))
    assert (missing.exit_code, "cannot be written: No such file" in missing.stderr) == (2, True)


def test_exit_code_is_1_when_the_present_table_goes_another_way(cli, stored, checkout, client):
    saga_id = stored(checkout.when(payer=lost).run())
    changed = services().registry.latest("checkout")
    db.session.execute(db.text("UPDATE journal SET dest = 'ANNULEE' WHERE seq = 3"))
    db.session.commit()
    shown = cli(saga_id, "--what-if", "payer=refused")
    assert (shown.exit_code, changed.name) == (1, "checkout")
    assert "first difference, move 3: in the journal" in shown.output


def test_what_if_shows_both_ways_side_by_side(cli, stored, checkout):
    shown = cli(stored(checkout.run()), "--what-if", "payer=refused")
    lines = [" ".join(line.split()) for line in shown.output.splitlines()]
    assert shown.exit_code == 0
    assert "AS IT WAS IF payer=refused" in lines
    assert "call 4 enregistrer_vente undo reserver_stock" in lines
    assert "ends completed in CONFIRMEE compensated in ANNULEE" in lines
    assert "effect of reserver_stock took effect undone" in lines
    assert lines[-1] == "assumed to succeed, because the journal does not have them: undo reserver_stock"
    unreached = " ".join(cli(stored(checkout.run()), "--what-if", "undo reserver_stock=lost").output.split())
    said = "if undo reserver_stock=lost: not reached: the saga makes no call undo reserver_stock, so nothing changes"
    assert (unreached.endswith(said), "AS IT WAS" in unreached) == (True, False)


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (("--what-if", "tip=refused"), "--what-if: 'tip=refused' changes no call; write CALL=OUTCOME with lire_panier"),
        (("--what-if", "payer=perhaps"), "--what-if: 'perhaps' is no outcome; use ok, refused"),
        (("--table-version", "9"), "--table-version: this release has no checkout v9"),
    ],
)
def test_bad_words_are_one_line_and_exit_code_2(cli, stored, checkout, words, problem):
    shown = cli(stored(checkout.run()), *words)
    assert (shown.exit_code, shown.stderr.startswith(f"saga: {problem}")) == (2, True)


def test_running_saga_is_replayed_up_to_its_last_answer(cli, client):
    services().sagas.max_sleep_s = 0
    saga_id = services().sagas.start("checkout", DATA, wait_s=0.01).id
    eventually(lambda: services().sagas and cli(str(saga_id)).exit_code == 0, "its first call has failed")
    written = cli(str(saga_id)).stdout
    assert "lire_panier=down(rests=True)" in written


def test_saga_without_an_answer_is_no_replay(cli, client):
    saga_id = services().sagas.create("checkout", DATA, None, by="test").id
    shown = cli(str(saga_id))
    assert (shown.exit_code, shown.stderr) == (7, "saga: the saga has not started, so there is nothing to replay\n")


def test_table_that_no_test_can_run_yet_is_said(cli, stored, checkout, monkeypatch):
    saga_id = stored(checkout.run())
    monkeypatch.setattr("machines.testing.scenario.KNOWN_KINDS", frozenset())
    shown = cli(saga_id)
    assert (shown.exit_code, shown.stderr) == (
        7, "saga: it cannot be replayed: checkout v1: a test cannot run read of the step lire_panier yet\n",
    )  # fmt: skip


def test_redacted_test_has_no_value_of_the_saga(cli, stored):
    table = services().registry.latest("purchase_saga")
    data = given(table).data
    saga_id = stored(given(table, data).when(PROCESS_PAYMENT=refused("card of Ada Lovelace")).run())
    assert "Ada Lovelace" in cli(saga_id).stdout
    assert "Ada Lovelace" not in cli(saga_id, "--redact").stdout
    redacted = cli(saga_id, "--redact")
    assert (redacted.exit_code, saga_id in redacted.stdout, saga_id in cli(saga_id).stdout) == (0, False, True)


def test_test_names_the_places_of_the_tables(cli, stored, checkout, monkeypatch):
    monkeypatch.setitem(os.environ, "SAGAS", "samples,./more")
    shown = cli(stored(checkout.run()))
    assert 'discover("samples,./more").get("checkout", 1)' in shown.stdout, shown.stderr


def test_written_test_has_no_absolute_path(cli, stored, checkout, monkeypatch):
    saga_id = stored(checkout.run())
    monkeypatch.setitem(os.environ, "SAGAS", f"samples,{Path.cwd()}/more")
    assert 'discover("samples,./more").get(' in cli(saga_id).stdout
    monkeypatch.setitem(os.environ, "SAGAS", "/elsewhere,samples")
    assert "# SAGAS in the environment names the tables.\nTABLE = discover().get(" in cli(saga_id).stdout


def test_api_says_the_same_way_and_what_if(client, stored, checkout):
    saga_id = stored(checkout.when(payer=refused("NO_MONEY", 402)).run())
    answer = client.get(f"/api/v1/sagas/{saga_id}/replay", query_string={"what_if": "payer=ok"})
    replay = answer.json
    assert (answer.status_code, replay["same_way"], replay["difference"]) == (200, True, None)
    assert replay["run"]["effects"]["reserver_stock"] == "undone"
    assert replay["what_if"]["state"] == "CONFIRMEE"
    assert replay["what_if"]["assumed"] == ["enregistrer_vente", "confirmer"]
    assert replay["what_if"]["differs_at_call"] == 3
    assert replay["what_if"]["not_reached"] is None
    assert replay["test"].startswith(f'"""Saga {saga_id}')


def test_replay_changes_nothing(client, stored, checkout):
    saga_id = stored(checkout.run())
    before = client.get(f"/api/v1/sagas/{saga_id}").json
    client.get(f"/api/v1/sagas/{saga_id}/replay?what_if=payer=always-lost")
    assert client.get(f"/api/v1/sagas/{saga_id}").json == before


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("what_if=nothing", "what_if: 'nothing' changes no call"),
        ("version=9", "version: this release has no checkout v9"),
        ("version=none", "/version"),
        ("colour=red", "/colour"),
    ],
)
def test_bad_query_is_named(client, stored, checkout, query, words):
    answer = client.get(f"/api/v1/sagas/{stored(checkout.run())}/replay?{query}")
    assert (answer.status_code, words in answer.get_data(as_text=True)) == (400, True)


def test_saga_that_has_not_started_is_no_replay_in_the_api(client):
    saga_id = services().sagas.create("checkout", DATA, None, by="test").id
    answer = client.get(f"/api/v1/sagas/{saga_id}/replay")
    assert (answer.status_code, answer.json["detail"]) == (
        409, "the saga has not started, so there is nothing to replay",
    )  # fmt: skip
    assert client.get("/api/v1/sagas/11111111-2222-4333-8444-555555555555/replay").status_code == 404
