"""The figures of one definition for its diagram: the same for the API's drawing and for the console."""

from functools import partial
from types import MappingProxyType

from app.services import Services
from app.store.statistics import Heat, heat
from machines.saga import Saga

#: Name of a time window → its length, in seconds. The window ends now.
WINDOWS_S = MappingProxyType({"15m": 900, "1h": 3_600, "24h": 86_400, "7d": 604_800})


def figures_of(parts: Services, saga: Saga, window: str) -> Heat:
    """Return the figures of a window, a few seconds old at most. Raise BusyError when they take too long."""
    return parts.heat.get((saga, window), partial(heat, saga.name, saga.version, WINDOWS_S[window], saga.deadline_s))
