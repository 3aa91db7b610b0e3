"""The pages as HTML: what they show, hide and refuse."""

import re
from html import unescape

import pytest

from app.access.permissions import Role
from app.access.principal import user
from app.errors import field_words
from app.store.database import db
from tests.integration.admin.conftest import seen

STUCK = ("succeeded", "succeeded", "succeeded", "exhausted")


@pytest.mark.parametrize("path", ["/admin", "/admin/stuck", "/admin/sagas"])
def test_an_empty_service_has_every_page(client, path):
    answer = client.get(path)
    assert (answer.status_code, answer.mimetype) == (200, "text/html")


@pytest.mark.parametrize(
    ("query", "shown"),
    [
        ("type=checkout,commande", 2),
        ("type=checkout&stuck=true", 1),
        ("type=checkout&state=CONFIRMEE", 0),
        ("type=checkout&state=PAIEMENT_EFFECTUE", 1),
        ("type=commande&stuck=true", 0),
        ("status=running,stuck", 2),
        ("type=checkout&status=compensating,compensated", 0),
    ],
)
def test_list_shows_matching_sagas(client, walk, query, shown):
    walk(*STUCK)
    walk(*STUCK[:3])
    assert client.get(f"/admin/sagas?{query}").get_data(as_text=True).count('data-is="Id"') == shown


@pytest.mark.parametrize(
    "query", ["after=x", "status=no", "status=stuck,no", "colour=red", "q=%00", "stuck=maybe", "tag=x"]
)
def test_invalid_query_is_answered_with_a_page(client, query):
    answer = client.get(f"/admin/sagas?{query}")
    assert (answer.status_code, answer.mimetype) == (400, "text/html")
    assert query.partition("=")[0] in seen(answer)
    assert "tag/" not in answer.text


@pytest.mark.parametrize(
    ("pointer", "words"),
    [("/tag/0", "tag 1"), ("/lines/1/tags/0", "lines 2, tags 1"), ("/a~1b", "a/b"), ("", ""), ("/reason", "reason")],
)
def test_people_read_the_place_of_an_error_in_words(pointer, words):
    assert field_words(pointer) == words


def test_unknown_saga_is_answered_with_a_page(client):
    answer = client.get("/admin/sagas/00000000-0000-0000-0000-000000000000")
    assert (answer.status_code, answer.mimetype) == (404, "text/html")


@pytest.mark.parametrize(
    ("path", "kind"),
    [("/admin/nothing", "text/html"), ("/admin/sagas/2da1925b", "text/html"), ("/nothing", "application/problem+json")],
)
def test_unknown_address_below_admin_is_answered_with_a_page(client, path, kind):
    answer = client.get(path)
    assert (answer.status_code, answer.mimetype) == (404, kind)


def test_search_by_id_redirects_to_the_saga(client, walk):
    saga = walk(*STUCK)
    answer = client.get(f"/admin/sagas?q={str(saga.id)[:9]}")
    assert (answer.status_code, answer.location) == (302, f"/admin/sagas/{saga.id}")


def test_search_redirects_for_an_order_but_lists_for_a_client(client, walk):
    saga = walk(*STUCK[:3], "succeeded")
    assert client.get("/admin/sagas?q=sale-17").location == f"/admin/sagas/{saga.id}"
    assert client.get("/admin/sagas?q=4").status_code == 200
    assert "Order sale-17" in seen(client.get(f"/admin/sagas/{saga.id}"))


def test_a_saga_is_shown_without_its_secrets(client, walk):
    page = client.get(f"/admin/sagas/{walk(*STUCK, reason='password=hunter2').id}").get_data(as_text=True)
    assert "CH93" not in page
    assert "hunter2" not in page
    assert '"iban": "***"' in unescape(page)


def test_text_of_a_participant_is_escaped(client, walk):
    saga = walk(*STUCK, reason="<script>alert(1)</script>")
    for path in (f"/admin/sagas/{saga.id}", "/admin/stuck", "/admin/sagas", "/admin"):
        assert "<script>alert" not in client.get(path).get_data(as_text=True)


def test_effect_shows_the_fields_of_its_call(client, walk):
    items = [{"product_id": 456, "quantity": 2, "price": 29.99}]
    data = {"store_id": 1, "customer_id": 9, "items": items, "payment_method": "card", "amount": 59.98}
    saga = walk("succeeded", "succeeded", definition="purchase_saga", **data)
    page_text = seen(client.get(f"/admin/sagas/{saga.id}"))
    words = set(re.search(r"· produits ([^·{]+?) (?=Take the payment)", page_text)[1].split(", "))
    assert words == {"product_id 456", "quantity 2", "price 29.99"}


def test_page_says_what_was_done_with_the_money_of_a_titled_step(client, walk):
    saga = walk(*STUCK)
    page_text = seen(client.get(f"/admin/sagas/{saga.id}"))
    assert "Checkout checkout v1" in page_text
    assert "Take the payment payer" in page_text
    assert "5 EUR taken from customer 4, not given back" in page_text


def test_waiting_saga_shows_its_age_and_next_attempt(client, walk, aged):
    saga = walk(*STUCK[:3])
    aged(saga, 200)
    page = f"/admin/sagas/{saga.id}"
    assert "3 min 20 s ago" in seen(client.get(page))
    assert "Next try" not in seen(client.get(page)), "nothing says when"
    for owner, due, words in (("NULL", 90, "in 1 min 2"), ("NULL", -5, "now"), ("'engine'", 90, "")):
        far = f"strftime('%Y-%m-%d %H:%M:%f', 'now', '{due} seconds') || '000'"
        if db.engine.dialect.name == "postgresql":
            far = f"now() + interval '{due} seconds'"
        db.session.execute(db.text(f"UPDATE saga SET owner = {owner}, due_at = {far}, attempt = 2"))
        db.session.commit()
        page_text = seen(client.get(page))
        assert f"Next try {words}" in page_text if words else "Next try" not in page_text
        assert not words or "attempt 3 of 5" in page_text, "the last asks what became of it"


def test_saga_of_another_release_is_shown_without_actions(client, walk):
    saga = walk(*STUCK)
    db.session.execute(db.text("UPDATE saga SET definition_version = 7"))
    db.session.commit()
    assert "This release does not know checkout v7" in seen(client.get(f"/admin/sagas/{saga.id}"))
    assert client.get("/admin/stuck").status_code == 200
    assert client.get("/admin/sagas").status_code == 200


NO_TABLE = "Its table is not in this release: deploy a release that has it, or put the table back."


@pytest.mark.parametrize("gone", ["definition = 'removed_saga'", "definition_version = 7", "table_digest = 'another'"])
@pytest.mark.parametrize("outcomes", [STUCK, STUCK[:3]], ids=["stuck", "running"])
def test_a_saga_without_its_table_is_shown_with_its_cause_and_remedy(client, walk, gone, outcomes):
    saga = walk(*outcomes)
    overview = seen(client.get("/admin"))
    assert "without a table" not in overview
    db.session.execute(db.text(f"UPDATE saga SET {gone}"))
    db.session.commit()
    overview = seen(client.get("/admin"))
    assert "1 without a table" in overview
    assert "0 overstayed" in overview
    assert NO_TABLE in overview
    for path in ("/admin/stuck", "/admin/stuck?unknown=true"):
        page = client.get(path)
        assert seen(page).count(NO_TABLE) == 2, "by cause and one by one"
        assert "Act on it" not in seen(page), "no button: nothing could be done with it"
        (link,) = set(re.findall(r'<a href="(/admin/stuck[?][^"]*unknown[^"]*)"', page.get_data(as_text=True)))
        assert str(saga.id) in client.get(unescape(link)).get_data(as_text=True)
    assert "No stuck sagas match these filters" in seen(client.get("/admin/stuck?unknown=false"))
    assert "put the table back" in seen(client.get(f"/admin/sagas/{saga.id}"))
    assert client.get(f"/admin/stuck/group?{link.partition('?')[2].replace('&amp;', '&')}").status_code == 200


def test_only_actions_of_the_table_are_available(client, walk):
    def titles(*outcomes):
        page = client.get(f"/admin/sagas/{walk(*outcomes).id}").get_data(as_text=True)
        return re.findall(r"<summary><b>([^<]+)</b>", page)

    assert titles(*STUCK) == ["Retry now", "Compensate", "Resolve by hand"]
    assert titles("succeeded", "succeeded") == ["Cancel this saga"]
    assert titles("succeeded", "succeeded", "succeeded") == []
    assert titles("succeeded", "refused") == []


@pytest.mark.parametrize(
    ("changed", "status", "words"),
    [
        ({"reason": ""}, 400, "reason: Say why"),
        ({"reason": None}, 400, "reason:"),
        ({"seen": "STUCK_CONFIRMER"}, 409, "from STUCK_CONFIRMER to STUCK_ENREGISTRER_VENTE"),
        ({"action": "delete"}, 400, "action:"),
        ({"more": "x"}, 400, "more:"),
    ],
)
def test_invalid_action_shows_the_error_and_changes_nothing(client, walk, changed, status, words):
    saga = walk(*STUCK)
    form = {"action": "compensate", "seen": "STUCK_ENREGISTRER_VENTE", "reason": "because"} | changed
    answer = client.post(f"/admin/sagas/{saga.id}", data={k: v for k, v in form.items() if v is not None})
    assert (answer.status_code, "Nothing was done" in seen(answer), words in seen(answer)) == (status, True, True)
    assert db.session.execute(db.text("SELECT state FROM saga")).scalar_one() == "STUCK_ENREGISTRER_VENTE"


def test_notice_describes_the_state_after_the_action(client, walk):
    saga = walk(*STUCK)
    form = {"action": "compensate", "seen": saga.state, "reason": "because"}
    answer = client.post(f"/admin/sagas/{saga.id}", data=form)
    assert answer.status_code == 200
    assert (
        "has left stuck: Record the sale (STUCK_ENREGISTRER_VENTE) and is compensating, in refunds the payment"
        in seen(answer)
    )
    assert "user:ada" in seen(answer)


def test_form_without_csrf_token_moves_nothing(client, walk, monkeypatch):
    monkeypatch.undo()
    monkeypatch.setattr("app.access.authorization.signed_in", lambda: user("ada", Role.OPERATOR))
    saga = walk(*STUCK)
    form = {"action": "retry", "seen": saga.state, "reason": "because"}
    for path in (f"/admin/sagas/{saga.id}", "/admin/stuck/group"):
        assert client.post(path, data=form).status_code == 403
    assert db.session.execute(db.text("SELECT state FROM saga")).scalar_one() == saga.state


def test_viewer_can_move_nothing(client, walk, monkeypatch):
    saga = walk(*STUCK)
    monkeypatch.setattr("app.access.authorization.signed_in", lambda: user("eve", Role.VIEWER))
    form = {"action": "retry", "seen": saga.state, "reason": "because"}
    assert client.post(f"/admin/sagas/{saga.id}", data=form).status_code == 403
    assert client.post("/admin/stuck/group", data=form).status_code == 403
    assert client.get(f"/admin/sagas/{saga.id}").status_code == 200


def test_request_without_session_redirects_to_sign_in(client, monkeypatch):
    monkeypatch.setattr("app.access.authorization.signed_in", lambda: None)
    answer = client.get("/admin/stuck?q=4", headers={"Accept": "text/html"})
    assert (answer.status_code, answer.location) == (303, "/login?next=/admin/stuck%3Fq%3D4")


def test_get_requests_change_nothing(client, walk):
    saga = walk(*STUCK)
    whole = db.text("SELECT count(*), max(version), max(updated_at) FROM saga")
    before = db.session.execute(whole).one()
    query = "type=checkout&version=1&state=STUCK_ENREGISTRER_VENTE&status=stuck"
    for path in ("/admin", "/admin/stuck", "/admin/sagas", f"/admin/sagas/{saga.id}", f"/admin/stuck/group?{query}"):
        assert client.get(path).status_code == 200
    assert db.session.execute(whole).one() == before


def test_the_error_of_an_ended_saga_is_shown_as_its_last_error(client, walk):
    assert "Last error" not in seen(client.get(f"/admin/sagas/{walk(*STUCK).id}"))
    assert "Last error: Reserve the goods (reserver_stock)" in seen(
        client.get(f"/admin/sagas/{walk('succeeded', 'refused').id}")
    )


def test_list_of_one_cause_names_its_state_and_its_step_by_their_titles(client, walk):
    walk(*STUCK)
    words = "stuck: Record the sale STUCK_ ENREGISTRER_ VENTE"
    path = "/admin/stuck?type=checkout&state=STUCK_ENREGISTRER_VENTE&step=enregistrer_vente"
    for version in ("", "&version=1"):
        assert f"Only in state {words} at step Record the sale enregistrer_ vente" in seen(client.get(path + version))


@pytest.mark.parametrize("query", ["", "&type=checkout"])
def test_each_error_of_a_cause_leads_to_its_saga(client, walk, query):
    sagas = {str(walk(*STUCK, reason=f"503 request {number} & <more>").id) for number in (1, 2)}
    cause = re.search(r"cause=[^&\"]+", client.get("/admin/stuck").text)[0]
    links = re.findall(r'href="(/admin/stuck\?[^"]*error=[^"]+)"', client.get(f"/admin/stuck?{cause}{query}").text)
    pages = [client.get(unescape(link)).text for link in links]
    listed = [re.findall(r'name="id" value="([0-9a-f-]{36})"', page) for page in pages]
    assert [len(found) for found in listed] == [1, 1]
    assert {found[0] for found in listed} == sagas
