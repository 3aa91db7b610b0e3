"""The signatures of messages, as Standard Webhooks describes: of webhooks, and of events at the broker."""

import base64
import hashlib
import hmac
from collections.abc import Mapping, Sequence
from types import MappingProxyType

from app.errors import ForbiddenError
from app.settings import EventSecret
from app.store.tenants import acting_tenant

#: Names of the headers that belong to a signature.
ID, TIMESTAMP, SIGNATURE = "webhook-id", "webhook-timestamp", "webhook-signature"
#: The headers of a message without a signature.
UNSIGNED: Mapping[str, str] = MappingProxyType({})


def signature_headers(event_id: str, body: bytes, keys: Sequence[bytes], now: float) -> dict[str, str]:
    """Return the headers that sign a message, with one signature for each key. now: seconds since 1970."""
    timestamp = str(int(now))
    signatures = [_signature(event_id, timestamp, body, key) for key in keys]
    return {ID: event_id, TIMESTAMP: timestamp, SIGNATURE: " ".join(signatures)}


def signature_in(headers: Mapping[str, object]) -> dict[str, str]:
    """Return the headers of a broker's message that belong to its signature; a header may be any JSON value."""
    return {name: str(headers[name]) for name in (ID, TIMESTAMP, SIGNATURE) if name in headers}


def tenant_of(body: bytes, signature: Mapping[str, str], secrets: Sequence[EventSecret]) -> str | None:
    """Return the tenant whose secret has signed an event; None: for all.

    Without secrets, no event needs a signature, and it belongs to the tenant that this thread acts for. Raise
    ForbiddenError for an event that none of the secrets has signed. The time of the signature does not matter: an event
    may wait in the broker for days, and a repeated event changes nothing.
    """
    if not secrets:
        return acting_tenant()
    sent = signature.get(SIGNATURE, "").split(" ")
    for secret in secrets:
        expected = _signature(signature.get(ID, ""), signature.get(TIMESTAMP, ""), body, secret.key).encode()
        if any(hmac.compare_digest(expected, each.encode()) for each in sent):
            return secret.tenant
    raise ForbiddenError("the event has no signature of a secret in EVENTS_SECRETS")


def _signature(event_id: str, timestamp: str, body: bytes, key: bytes) -> str:
    signed = f"{event_id}.{timestamp}.".encode(errors="replace") + body
    return "v1," + base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode()
