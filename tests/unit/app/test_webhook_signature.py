import base64

from app.events.webhook_event import signed_headers
from tests.support.webhooks import NEW, OLD, verified


def key(secret):
    return base64.b64decode(secret.removeprefix("whsec_"))


def test_signature_is_that_of_the_example_of_standard_webhooks():
    """The example is https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md."""
    body = b'{"event_type":"ping","data":{"success":true}}'
    headers = signed_headers(
        "msg_loFOjxBNrRLzqYUf", body, [key("whsec_plJ3nmyCDGBKInavdOK15jsl")], 1731705121.9
    )  # fmt: skip
    assert headers["webhook-id"] == "msg_loFOjxBNrRLzqYUf"
    assert headers["webhook-timestamp"] == "1731705121"
    assert headers["webhook-signature"] == "v1,rAvfW3dJ/X/qxhsaXPOyyCGmRKsaKWcsNccKXlIktD0="


def test_each_secret_signs():
    headers = signed_headers("id", b"{}", [key(NEW), key(OLD)], 1.0)
    assert verified(headers, b"{}", OLD)
    assert verified(headers, b"{}", NEW)
    assert not verified(headers, b"{} ", NEW)
    assert not verified({**headers, "webhook-timestamp": "2"}, b"{}", NEW)
    assert not verified(signed_headers("id", b"{}", [key(NEW)], 1.0), b"{}", OLD)
