"""Starting the saga that a request asks for."""

from app.access.principal import principal
from app.api.data import data_schema
from app.api.reading import idempotency_key, json_object, load, preferred_wait_s
from app.services import services
from app.store.instance import Standing
from machines.saga import Saga


def started(definition: Saga) -> Standing:
    """Start a saga with the body as its data, as Idempotency-Key and Prefer say, for whoever asks."""
    sent = json_object()
    data, key, wait_s = load(data_schema(definition), sent), idempotency_key(), preferred_wait_s()
    return services().sagas.start(definition.name, data, key, wait_s, by=principal().actor, sent=sent)
