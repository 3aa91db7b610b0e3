"""The journal on the page of a saga: all entries, the chosen one in full, and its call as a command without secrets."""

import re
import shlex
from html import unescape

from app.participant_settings.model import ParticipantSettings
from app.views.curl import as_curl
from machines import const, get, post
from tests.integration.admin.conftest import seen


def command(page):
    """Return the words of the command of the chosen entry; None: it has none."""
    found = re.search(r'<textarea id="curl-\d+"[^>]*>([^<]*)<', page.text)
    return shlex.split(unescape(found[1])) if found else None


def chosen(page):
    return re.search(r'<h3 id="entry-title">(.*?)</h3>', page.text)[1]


def test_equal_attempts_in_a_row_are_folded_and_others_are_not(client, walk):
    saga = walk(*["retry"] * 3, "succeeded", "retry", "retry", "succeeded")
    page = client.get(f"/admin/sagas/{saga.id}")
    words = seen(page)
    assert [number for number in range(2, 9) if f" {number} × Read the cart" in words] == [3]  # noqa: RUF001
    assert "Under way for" in words


def test_the_chosen_entry_is_shown_in_full_and_has_neighbours(client, walk):
    saga = walk("retry", "succeeded")
    page = client.get(f"/admin/sagas/{saga.id}?entry=2")
    assert chosen(page) == "2: Read the cart"
    assert page.text.count('aria-current="true"') == 1
    assert re.findall(r'href="[^"]*\?entry=(\d)#entry" data-shows="#entry">[^<\n]', page.text) == ["1", "3"]
    assert chosen(client.get(f"/admin/sagas/{saga.id}")) == "3: Read the cart", "by default it is the last one"
    assert command(client.get(f"/admin/sagas/{saga.id}?entry=1")) is None, "the start is no call"


def test_an_entry_that_the_journal_lacks_is_not_found_and_other_parameters_are_ignored(client, walk):
    path = f"/admin/sagas/{walk('succeeded').id}"
    missing = client.get(f"{path}?entry=3")
    assert (missing.status_code, "The journal has no entry 3; its last one is 2" in seen(missing)) == (404, True)
    assert client.get(f"{path}?entry=x").status_code == 400
    assert client.get(f"{path}?utm_source=slack").status_code == 200


def test_each_call_is_a_command_with_its_key(client, walk):
    saga = walk("succeeded", "succeeded", "succeeded")
    get_cart, reserve, pay = (command(client.get(f"/admin/sagas/{saga.id}?entry={seq}")) for seq in (2, 3, 4))
    assert reserve is None, "the body of the reservation needs a reply that the cart did not give"
    assert get_cart[:5] == ["curl", "-i", "-X", "GET", "http://127.0.0.1:9/panier/4"]
    assert pay[3:5] == ["POST", "http://127.0.0.1:9/client/4/payer"]
    assert f"Idempotency-Key: {saga.id}/payer/do" in pay
    assert pay[-2:] == ["--data-binary", '{"montant":5}']


def test_the_command_has_neither_the_user_of_the_url_nor_the_gateways_key():
    settings = ParticipantSettings(url="https://ada:secret@pay.example/v1", headers={"X-API-Key": "hidden"})
    command = as_curl(post("pay", "/charges", body={"note": const("it's")}), "/charges", {"X-A": "1"}, {"note": "it's"},
                      {"pay": settings})  # fmt: skip
    assert shlex.split(command) == [
        "curl", "-i", "-X", "POST", "https://pay.example/v1/charges", "-H", "X-A: 1",
        "-H", "Content-Type: application/json", "--data-binary", '{"note":"it\'s"}',
    ]  # fmt: skip


def test_a_form_is_encoded_and_an_unknown_path_has_no_command():
    call = post("pay", "/charges", form={"a": const("x y")})
    assert as_curl(call, "/charges", {}, {"a": "x y"}, {}).endswith("--data-urlencode 'a=x y'")
    assert as_curl(call, "/charges", {}, {"a": {"b": 1}}, {}) is None
    assert as_curl(get("pay", "/charges/{id}"), None, {}, None, {}) is None
