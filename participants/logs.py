"""The log of the participants' server: one JSON object per line on stdout, in the same format as the orchestrator's."""

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
#: Calls with these methods have no effect and are not logged.
_READING = frozenset({"GET", "HEAD", "OPTIONS"})
_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR")
_ERROR, _SERVER_ERROR = 400, 500


def log_level(environment: Mapping[str, str] = os.environ) -> str:
    level = environment.get("LOG_LEVEL", "INFO").upper()
    if level not in _LEVELS:
        raise SettingsError(f"LOG_LEVEL must be {', '.join(_LEVELS[:-1])} or {_LEVELS[-1]}, not {level!r}")
    return level


def configure_logging(level: str = "") -> None:
    """Configure the log. `level`: by default LOG_LEVEL, or INFO.

    Request bodies are never logged, because they can contain secrets.
    """
    level = level or log_level()
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(serializer=_json),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level.lower()),
        logger_factory=structlog.WriteLoggerFactory(cast("TextIO", _Output())),  # structlog only calls write and flush
        cache_logger_on_first_use=False,
    )
    logging.basicConfig(handlers=[JsonHandler()], level=logging.WARNING)


class _Output:
    """Standard output. A closed pipe or a full disk loses a line and raises no error."""

    def write(self, text: str) -> None:
        with suppress(OSError):
            sys.stdout.write(text)

    def flush(self) -> None:
        with suppress(OSError):
            sys.stdout.flush()


class JsonHandler(logging.Handler):
    """Write the log records of the server and the libraries as JSON lines too."""

    def emit(self, record: logging.LogRecord) -> None:
        _log.log(record.levelno, record.getMessage(), logger=record.name, exc_info=record.exc_info)


def log_calls(app: Flask) -> None:
    """Log each call that may have an effect, with its saga and its answer."""

    @app.before_request
    def start_timer() -> None:
        g.started_at = time.perf_counter()

    @app.after_request
    def log_answer(response: Response) -> Response:
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
                duration_ms=round((time.perf_counter() - g.started_at) * 1000, 3),
            )
        return response


def _trace(traceparent: str) -> str | None:
    """Return the trace id, the second of the four parts of the W3C header."""
    _, _, rest = traceparent.partition("-")
    return rest.partition("-")[0] or None


def _json(event: Any, **_: Any) -> str:
    return orjson.dumps(event, default=str).decode()
