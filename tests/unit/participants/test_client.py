def pay(client, client_id, montant, key=None):
    return client.post(f"/{client_id}/payer", {"montant": montant}, key)


def balance(client, client_id):
    return client.get(f"/{client_id}").json["solde"]


def test_a_payment_is_taken_from_the_balance(client):
    reply = pay(client, 4, 59.97)
    assert (reply.status_code, reply.json["montant"], reply.json["solde"]) == (201, 59.97, 999_940.03)
    assert client.get("/4").json == {"client_id": 4, "solde": 999_940.03}
    assert client.books() == {"debits": 59.97, "remboursements": 0}


def test_a_client_never_seen_has_the_opening_balance_and_looking_does_not_open_an_account(client):
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


def test_a_refund_gives_back_what_was_paid_to_who_paid_whatever_the_undo_says(client):
    paid = pay(client, 4, 59.97, "s/payer/do").json
    reply = client.post("/5/rembourser", {"montant": 999}, "s/payer/undo")
    assert (reply.status_code, reply.json) == (200, {**paid, "solde": 1_000_000})
    assert (balance(client, 4), balance(client, 5)) == (1_000_000, 1_000_000)
    assert client.books() == {"debits": 59.97, "remboursements": 59.97}


def test_what_is_in_the_accounts_and_the_books_agrees(client):
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


def test_a_credit_for_a_return_counts_as_money_paid_back(client):
    pay(client, 4, 59.98)
    reply = client.post("/4/crediter", {"montant": 29.99})
    assert (reply.status_code, reply.json["montant"], reply.json["solde"]) == (201, 29.99, 999_970.01)
    assert client.books() == {"debits": 59.98, "remboursements": 29.99}


def test_a_credit_can_be_the_first_that_happens_to_an_account(client):
    assert client.post("/4/crediter", {"montant": 1}).json["solde"] == 1_000_001


def test_a_bad_credit_changes_nothing(client):
    assert client.post("/4/crediter", {"montant": -1}).status_code == 400
    assert (balance(client, 4), client.books()["remboursements"]) == (1_000_000, 0)


def test_a_credit_is_taken_back_from_who_got_it_whatever_the_undo_says(client):
    credited = client.post("/4/crediter", {"montant": 5}, "s/crediter/do").json
    reply = client.post("/5/crediter/annuler", {"montant": 999}, "s/crediter/undo")
    assert (reply.status_code, reply.json) == (200, {**credited, "solde": 1_000_000})
    assert (balance(client, 5), client.books()["remboursements"]) == (1_000_000, 0)


def test_a_credit_that_is_spent_cannot_be_taken_back(client):
    client.post("/2/crediter", {"montant": 5}, "s/crediter/do")
    pay(client, 2, 12)
    assert client.post("/2/crediter/annuler", {}, "s/crediter/undo").status_code == 402
    assert (balance(client, 2), client.books()) == (3, {"debits": 12, "remboursements": 5})
