"""Work that a participant repeats as long as its process runs."""

import logging
import time
from collections.abc import Callable
from threading import Thread

from flask import Flask

_log = logging.getLogger(__name__)


def repeat(work: Callable[[], object], interval_s: float, app: Flask) -> None:
    """Do the work every `interval_s` seconds in the app's context, in a thread that ends with the process."""

    def work_forever() -> None:
        while True:
            time.sleep(interval_s)
            try:
                with app.app_context():
                    work()
            except Exception:  # noqa: BLE001 - no error may end the thread
                _log.exception("%s: an error in its periodic work; the next run is in %g s", app.name, interval_s)

    Thread(target=work_forever, name=app.name, daemon=True).start()
