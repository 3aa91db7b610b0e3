"""The same start request, by its Idempotency-Key, gives the same saga."""

import hashlib
import json
import time
from collections.abc import Mapping
from typing import Any

from app.errors import KeyReusedError, StillRunningError
from app.fleeting import Fleeting
from app.store.instance import UNDER_WAY, Instance, Standing
from app.store.loading import standing
from app.store.sagas import SagaStore

#: For so long the first request with a key has its turn before another one tries.
TURN_S = 1.0
_GLANCE_S = 0.005


class Keys:
    """Finds the saga that a key belongs to. Whether a key is taken, the database decides."""

    def __init__(self, store: SagaStore, fleeting: Fleeting) -> None:
        self._store, self._fleeting = store, fleeting

    def begun(self, saga: Instance) -> Standing | None:
        """Give the saga that was begun with this one's key before it, if one was.

        Raises StillRunningError while that one runs and KeyReusedError when it was started with other data.
        """
        if not saga.key:
            return None
        return self._known(saga) or self._begun_this_moment(saga)

    def begun_before(self, saga: Instance) -> Standing | None:
        """Give the saga that was begun with this one's key, without a turn for a request that comes at the same time.

        Raises as `begun` does.
        """
        return self._known(saga)

    def begun_after_all(self, saga: Instance) -> Standing:
        """Give the saga that was quicker to take the key."""
        known = self._known(saga)
        assert known is not None, "a key that is taken belongs to a saga"
        return known

    def _known(self, saga: Instance) -> Standing | None:
        row = self._store.find_key(saga.key or "")
        if row is None:
            return None
        if row.fingerprint != saga.fingerprint:
            raise KeyReusedError("this key began a saga with other data; send a new key", saga_id=str(row.id))
        if row.status in UNDER_WAY:
            raise StillRunningError("wait for it, and ask for it by its id", saga_id=str(row.id))
        return standing(row, replayed=True)

    def _begun_this_moment(self, saga: Instance) -> Standing | None:
        """Let another request with this key, which has come a moment ago, make its saga durable.

        It spares the participants the reads of a saga that could not be stored.
        """
        if self._fleeting.lock(f"key/{saga.key}", TURN_S) is False:
            until = time.monotonic() + TURN_S
            while time.monotonic() < until:
                if known := self._known(saga):
                    return known
                time.sleep(_GLANCE_S)
        return None


def fingerprint(name: str, data: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps([name, data], sort_keys=True).encode()).hexdigest()
