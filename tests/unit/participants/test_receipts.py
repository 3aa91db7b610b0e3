import pytest

from participants import receipts as module

RECEIPT = {
    "commande_id": "c-1",
    "client_id": 4,
    "produits": [{"produit_id": "456", "quantite": 2, "prix": 29.99}],
    "montant": 59.98,
}
KEY = "s/envoyer/do"


def send(recus, key=KEY, **changes):
    return recus.post("/recus", RECEIPT | changes, key)


@pytest.fixture
def outbox(tmp_path):
    return lambda: sorted(each.name for each in (tmp_path / "outbox").glob("*"))


def test_a_receipt_is_a_document_in_the_outbox(recus, outbox, tmp_path):
    reply = send(recus)
    assert (reply.status_code, outbox()) == (201, [reply.json["fichier"]])
    text = (tmp_path / "outbox" / reply.json["fichier"]).read_text()
    for word in (reply.json["recu_id"], "c-1", "456", "29.99", "59.98"):
        assert word in text
    assert recus.books() == {"total": 59.98, "count": 1}


def test_repeated_receipt_is_sent_once(recus, outbox):
    assert send(recus).json == send(recus).json
    assert (len(outbox()), recus.books()["count"]) == (1, 1)


def test_each_saga_has_its_own_receipt(recus, outbox):
    for saga in ("a", "b"):
        send(recus, f"{saga}/envoyer/do")
    assert (len(outbox()), recus.books()["count"]) == (2, 2)


def test_without_an_address_nothing_is_sent(recus, outbox):
    reply = send(recus, client_id=6600)
    assert (reply.status_code, reply.json["title"]) == (409, "No address")
    assert (outbox(), recus.books(), recus.states()) == ([], {"total": 0, "count": 0}, ["refused"])


def test_crash_between_document_and_commit_leaves_one_document(recus, outbox, monkeypatch):
    put = module._put

    def crash(*document):
        put(*document)
        raise RuntimeError("ordered by the test")

    with monkeypatch.context() as broken:
        broken.setattr(module, "_put", crash)
        assert send(recus).status_code == 500
    assert (len(outbox()), recus.books()["count"]) == (1, 0)
    assert send(recus).status_code == 201
    assert (len(outbox()), recus.books()["count"]) == (1, 1)


def test_a_document_that_was_half_written_is_never_a_receipt(recus, outbox, monkeypatch):
    with monkeypatch.context() as broken:
        broken.setattr(module.os, "fsync", lambda _: 1 / 0)
        assert send(recus).status_code == 500
    assert [name.rpartition(".")[2] for name in outbox()] == ["tmp"]
    assert send(recus).status_code == 201
    assert [name.rpartition(".")[2] for name in outbox()] == ["txt"]


@pytest.mark.parametrize("field", list(RECEIPT))
def test_a_missing_field_is_refused_with_its_name(recus, outbox, field):
    reply = recus.post("/recus", {name: value for name, value in RECEIPT.items() if name != field})
    assert (reply.status_code, list(reply.json["errors"]), outbox()) == (400, [field], [])
