"""A saga whose table this release does not have: every page and list still works."""

import pytest
from flask.testing import FlaskCliRunner
from sqlalchemy import text

from app.services import services
from app.store.database import db
from app.store.instance import Instance
from app.store.sagas import SagaStore
from machines.checkout import CHECKOUT
from machines.commande import COMMANDE

LINES = [{"produit_id": "550e8400-e29b-41d4-a716-446655440001", "quantite": 1}]
SHOP = "550e8400-e29b-41d4-a716-446655440000"
DATA = {
    CHECKOUT: {"client_id": 4, "magasin_id": 1},
    COMMANDE: {"client_id": SHOP, "magasin_id": SHOP, "lignes": LINES},
}
#: How a saga can lose its table: the table changed, or a release without the table runs.
CHANGES = {
    "another table": "UPDATE saga SET table_digest = 'another'",
    "its state is gone": "UPDATE saga SET state = 'NOWHERE', table_digest = NULL",
    "its version is gone": "UPDATE saga SET definition_version = 77",
    "its name is gone": "UPDATE saga SET definition = 'removed_saga'",
    "an earlier state is gone": "UPDATE journal SET source = 'NOWHERE', dest = 'ELSEWHERE'",
    "a step is gone": "UPDATE journal SET step = 'no_step', direction = 'do', duration_ms = 3",
    "its data had other fields": "UPDATE saga SET data = '{}'",
}


@pytest.fixture(params=[CHECKOUT, COMMANDE], ids=str)
def saga(client, request):
    """Store a saga in its first state."""
    begun = Instance.new(request.param, DATA[request.param], actor="client")
    store: SagaStore = services(client.application).runner._engine.store
    store.insert(begun, 300, owner="another process")
    return begun


@pytest.fixture(params=CHANGES)
def changed(saga, request):
    db.session.execute(text(CHANGES[request.param]))
    db.session.commit()
    db.session.remove()
    return saga


def test_pages_and_lists_show_a_saga_without_its_table(client, changed, request):
    one = f"/api/v1/sagas/{changed.id}"
    for path in (
        "/api/v1/sagas", one, f"{one}/journal", f"{one}/events", "/api/saga/sagas/", "/metrics",
        f"/diagrams/{changed.definition.name}/heat.svg",
    ):  # fmt: skip
        assert client.get(path).status_code == 200, path
    own = {
        "checkout": [f"/api/commande/{changed.id}", f"/api/commande/{changed.id}/historique"],
        "commande": [f"/api/saga/commandes/{changed.id}/"],
    }
    # /api/saga and /api/commande each show the sagas of one name only, so a saga of another name is not found.
    expected = 404 if request.node.callspec.params["changed"] == "its name is gone" else 200
    for path in own[changed.definition.name]:
        assert client.get(path).status_code == expected, path
    assert client.get(f"{one}/diagram.svg").status_code in (200, 404)
    assert client.get("/ready").status_code == 200, "it serves all other sagas"


def test_move_of_a_saga_without_its_table_is_refused_with_the_cause(client, changed, request):
    if request.node.callspec.params["changed"] in (
        "another table",
        "its state is gone",
        "its version is gone",
        "its name is gone",
    ):
        answer = client.post(f"/api/v1/sagas/{changed.id}/compensate", json={})
        assert answer.status_code == 409
        assert "this release does not move the saga" in answer.get_json(force=True)["detail"]


@pytest.mark.parametrize(
    "command", [["list"], ["list", "--json"], ["show", "ID"], ["show", "ID", "--json"]], ids=" ".join
)
def test_commands_show_a_saga_without_its_table(client, changed, command):
    arguments = [str(changed.id) if word == "ID" else word for word in command]
    done = FlaskCliRunner(client.application).invoke(args=["saga", *arguments])
    assert done.exit_code == 0, done.output
    assert str(changed.id)[-8:] in done.output


@pytest.mark.parametrize(
    ("change", "table"),
    [("another table", None), ("its version is gone", ("checkout", 77)), ("its name is gone", ("removed_saga", 1))],
)
def test_a_saga_without_its_table_is_counted_and_listed_as_such(client, change, table):
    begun = Instance.new(CHECKOUT, DATA[CHECKOUT], actor="client")
    services(client.application).runner._engine.store.insert(begun, 300, owner="another process")
    name, version = table or ("checkout", 1)
    series = f'saga_unknown_definition_sagas{{saga="{name}",version="{version}"}}'
    cli = FlaskCliRunner(client.application)
    assert "No sagas match these filters." in cli.invoke(args=["saga", "list", "--unknown"]).output
    db.session.execute(text(CHANGES[change]))
    db.session.commit()
    for options in (["--unknown"], []):
        listed = cli.invoke(args=["saga", "list", *options]).output
        assert str(begun.id)[-8:] in listed
        assert f" v{version}: its table is not in this release." in listed
        assert name in listed
    shown = " ".join(cli.invoke(args=["saga", "show", str(begun.id)]).output.split())
    assert "deploy a release that has its table, or put the table back" in shown
    assert f"{series} 1.0" in client.get("/metrics").get_data(as_text=True)


def test_unfinished_saga_without_its_table_is_not_cached(client, saga):
    """A state without outgoing transitions does not mean that the saga has ended."""
    kept = {}
    fleeting = services(client.application).shared_cache
    fleeting.put = lambda key, value, _for_s: kept.update({key: value})
    db.session.execute(text("UPDATE saga SET state = 'NOWHERE', table_digest = NULL"))
    db.session.commit()
    assert client.get(f"/api/v1/sagas/{saga.id}").status_code == 200
    assert kept == {}
