"""The calls on the page of a saga: equal attempts in one line, and each call as a command without secrets."""

import re
import shlex
from html import unescape

from app.participant_settings.model import ParticipantSettings
from app.views.curl import as_curl
from machines import const, get, post
from tests.integration.admin.conftest import seen


def commands(page):
    return [unescape(text) for text in re.findall(r'<textarea id="curl-\d+"[^>]*>([^<]*)<', page.text)]


def test_equal_attempts_in_a_row_are_folded_and_others_are_not(client, walk):
    saga = walk(*["retry"] * 3, "succeeded", "retry", "retry", "succeeded")
    page = client.get(f"/admin/sagas/{saga.id}")
    words = seen(page)
    assert [number for number in range(2, 9) if f" {number} × Read the cart" in words] == [3]  # noqa: RUF001
    assert len(commands(page)) == 4, "the body of the reservation needs a reply that the cart did not give"
    assert "Under way for" in words


def test_each_call_is_a_command_with_its_key(client, walk):
    saga = walk("succeeded", "succeeded", "succeeded")
    get_cart, pay = (shlex.split(text) for text in commands(client.get(f"/admin/sagas/{saga.id}")))
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
