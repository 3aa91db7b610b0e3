"""The log of the participants' server, in the form that the orchestrator's has: one JSON object a line, to stdout."""

import logging
import os
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, TextIO, cast

import orjson
import structlog
from flask import Flask, Response, g, request

from participants.settings import SettingsError

_log = structlog.get_logger("participants")
#: A call by one of these changes nothing, and nothing is told of it.
_READING = frozenset({"GET", "HEAD", "OPTIONS"})
_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR")
_ERROR, _SERVER_ERROR = 400, 500


def log_level(environment: Mapping[str, str] = os.environ) -> str:
    level = environment.get("LOG_LEVEL", "INFO").upper()
    if level not in _LEVELS:
        raise SettingsError(f"LOG_LEVEL must be {', '.join(_LEVELS[:-1])} or {_LEVELS[-1]}, not {level!r}")
    return level


def configure_logging(level: str = "") -> None:
    """level: by default what LOG_LEVEL says, or INFO. What a request holds is never told, and so no secret."""
    level = level or log_level()
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(serializer=_json),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level.lower()),
        logger_factory=structlog.WriteLoggerFactory(cast("TextIO", _Output())),  # it is written to and flushed alone
        cache_logger_on_first_use=False,
    )
    logging.basicConfig(handlers=[Complaints()], level=logging.WARNING)


class _Output:
    """Standard output, of which the reader may have gone or the disk may be full: a lost line stops nothing else."""

    def write(self, text: str) -> None:
        with suppress(OSError):
            sys.stdout.write(text)

    def flush(self) -> None:
        with suppress(OSError):
            sys.stdout.flush()


class Complaints(logging.Handler):
    """Lets what the server and libraries have to complain of be a line of JSON as well."""

    def emit(self, record: logging.LogRecord) -> None:
        _log.log(record.levelno, record.getMessage(), logger=record.name, exc_info=record.exc_info)


def log_calls(app: Flask) -> None:
    """Tell of each call that may have changed something: whose it was, and what it was answered."""

    @app.before_request
    def begin() -> None:
        g.begun = time.perf_counter()

    @app.after_request
    def tell(response: Response) -> Response:
        if request.method not in _READING and request.blueprint == app.name:
            status = response.status_code
            level = "error" if status >= _SERVER_ERROR else "warning" if status >= _ERROR else "info"
            getattr(_log, level)(
                "call.answered",
                participant=app.name,
                saga_id=request.headers.get("Saga-Id"),
                trace_id=_trace(request.headers.get("traceparent", "")),
                step=request.headers.get("Saga-Step"),
                direction=request.headers.get("Idempotency-Key", "").rpartition("/")[2] or None,
                replayed="Idempotent-Replayed" in response.headers,
                status=status,
                duration_ms=round((time.perf_counter() - g.begun) * 1000, 3),
            )
        return response


def _trace(traceparent: str) -> str | None:
    """Give the second of the four parts of the W3C's header."""
    _, _, rest = traceparent.partition("-")
    return rest.partition("-")[0] or None


def _json(event: Any, **_: Any) -> str:
    return orjson.dumps(event, default=str).decode()
