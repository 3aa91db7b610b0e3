"""The common parts of all participants, and the end of an order of each client in the seed data."""

import inspect
import json
import re
from pathlib import Path

import pytest
from sqlalchemy import event

import participants
from participants.database import driver_url
from participants.flask_app import PARTICIPANTS
from participants.logs import configure_logging


@pytest.mark.parametrize("name", list(PARTICIPANTS))
def test_each_participant_is_healthy_and_shows_its_books(serve, sqlite_url, name):
    service = serve(name, sqlite_url)
    assert service.get("/health").json == {"status": "ok"}
    assert service.get("/_ledger").json == []
    assert service.get("/_balance").status_code == 200


def test_restart_keeps_the_data_and_does_not_seed_again(serve, database_url):
    assert serve("client", database_url).post("/2/payer", {"montant": 4}).status_code == 201
    assert serve("client", database_url).get("/2").json["solde"] == 6


def test_ledger_can_be_filtered_by_saga(serve, sqlite_url):
    client = serve("client", sqlite_url)
    for saga in ("a", "b"):
        client.post("/4/payer", {"montant": 1}, f"{saga}/payer/do")
    assert [row["key"] for row in client.get("/_ledger?saga_id=b").json] == ["b/payer/do"]


@pytest.mark.parametrize(("method", "path", "status"), [("get", "/nothing", 404), ("put", "/reserver", 405)])
def test_flask_s_own_errors_are_problems_too(serve, sqlite_url, method, path, status):
    reply = getattr(serve("stock", sqlite_url).app.test_client(), method)(path)
    assert (reply.status_code, reply.content_type, reply.json["status"]) == (status, "application/problem+json", status)
    assert ("Allow" in reply.headers) == (status == 405)


def test_sqlite_survives_a_power_cut_and_waits_for_its_lock(serve, sqlite_url):
    service = serve("stock", sqlite_url)
    with service.app.app_context():
        pragmas = [
            service.db.session.scalar(service.db.text(f"PRAGMA {each}"))
            for each in ("journal_mode", "synchronous", "busy_timeout")
        ]
    assert pragmas == ["wal", 2, 5000]


def test_only_writing_requests_take_the_write_lock_of_sqlite(serve, sqlite_url):
    client, begun = serve("client", sqlite_url), []
    with client.app.app_context():
        engine = client.db.engine
    event.listen(engine, "before_cursor_execute", lambda _connection, _cursor, sql, *_: begun.append(sql))
    client.get("/4")
    client.post("/4/payer", {"montant": 1})
    assert [sql for sql in begun if sql.startswith("BEGIN")] == ["BEGIN DEFERRED", "BEGIN IMMEDIATE"]


def test_a_postgresql_url_names_its_driver():
    for scheme in ("postgres", "postgresql"):
        assert driver_url(f"{scheme}://u:p@h/d?x=y") == "postgresql+psycopg2://u:p@h/d?x=y"
    assert driver_url("postgresql+psycopg://h/d") == "postgresql+psycopg://h/d"


def test_every_participant_works_on_each_database(serve, database_url):
    """The test also reads the totals of /_balance, because PostgreSQL returns a sum of integers as a decimal."""
    produits = [{"produit_id": 456, "quantite": 2, "prix": 14.99}]
    panier = serve("panier", database_url)
    assert [panier.get(f"/{client_id}").json["montant"] for client_id in (1, 4)] == [62.5, 59.97]
    stock, client, ventes = (serve(name, database_url) for name in ("stock", "client", "ventes"))
    reservation = stock.post("/reserver", {"produits": produits}, "s/reserver/do").json
    assert stock.post("/confirmer", {"reservation_id": reservation["reservation_id"]}, "s/confirmer/do").json
    assert client.post("/4/payer", {"montant": 29.98}, "s/payer/do").status_code == 201
    assert client.post("/4/rembourser", {}, "s/payer/undo").json["solde"] == 1_000_000
    sale = {"produits": produits, "client_id": 4, "magasin_id": 1, "montant": 29.98}
    assert ventes.post("/ventes", sale, "s/vendre/do").status_code == 201
    assert stock.books()["produits"]["456"] == {"initial": 1_000_000, "en_main": 999_998, "reserve": 0, "vendu": 2}
    assert client.books() == {"debits": 29.98, "remboursements": 29.98}
    assert ventes.books() == {"total": 29.98, "count": 1}


def test_orders_and_returns_work_on_each_database(serve, database_url, tmp_path):
    line = {"produit_id": 456, "quantite": 2, "prix": 29.99}
    goods, whole = {"produits": [line]}, {"client_id": 4, "produits": [line], "montant": 59.98}
    config = {"OUTBOX": tmp_path / "outbox", "STOCK_URL": "http://127.0.0.1:1"}
    services = {name: serve(name, database_url, config=config) for name in PARTICIPANTS}
    stock, client, ventes, commandes = (services[name] for name in ("stock", "client", "ventes", "commandes"))
    assert stock.ask("/disponibilite", goods).status_code == 200
    assert services["catalogue"].ask("/produits/consulter", goods).json["montant"] == 59.98
    order = commandes.post("/commandes", {**whole, "magasin_id": 1}).json
    assert commandes.post("/commandes/confirmer", order).status_code == 200
    assert services["recus"].post("/recus", {**whole, **order, "produits": [line]}).status_code == 201
    stock.post("/vendre", stock.post("/reserver", goods, "s/reserver/do").json)
    client.post("/4/payer", whole, "s/payer/do")
    sale = ventes.post("/ventes", {**whole, "magasin_id": 1}, "s/vendre/do").json["vente_id"]
    assert ventes.ask(f"/ventes/{sale}/retournable", whole).status_code == 200
    replies = {}
    for service, path, body in (
        (ventes, f"/ventes/{sale}/retours/annoncer", whole),
        (client, "/4/crediter", {**whole, "achat": "s"}),
        (stock, "/remettre", {**goods, "achat": "s"}),
    ):
        for key, way in (("r1", path), ("r1", f"{path}/annuler"), ("r2", path)):
            direction = "undo" if way != path else "do"
            reply = service.post(way, body, f"{key}/{path[-3:]}/{direction}")
            assert reply.status_code in {200, 201}
            replies[key, way] = reply.json
    announced = replies["r2", f"/ventes/{sale}/retours/annoncer"]
    for direction, way in (("do", "enregistrer"), ("undo", "enregistrer/annuler")):
        key = f"r2/enregistrer/{direction}"
        assert ventes.post(f"/ventes/{sale}/retours/{way}", announced, key).status_code == 200
    assert ventes.books() == {"total": 59.98, "count": 1}
    assert ventes.post(f"/ventes/{sale}/retours/enregistrer", announced, "again/enregistrer/do").status_code == 200
    assert stock.post("/livraisons", line).status_code == 201
    assert stock.books()["produits"]["456"] == {"initial": 1_000_002, "en_main": 1_000_002, "reserve": 0, "vendu": 0}
    assert client.books() == {"debits": 59.98, "remboursements": 59.98}
    assert (ventes.books(), commandes.books()["confirmee"]) == ({"total": 0, "count": 1}, 1)
    assert services["recus"].books() == {"total": 59.98, "count": 1}
    assert services["supply-chain"].books() == {"livre": {}}


@pytest.mark.parametrize(
    ("client_id", "statuses"),
    [(1, [409]), (2, [201, 402]), (3, [201, 201, 409]), (4, [201, 201, 201]), (123456, [201, 201, 201])],
)
def test_seed_decides_the_outcome_of_an_order(serve, tmp_path, client_id, statuses):
    services = {name: serve(name, f"sqlite:///{tmp_path / name}.db") for name in PARTICIPANTS}
    cart = services["panier"].get(f"/{client_id}").json
    calls = (
        ("stock", "/reserver", {"produits": cart["produits"]}),
        ("client", f"/{client_id}/payer", {"montant": cart["montant"]}),
        ("ventes", "/ventes", {**cart, "magasin_id": 1}),
    )
    replies = []
    for name, path, body in calls:
        replies.append(services[name].post(path, body).status_code)
        if replies[-1] != 201:
            break
    assert replies == statuses


UNDOS = {
    "/liberer": ("stock", "/reserver", {"produits": [{"produit_id": 456, "quantite": 1}]}),
    "/vendre/annuler": ("stock", "/vendre", {"reservation_id": "r"}),
    "/remettre/annuler": ("stock", "/remettre", {"achat": "s", "produits": [{"produit_id": 456, "quantite": 1}]}),
    "/4/rembourser": ("client", "/4/payer", {"montant": 1}),
    "/4/crediter/annuler": ("client", "/4/crediter", {"montant": 1, "achat": "s"}),
    "/ventes/annuler": ("ventes", "/ventes", {}),
    "/ventes/v/retours/annuler": ("ventes", "/ventes/v/retours", {}),
    "/ventes/v/retours/annoncer/annuler": ("ventes", "/ventes/v/retours/annoncer", {}),
    "/ventes/v/retours/enregistrer/annuler": ("ventes", "/ventes/v/retours/enregistrer", {}),
    "/commandes/annuler": ("commandes", "/commandes", {}),
}


@pytest.mark.parametrize("undo", UNDOS)
def test_an_undo_that_comes_first_is_accepted_and_its_late_action_refused(serve, sqlite_url, undo):
    name, action, body = UNDOS[undo]
    service = serve(name, sqlite_url)
    before = service.books()
    reply = service.post(undo, {}, "s/step/undo")
    assert (reply.status_code, reply.json) == (200, {"undone": False, "reason": "never done"})
    assert service.post(action, body, "s/step/do").status_code == 410
    assert service.books() == before


def test_every_undo_is_covered_by_the_test_of_undos(serve, tmp_path):
    """The undos are the views that have a parameter `done`."""
    apps = [serve(name, f"sqlite:///{tmp_path / name}.db").app for name in PARTICIPANTS]
    undos = {
        re.sub("<int.*>", "4", rule.rule).replace("<vente_id>", "v")
        for app in apps
        for rule in app.url_map.iter_rules()
        if "done" in inspect.signature(app.view_functions[rule.endpoint]).parameters
    }
    assert undos == set(UNDOS)


def test_participants_import_neither_the_orchestrator_nor_its_tables():
    for file in Path(participants.__file__).parent.rglob("*.py"):
        imports = re.findall(r"^\s*(?:from|import) (\w+)", file.read_text(), re.MULTILINE)
        assert not {"app", "machines"} & set(imports), file


def test_participant_counts_requests_by_route_and_logs_each_change(serve, sqlite_url, capsys):
    client = serve("client", sqlite_url)
    configure_logging("INFO")
    client.post("/4/payer", {"montant": 1}, "a0/payer/do")
    client.get("/4")
    exposed = client.app.test_client().get("/metrics").get_data(as_text=True)
    assert re.search(r'url_rule="/<[^"]*>/payer"', exposed)
    assert "/4/payer" not in exposed
    (line,) = [json.loads(line) for line in capsys.readouterr().out.splitlines() if "call.answered" in line]
    assert (line["participant"], line["direction"], line["status"], line["level"]) == ("client", "do", 201, "info")
    assert line["duration_ms"] > 0


def test_made_up_methods_make_no_new_series(serve, sqlite_url):
    client = serve("stock", sqlite_url).app.test_client()

    def series():
        return len(client.get("/metrics").text.splitlines())

    assert client.open("/health", method="BREW").status_code == 405
    once = series()
    for number in range(20):
        client.open("/health", method=f"M{number}")
    assert series() == once
