"""A dead letter as people may see it: without the secret values of the saga that it was to start."""

from typing import Any

from app.values import UnreadableError, parsed, written
from machines.references import MASKED
from machines.registry import Registry
from machines.secrets import SecretFields


def shown_body(registry: Registry, body: str) -> str:
    """Return the text of a message with "***" for each secret value.

    When no saga that an event starts has secrets, every message is returned unchanged. Otherwise a message that cannot
    be read is hidden as a whole, and a message with an unknown type is shown without its data.
    """
    secrets = {event: registry.secrets_of(saga.name) for event, saga in registry.started_by_event.items()}
    if not any(secrets.values()):
        return body
    try:
        event = parsed(body.encode())
    except UnreadableError:
        return MASKED
    if not isinstance(event, dict) or not isinstance(event.get("type"), str):
        return MASKED
    if event["type"] not in secrets:
        return written({**event, "data": MASKED}).decode()
    found = secrets[event["type"]]
    return body if found is None else _without_secrets(found, event)


def _without_secrets(secrets: SecretFields, event: dict[str, Any]) -> str:
    data = event.get("data")
    if not isinstance(data, dict):
        return written({**event, "data": MASKED}).decode()
    shown = secrets.values(data, {}).hidden_in({**event, "data": secrets.masked_data(data)})
    return written(shown).decode()
