"""The log: one JSON object per line on stdout, without secrets."""

import logging
import os
import re
import socket
import sys
from collections.abc import Iterable, Mapping, MutableMapping
from contextlib import suppress
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, TextIO, cast

import orjson
import structlog

from app.version import VERSION

HIDDEN = "***"
SERVICE = "saga-orchestrator"
_HOST = socket.gethostname()
#: A field is a secret when its name contains one of these words. A `_` also matches a `-` or no character.
_WORDS = (
    "password", "passwd", "passphrase", "pwd", "secret", "token", "api_key", "private_key", "authorization", "cookie",
    "credential",
)  # fmt: skip
#: The user and the password in a URL; the password can contain an @.
_URL = re.compile(r"(://[^\s/@:]*:)[^\s/]*@")
#: A name before its value, as in a query, a header, a connection string or a dict. In a header, the word Bearer or
#: Basic can stand before the value.
#: Possessive quantifiers (`++`) never backtrack, so a long text takes linear time.
_NAME = re.compile(r"""(?<![\w-])([\w-]++)["']?\s*+[=:]\s*+(?:(?:Bearer|Basic)\s++)?""", re.IGNORECASE)
_VALUE = re.compile(r""""[^"]*"|'[^']*'|[^\s,;&)}\]"']+""")


#: Process id → the name of the process in the log, see `name_instance`.
_instances: dict[int, str] = {}


def name_instance(owner: str) -> None:
    """Log under this name, with which this process owns sagas. Host and process id can be equal in two containers."""
    _instances[os.getpid()] = owner


def configure_logging(level: str, redacted: Iterable[str] = ()) -> None:
    """Configure the log. redacted: names of fields to hide, in addition to those that _WORDS finds."""
    structlog.configure(
        processors=[JsonLine(redacted)],
        wrapper_class=structlog.make_filtering_bound_logger(getattr(logging, level)),
        logger_factory=structlog.WriteLoggerFactory(cast("TextIO", _Output())),  # structlog needs only write and flush
        cache_logger_on_first_use=False,  # the command line redirects its log later
    )
    # basicConfig does nothing when the root logger has a handler; so a test can capture the log.
    logging.basicConfig(handlers=[LibraryWarnings()], level=logging.WARNING)


class _Output:
    """Standard output without errors. A line that cannot be written, as on a full disk, must not stop the service."""

    def write(self, text: str) -> None:
        with suppress(OSError):
            sys.stdout.write(text)
            sys.stdout.flush()

    def flush(self) -> None:
        """Do nothing: each line is flushed when it is written."""


class LibraryWarnings(logging.Handler):
    """Handler that writes the warnings of libraries as JSON lines."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)

    def emit(self, record: logging.LogRecord) -> None:
        log = structlog.get_logger(record.name)
        log.log(record.levelno, record.getMessage(), logger=record.name, exc_info=record.exc_info)


class JsonLine:
    """The only processor of the log: it makes the line. A chain of processors would be too slow for each move."""

    def __init__(self, redacted: Iterable[str] = ()) -> None:
        self._secrets = Secrets(redacted)

    def __call__(self, logger: Any, method: str, event: MutableMapping[str, Any]) -> str:
        event["level"] = method
        event["service"], event["version"] = SERVICE, VERSION
        event["instance"] = _instances.get(pid := os.getpid()) or f"{_HOST}:{pid}"  # by pid: the server forks later
        if "timestamp" not in event:  # an entry that is logged late has the time of its event already
            event["timestamp"] = datetime.now(UTC)
        if "exc_info" in event:
            event = structlog.processors.format_exc_info(logger, method, event)
        line = _json(event)
        return _json(self._secrets.redacted(event)) if self._secrets.may_be_in(line) else line


class Secrets:
    """Hides secrets: values with the name of a secret, in fields at any depth and in texts, and passwords in URLs."""

    def __init__(self, names: Iterable[str]) -> None:
        own = tuple(name.lower() for name in names)
        self._hints = ("://", *(max(word.split("_"), key=len) for word in _WORDS), *own)
        words = [word.replace("_", "[-_]?") for word in _WORDS]
        named = "|".join([*words, *(rf"(?<![\w-]){re.escape(name)}(?![\w-])" for name in own)])
        self._named = re.compile(named, re.IGNORECASE)

    def may_be_in(self, line: str) -> bool:
        """Return True when the line may contain a secret. Most lines need only this fast check, and not `redacted`."""
        return any(map(line.lower().__contains__, self._hints))

    def redacted(self, value: Any) -> Any:
        """Return the value without its secrets."""
        if value is None or isinstance(value, int | float | Decimal | datetime):
            return value
        if isinstance(value, Mapping):
            fields = ((str(name), item) for name, item in value.items())
            return {name: HIDDEN if self._named.search(name) else self.redacted(item) for name, item in fields}
        if isinstance(value, list | tuple | set | frozenset):
            return [self.redacted(item) for item in value]
        return self._redacted_text(_URL.sub(rf"\1{HIDDEN}@", str(value)))

    def _redacted_text(self, text: str) -> str:
        parts, end = [], 0
        for name in _NAME.finditer(text):
            if name.start() >= end and self._named.search(name[1]) and (value := _VALUE.match(text, name.end())):
                parts += [text[end : name.end()], HIDDEN]
                end = value.end()
        return "".join([*parts, text[end:]])


def _json(event: Any) -> str:
    return orjson.dumps(event, default=str, option=orjson.OPT_UTC_Z | orjson.OPT_NON_STR_KEYS).decode()
