"""The guided experiments: an answer holds only when the journal of the order, or the client's money, says so."""

from uuid import uuid4

import pytest

from participants.ecommerce.experiments import EXPERIMENTS, Facts
from tests.unit.participants.ecommerce.conftest import CHECKOUT, did

READ, RESERVE, PAY, SELL, CONFIRM = CHECKOUT.participants
DONE = tuple(did(step) for step in (READ, RESERVE, PAY, SELL, CONFIRM))


def facts(state, *journal, paid=0, sagas=1, actors=("a",)):
    entries = [{"actor": actors[min(n, len(actors) - 1)], "dest": state, **entry} for n, entry in enumerate(journal)]
    saga = {"state": state, "journal": entries}
    return Facts(saga=saga, definition=CHECKOUT, amount=10, paid=paid, sagas=sagas)


REFUSED = did(READ), did(RESERVE), did(PAY, "refused", "refused")


@pytest.mark.parametrize(
    ("name", "run", "shown"),
    [
        ("refused-payment", facts("ANNULEE", *REFUSED, did(RESERVE, direction="undo")), "released"),
        ("refused-payment", facts("ANNULEE", *REFUSED), "kept"),
        ("refused-payment", facts("CONFIRMEE", *DONE), "asked"),
        ("refused-payment", facts("STUCK_PAYER", *REFUSED), None),
        ("lost-reply", facts("CONFIRMEE", *DONE, paid=10), "once"),
        ("lost-reply", facts("CONFIRMEE", *DONE, paid=20), "twice"),
        ("lost-reply", facts("ANNULEE", paid=0), "never"),
        ("lost-reply", facts("CONFIRMEE", *DONE, paid=None), None),
        ("kill", facts("CONFIRMEE", *DONE), None),
        ("kill", facts("CONFIRMEE", *DONE, actors=("a", "b")), "continued"),
        ("kill", facts("CONFIRMEE", did(READ), *DONE, actors=("a", "b")), "again"),
        ("kill", facts("ANNULEE", *REFUSED, actors=("a", "b")), "lost"),
        ("no-way-back", facts("STUCK_CONFIRMER", *DONE[:-1], did(CONFIRM, "refused", "refused")), "stops"),
        ("no-way-back", facts("CONFIRMEE", *DONE), "confirms"),
        ("no-way-back", facts("ANNULEE", *DONE[:-1], did(PAY, direction="undo")), "refunds"),
        ("double-click", facts("CONFIRMEE", *DONE), "one"),
        ("double-click", facts("CONFIRMEE", *DONE, sagas=2), "two"),
        ("double-click", facts("ANNULEE"), "none"),
    ],
)
def test_answer_holds_when_the_run_has_shown_it(name, run, shown):
    assert EXPERIMENTS[name].shown(run) == shown


def test_order_that_was_stuck_shows_this_after_a_person_has_acted():
    stuck = did(CONFIRM, "refused", "refused") | {"dest": "STUCK_CONFIRMER"}
    saga = {"state": "CONFIRMEE", "journal": [{"actor": "a", "dest": "CONFIRMEE", **entry} for entry in (*DONE, stuck)]}
    run = Facts(saga=saga, definition=CHECKOUT, amount=10, paid=10, sagas=1)
    assert EXPERIMENTS["no-way-back"].shown(run) == "stops"


@pytest.mark.parametrize(
    ("run", "may_be_killed"),
    [
        (facts("INITIEE"), False),
        (facts("PANIER_RECUPERE", did(READ)), True),
        (facts("STOCK_RESERVE", did(READ), did(RESERVE), actors=("a", "b")), False),
    ],
)
def test_orchestrator_is_killed_between_two_replies_so_that_the_journal_shows_it(run, may_be_killed):
    assert run.may_be_killed is may_be_killed


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_every_experiment_has_a_page_of_the_documentation(shop, name):
    reply = shop.get(f"/guide/{EXPERIMENTS[name].page}")
    assert (reply.status_code, reply.mimetype) == (200, "text/plain")
    assert reply.text.startswith("# ")


@pytest.mark.parametrize("path", ["/guide/../README.md", "/guide/operations.md", "/guide//etc/passwd"])
def test_guide_shows_no_other_file(shop, path):
    assert shop.get(path).status_code in {404, 308}


@pytest.mark.parametrize(
    ("name", "wrong", "said"),
    [
        ("kill", {"guess": ""}, "guess: choose one of the answers"),
        ("kill", {"guess": "once"}, "guess: choose one of the answers"),
        ("kill", {"key": "x"}, "key: the form has lost its key"),
        ("odd", {}, "There is no experiment odd."),
    ],
)
def test_run_with_a_mistake_is_refused_and_orders_no_fault(shop, neighbours, name, wrong, said):
    form = {"guess": "lost", "key": str(uuid4())}
    reply = shop.post(f"/experiments/{name}", data=form | wrong)
    assert (reply.status_code, said in reply.text) == (404 if name == "odd" else 400, True)
    assert neighbours["stock"].get("/_faults").json == []


def test_only_the_stuck_order_of_an_experiment_is_retried_from_the_shop(shop):
    reply = shop.post(f"/orders/{uuid4()}/retry")
    assert reply.status_code == 404
    assert "decide on the operator" in reply.text
