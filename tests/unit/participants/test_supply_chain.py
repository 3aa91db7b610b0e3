"""The supply chain with a stock that it calls over HTTP."""

from threading import Thread

import pytest
from werkzeug.serving import make_server

from participants import supply_chain as module

KEYBOARD = "550e8400-e29b-41d4-a716-446655440001"


@pytest.fixture
def stock(serve, tmp_path):
    return serve("stock", f"sqlite:///{tmp_path / 'stock.db'}", faults=True)


@pytest.fixture
def chain(serve, stock, tmp_path):
    server = make_server("127.0.0.1", 0, stock.app, threaded=True)
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    config = {"STOCK_URL": f"http://127.0.0.1:{server.port}"}
    yield serve("supply-chain", f"sqlite:///{tmp_path / 'supply.db'}", config=config)
    module._http.close()
    server.shutdown()
    thread.join()
    server.server_close()


def look(chain):
    return chain.ask("/reapprovisionner", {})


def sell(stock, quantite):
    return stock.post("/reserver", {"produits": [{"produit_id": KEYBOARD, "quantite": quantite}]})


def keyboards(stock):
    units = stock.books()["produits"][KEYBOARD]
    assert units["initial"] == units["en_main"] + units["reserve"] + units["vendu"]
    return units["initial"], units["en_main"]


def test_with_enough_on_hand_nothing_is_ordered(chain, stock):
    sell(stock, 400)
    assert (look(chain).json, keyboards(stock)) == ({"livraisons": []}, (500, 100))


def test_product_below_its_threshold_is_restocked_once(chain, stock):
    sell(stock, 401)
    (delivery,) = look(chain).json["livraisons"]
    assert (delivery["produit_id"], delivery["quantite"], delivery["etat"]) == (KEYBOARD, 401, "livree")
    assert look(chain).json == {"livraisons": []}
    assert (keyboards(stock), chain.books()) == ((901, 500), {"livre": {KEYBOARD: 401}})


def test_product_without_a_threshold_is_never_restocked(chain, stock):
    stock.post("/reserver", {"produits": [{"produit_id": "789", "quantite": 3}]})
    assert look(chain).json == {"livraisons": []}


@pytest.mark.parametrize("fault", ["fail", "lose_reply"])
def test_delivery_with_a_lost_answer_is_repeated_and_counts_once(chain, stock, fault):
    sell(stock, 450)
    stock.ask("/_faults", {"kind": fault, "path": "/livraisons"})
    assert look(chain).status_code == 502
    assert [each["quantite"] for each in look(chain).json["livraisons"]] == [450]
    assert (keyboards(stock), stock.states().count("done")) == ((950, 500), 2)


def test_refused_delivery_is_not_repeated(chain, stock):
    with chain.app.app_context():
        rows = {"reassort_id": "r", "produit_id": "nothing", "quantite": 1, "etat": "commandee"}
        chain.db.session.execute(module.restock_orders.insert().values(rows))
        chain.db.session.commit()
    for _ in range(2):
        assert look(chain).json == {"livraisons": []}
    assert (stock.states(), chain.books()) == (["refused"], {"livre": {}})


def test_only_one_supply_chain_checks_the_stock_at_a_time(chain):
    with module._check_lock:
        assert look(chain).status_code == 409
    assert look(chain).status_code == 200


def test_unreachable_stock_is_reported(serve, tmp_path):
    chain = serve("supply-chain", f"sqlite:///{tmp_path / 'supply.db'}", config={"STOCK_URL": "http://127.0.0.1:1"})
    reply = look(chain)
    assert (reply.status_code, reply.json["title"]) == (502, "Stock out of reach")
