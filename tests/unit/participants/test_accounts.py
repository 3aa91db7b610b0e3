import pytest


def pay(client, client_id, montant, key=None):
    return client.post(f"/{client_id}/payer", {"montant": montant}, key)


def balance(client, client_id):
    return client.get(f"/{client_id}").json["solde"]


def test_payment_is_deducted_from_the_balance(client):
    reply = pay(client, 4, 59.97)
    assert (reply.status_code, reply.json["montant"], reply.json["solde"]) == (201, 59.97, 999_940.03)
    assert client.get("/4").json == {"client_id": 4, "solde": 999_940.03}
    assert client.books() == {"debits": 59.97, "remboursements": 0}


def test_new_client_has_the_opening_balance_and_no_account_yet(client):
    assert client.get("/123456").json == {"client_id": 123456, "solde": 1_000_000}
    with client.app.app_context():
        assert client.db.session.execute(client.db.text("SELECT client_id FROM comptes")).scalars().all() == [2]


def test_cents_add_up_exactly(client):
    for _ in range(10):
        pay(client, 4, 0.1)
    assert balance(client, 4) == 999_999
    assert client.books()["debits"] == 1


def test_a_payment_above_the_balance_is_refused_and_changes_nothing(client):
    reply = pay(client, 2, 10.01)
    assert (reply.status_code, reply.content_type) == (402, "application/problem+json")
    assert (balance(client, 2), client.states()) == (10, ["refused"])
    assert client.books() == {"debits": 0, "remboursements": 0}


def test_a_refused_payment_opens_no_account(client):
    assert pay(client, 5, 1_000_000.01).status_code == 402
    with client.app.app_context():
        assert client.db.session.execute(client.db.text("SELECT client_id FROM comptes")).scalars().all() == [2]


def test_the_whole_balance_can_be_spent(client):
    assert pay(client, 2, 10).json["solde"] == 0


def test_refund_uses_the_recorded_payment_and_not_the_undos_body(client):
    paid = pay(client, 4, 59.97, "s/payer/do").json
    reply = client.post("/5/rembourser", {"montant": 999}, "s/payer/undo")
    assert (reply.status_code, reply.json) == (200, {**paid, "solde": 1_000_000})
    assert (balance(client, 4), balance(client, 5)) == (1_000_000, 1_000_000)
    assert client.books() == {"debits": 59.97, "remboursements": 59.97}


def test_accounts_and_books_agree(client):
    pay(client, 4, 10.5, "a/payer/do")
    pay(client, 4, 20.25)
    client.post("/4/rembourser", {}, "a/payer/undo")
    books = client.books()
    assert books == {"debits": 30.75, "remboursements": 10.5}
    assert balance(client, 4) == 1_000_000 - books["debits"] + books["remboursements"]


def test_a_bad_amount_is_refused_with_its_name(client):
    for montant in (None, -1, 0.001, "1", True, 1e300, [1]):
        reply = pay(client, 4, montant)
        assert (reply.status_code, list(reply.json["errors"])) == (400, ["montant"])
    assert balance(client, 4) == 1_000_000


def test_a_client_id_no_database_can_hold_is_not_found(client):
    assert client.get(f"/{2**63}").status_code == 404


def credit(client, montant, client_id=4, achat="s", saga="r"):
    body = {"montant": montant, "achat": achat}
    return client.post(f"/{client_id}/crediter", body, f"{saga}/crediter/do")


def reverse(client, saga="r"):
    return client.post("/4/crediter/annuler", {}, f"{saga}/crediter/undo")


@pytest.fixture
def paid(client):
    pay(client, 4, 59.98, "s/payer/do")
    return client


def test_a_credit_for_a_return_counts_as_money_paid_back(paid):
    reply = credit(paid, 29.99)
    assert (reply.status_code, reply.json["montant"], reply.json["solde"]) == (201, 29.99, 999_970.01)
    assert paid.books() == {"debits": 59.98, "remboursements": 29.99}


def test_credits_never_exceed_the_payment_of_their_purchase(paid):
    pay(paid, 4, 500, "t/payer/do")
    assert [credit(paid, 29.99, saga=saga).status_code for saga in ("a", "b")] == [201, 201]
    reply = credit(paid, 0.01, saga="c")
    assert (reply.status_code, reply.json["detail"]) == (409, "0.01 asked, 0.00 left of what was paid")
    assert balance(paid, 4) == 999_500


@pytest.mark.parametrize("changes", [{"achat": "t"}, {"client_id": 5}])
def test_a_credit_for_what_the_client_has_not_paid_is_refused(paid, changes):
    reply = credit(paid, 1, **changes)
    assert (reply.status_code, reply.json["title"]) == (409, "Not paid")
    assert (balance(paid, 4), balance(paid, 5)) == (999_940.02, 1_000_000)


@pytest.mark.parametrize("body", [{"montant": -1, "achat": "s"}, {"montant": 1}])
def test_a_bad_credit_changes_nothing(paid, body):
    assert paid.post("/4/crediter", body).status_code == 400
    assert (balance(paid, 4), paid.books()["remboursements"]) == (999_940.02, 0)


def test_undo_of_a_credit_uses_the_recorded_credit(paid):
    credited = credit(paid, 5).json
    reply = paid.post("/5/crediter/annuler", {"montant": 999}, "r/crediter/undo")
    assert (reply.status_code, reply.json) == (200, {**credited, "solde": 999_940.02})
    assert (balance(paid, 5), paid.books()["remboursements"]) == (1_000_000, 0)


def test_spent_credit_cannot_be_undone(client):
    pay(client, 2, 5, "s/payer/do")
    credit(client, 5, client_id=2)
    pay(client, 2, 7)
    assert client.post("/2/crediter/annuler", {}, "r/crediter/undo").status_code == 402
    assert (balance(client, 2), client.books()) == (3, {"debits": 12, "remboursements": 5})


def test_undoing_a_payment_pays_back_what_was_not_credited(paid):
    credit(paid, 29.99)
    assert paid.post("/4/rembourser", {}, "s/payer/undo").json["montant"] == 29.99
    assert (balance(paid, 4), paid.books()) == (1_000_000, {"debits": 59.98, "remboursements": 59.98})
    assert credit(paid, 0.01, saga="late").status_code == 409


def test_credit_undone_after_its_refund_stays_with_the_client(paid):
    credit(paid, 29.99)
    paid.post("/4/rembourser", {}, "s/payer/undo")
    assert reverse(paid).status_code == 200
    assert (balance(paid, 4), paid.books()) == (1_000_000, {"debits": 59.98, "remboursements": 59.98})


def test_credit_undone_before_its_refund_is_refunded_with_it(paid):
    credit(paid, 29.99)
    reverse(paid)
    assert paid.post("/4/rembourser", {}, "s/payer/undo").json["montant"] == 59.98
    assert (balance(paid, 4), paid.books()) == (1_000_000, {"debits": 59.98, "remboursements": 59.98})
