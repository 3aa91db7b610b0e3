"""Deliberate crashes for the tests that prove recovery.

FAILPOINT=after_commit:3 kills the process right after its third commit. The places are before_commit, after_commit,
before_batch, after_batch, before_inserts, after_inserts, before_arrival, after_arrival, within_family, before_send and
after_send. A batch is the write of several commits together; inserts are that of several new sagas. An arrival is the
commit of a signal or of an answer. within_family is inside the transaction that writes a saga with its parent or its
child. Without the variable no method is wrapped, so the failpoints cost nothing.
"""

import os
import signal
import threading
from collections.abc import Callable
from typing import Any

from app.settings import ConfigError

_PLACES = (
    "before_commit", "after_commit", "before_batch", "after_batch", "before_inserts", "after_inserts", "before_arrival",
    "after_arrival", "within_family", "before_send", "after_send",
)  # fmt: skip
#: Second word of a place → the methods around which the process dies.
_METHODS = {
    "commit": ("insert", "insert_all", "save"), "batch": ("together",), "inserts": ("together",), "arrival": ("add",),
    "family": ("move_family",), "send": ("send",),
}  # fmt: skip


def arm(spec: str, store: Any, arrivals: Any, sender: Any) -> None:
    """Wrap the methods that commit or send, so that they kill the process. spec: the value of FAILPOINT."""
    place, _, number = spec.partition(":")
    if place not in _PLACES or not number.isdecimal():
        raise ConfigError(f"FAILPOINT must be one of {', '.join(_PLACES)}, a colon and a number, not {spec!r}")
    kill = _Countdown(int(number))
    around = {"after": kill} if place.startswith("after") else {"before": kill}
    what = place.partition("_")[2]
    owner = {"arrival": arrivals, "send": sender, "batch": store.saves, "inserts": store.inserts}.get(what, store)
    for method in _METHODS[what]:
        setattr(owner, method, _killing(getattr(owner, method), **around))


class _Countdown:
    """A function that kills the process, without any cleanup, when it is called for the `number`th time."""

    def __init__(self, number: int) -> None:
        self._left, self._lock = number, threading.Lock()

    def __call__(self) -> None:
        with self._lock:
            self._left -= 1
            if self._left == 0:
                os.kill(os.getpid(), signal.SIGKILL)


def _killing(
    method: Callable[..., Any], *, before: Callable[[], None] | None = None, after: Callable[[], None] | None = None
) -> Callable[..., Any]:
    def wrapped(*arguments: Any, **options: Any) -> Any:
        if before:
            before()
        result = method(*arguments, **options)
        if after:
            after()
        return result

    return wrapped
