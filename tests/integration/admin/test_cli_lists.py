"""`saga stuck` and `saga tail` show the sagas of the database, with the filters of the pages."""

import json

import pytest
from flask.testing import FlaskCliRunner

STUCK = ("succeeded", "succeeded", "succeeded", "exhausted")


@pytest.fixture
def saga(client, monkeypatch):
    """Return a function that runs a command and returns its output."""
    monkeypatch.setenv("COLUMNS", "200")

    def run(*arguments, code=0):
        done = FlaskCliRunner(client.application).invoke(args=["saga", *arguments])
        assert done.exit_code == code, done.output
        return done.stdout if code == 0 else done.stderr

    return run


def test_stuck_groups_by_cause_as_the_page_does(saga, walk):
    for number in (1, 2, 3):
        walk(*STUCK, reason=f"503 request {number}")
    text = saga("stuck")
    assert "3 sagas need attention." in text
    first = next(line for line in text.splitlines() if line.lstrip().startswith("3"))
    assert "checkout" in first
    assert "STUCK_ENREGISTRER_VENTE" in first
    assert "ventes" in first
    assert "503 request 1 (and 2 like it)" in first


def test_stuck_has_the_filters_of_the_page_and_json(saga, walk):
    walk(*STUCK, reason="503 closed")
    (found,) = map(json.loads, saga("stuck", "--participant", "ventes", "--json").splitlines())
    assert (found["type"], found["sagas"], found["error"]) == ("checkout", 1, "503 closed")
    assert saga("stuck", "--participant", "stock", "--json") == ""
    assert saga("stuck", "--client", "5") == "No sagas that need attention match these filters.\n"
    assert "No table calls the participant 'nobody'" in saga("stuck", "--participant", "nobody", code=2)


def test_stuck_shows_no_secret(saga, walk):
    walk(*STUCK, reason="password=hunter2")
    assert "hunter2" not in saga("stuck") + saga("stuck", "--json")


def test_bulk_dry_run_shows_the_same_groups_and_changes_nothing(saga, walk, aged):
    walk(*STUCK, reason="503 closed")
    text = saga("bulk", "start", "retry", "--participant", "ventes", "--dry-run")
    assert "503 closed" in text
    assert text.endswith("Dry run: nothing was changed. The job would retry 1 of 1 saga.\n")
    aged(walk("succeeded"), 1e6)
    assert saga("bulk", "start", "retry", "--pace", "0.1", "--dry-run").endswith(
        "The job would retry 1 of 2 sagas. The other 1 stay as they are: it does not fit their states.\n"
        "At most 0.1 a second: that takes 10 s, and the time of the calls.\n"
    )
    assert saga("bulk", "start", "retry", "--still-unknown", "--dry-run") == (
        "No sagas that need attention match these filters.\n"
    )
    assert saga("bulk", "list", "--json") == ""


def test_tail_shows_each_move_once_in_the_order_of_the_moves(saga, walk):
    row = walk(*STUCK)
    moves = [json.loads(line) for line in saga("tail", "--since", "3600", "--once", "--json").splitlines()]
    assert [move["dest"] for move in moves if move["saga_id"] == str(row.id)] == [
        "INITIEE", "PANIER_RECUPERE", "STOCK_RESERVE", "PAIEMENT_EFFECTUE", "STUCK_ENREGISTRER_VENTE",
    ]  # fmt: skip
    text = saga("tail", "--since", "3600", "--once")
    assert text.count("Take the payment (payer) succeeded") == 1
    assert "CH93" not in text


def test_tail_without_since_shows_no_earlier_move_and_filters_as_list_does(saga, walk):
    walk(*STUCK)
    assert saga("tail", "--once", "--json") == ""
    assert saga("tail", "--since", "3600", "--once", "--json", "--client", "5") == ""
    assert len(saga("tail", "--since", "3600", "--once", "--json", "--status", "stuck").splitlines()) == 5


@pytest.mark.parametrize("action", ["retry", "compensate", "resolve"])
def test_dry_run_of_an_action_shows_states_and_calls_and_changes_nothing(saga, walk, action):
    stuck = walk(*STUCK, reason="503 closed")
    shown = saga(action, str(stuck.id), "--dry-run")
    dry = json.loads(saga(action, str(stuck.id), "--dry-run", "--json"))
    ends = {"retry": "CONFIRMEE", "compensate": "ANNULEE", "resolve": "CONFIRMEE"}
    calls = {
        "retry": "do Record the sale (enregistrer_vente) at ventes: POST /ventes",
        "compensate": "undo Take the payment (payer) at client",
        "resolve": "",
    }
    assert shown.startswith("Nothing was done.")
    assert calls[action] in shown
    assert (dry["action"], dry["states"][-1]) == (action, ends[action])
    assert json.loads(saga("show", str(stuck.id), "--json"))["state"] == "STUCK_ENREGISTRER_VENTE"


def test_dry_run_of_an_action_that_the_saga_refuses_says_why(saga, walk):
    running = walk("succeeded")
    assert "its table does not allow it here" in saga("retry", str(running.id), "--dry-run", code=7)
    assert "Missing option '--reason'" in saga("retry", str(running.id), code=2)


def test_bulk_takes_the_filters_of_the_page(client, saga, walk):
    """By step, cause, case and id: the command line and the API find the sagas that the page finds."""
    first, second = (walk(*STUCK, reason=f"503 request {number}") for number in (1, 2))
    other = walk("succeeded", "succeeded", "exhausted", "refused", reason="409 no")
    group = next(each for each in map(json.loads, saga("stuck", "--json").splitlines()) if each["sagas"] == 2)
    filters = [
        (["--step", "enregistrer_vente"], {"step": "enregistrer_vente"}, 2),
        (["--cause", group["cause"]], {"cause": group["cause"]}, 2),
        (["--id", str(first.id)[-8:], "--id", str(other.id)], {"id": [str(first.id), str(other.id)]}, None),
        (["--id", str(second.id)], {"id": [str(second.id)]}, 1),
        (["--case", "taken"], {"case": "taken"}, 0),
        (["--case", "free", "--step", "enregistrer_vente"], {"case": "free", "step": "enregistrer_vente"}, 2),
    ]
    for options, words, sagas in filters:
        body = {"action": "retry", "reason": "x", "dry_run": True, "filter": words}
        matching = client.post("/api/v1/bulk", json=body).json["matching"]
        line = saga("bulk", "start", "retry", "--dry-run", *options)
        assert f" of {matching} saga" in line or not matching, (options, line)
        assert sagas in (None, matching), (options, matching)


def test_every_command_names_things_by_their_titles(saga, walk, titled):
    row = walk(*STUCK, reason="503 closed")
    walk("defer", reason="the breaker of panier is open")
    short, state = str(row.id), "stuck: Record the sale (STUCK_ENREGISTRER_VENTE)"
    said = {
        ("stuck",): ["Checkout (checkout)", state, "The sales desk (ventes)"],
        ("list",): ["Checkout (checkout)", state],
        ("tail", "--since", "60", "--once"): ["Checkout (checkout)", state],
        ("retry", short, "--dry-run"): [
            "do Record the sale (enregistrer_vente) at The sales desk (ventes): ",
            "States: paid (PAIEMENT_EFFECTUE) → ",
        ],
        ("participants", "list"): ["The basket (panier)"],
        ("participants", "pause", "ventes", "--reason", "x"): ["The sales desk (ventes) is paused."],
        ("participants", "resume", "ventes", "--reason", "x"): ["The sales desk (ventes) is resumed."],
        ("show", short, "--tree"): [
            "Checkout (checkout)", state,
            ": Record the sale (enregistrer_vente): 503 closed",
        ],
    }  # fmt: skip
    for arguments, words in said.items():
        text = saga(*arguments)
        assert [each for each in words if each not in text] == [], (arguments, text)


def test_reason_of_a_call_that_was_held_back_names_the_participant_by_its_title(saga, client, walk, titled):
    held = walk("defer", "defer", "defer", reason="the breaker of panier is open")
    words = "the breaker of The basket (panier) is open"
    assert words in saga("show", str(held.id))
    page = client.get(f"/admin/sagas/{held.id}").text
    assert (words in page, "breaker of panier" in page) == (True, False)
