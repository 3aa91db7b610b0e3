"""The log: one JSON object a line, to stdout, and no secret in any of them."""

import logging
import re
import sys
from collections.abc import Iterable, Mapping, MutableMapping
from contextlib import suppress
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, TextIO, cast

import orjson
import structlog

HIDDEN = "***"
#: What the name of a secret has in it; - and _ are alike, and may be left out.
_WORDS = (
    "password", "passwd", "passphrase", "pwd", "secret", "token", "api_key", "private_key", "authorization", "cookie",
    "credential",
)  # fmt: skip
#: The password of any URL; it may hold an @ of its own.
_URL = re.compile(r"(://[^\s/@:]*:)[^\s/]*@")
#: A name that is given a value, as in a query, a header, a connection string or a dict; a header's value may be of two
#: words. Each word is read once, however long it is: no name begins within another one, and nothing is read again.
_GIVEN = re.compile(r"""(?<![\w-])([\w-]++)["']?\s*+[=:]\s*+(?:(?:Bearer|Basic)\s++)?""", re.IGNORECASE)
_VALUE = re.compile(r""""[^"]*"|'[^']*'|[^\s,;&)}\]"']+""")


def configure_logging(level: str, redacted: Iterable[str] = ()) -> None:
    """redacted: names of fields that are not to be told, besides those that look like secrets."""
    structlog.configure(
        processors=[JsonLine(redacted)],
        wrapper_class=structlog.make_filtering_bound_logger(getattr(logging, level)),
        logger_factory=structlog.WriteLoggerFactory(cast("TextIO", _Output())),  # it is written to and flushed alone
        cache_logger_on_first_use=False,  # the command line sends its log elsewhere after this
    )
    # Does nothing where there is a handler already: so once, and not in a test that looks at what is logged.
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
    """Lets what libraries have to complain of be a line of JSON as well."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)

    def emit(self, record: logging.LogRecord) -> None:
        log = structlog.get_logger(record.name)
        log.log(record.levelno, record.getMessage(), logger=record.name, exc_info=record.exc_info)


class JsonLine:
    """The one processor of the log: it is called with every move of every saga, and so it is a single one."""

    def __init__(self, redacted: Iterable[str] = ()) -> None:
        self._secrets = Secrets(redacted)

    def __call__(self, logger: Any, method: str, event: MutableMapping[str, Any]) -> str:
        event["level"] = method
        if "timestamp" not in event:  # one that is told later than it happened has its own
            event["timestamp"] = datetime.now(UTC)
        if "exc_info" in event:
            event = structlog.processors.format_exc_info(logger, method, event)
        line = _json(event)
        return _json(self._secrets.hidden_in(event)) if self._secrets.suspected_in(line) else line


class Secrets:
    """Fields at any depth whose name says that they are secret, the same in a text, and the passwords of URLs."""

    def __init__(self, names: Iterable[str]) -> None:
        own = tuple(name.lower() for name in names)
        self._hints = ("://", *(max(word.split("_"), key=len) for word in _WORDS), *own)
        words = [word.replace("_", "[-_]?") for word in _WORDS]
        named = "|".join([*words, *(rf"(?<![\w-]){re.escape(name)}(?![\w-])" for name in own)])
        self._named = re.compile(named, re.IGNORECASE)

    def suspected_in(self, line: str) -> bool:
        """Tell, in no time, whether it is worth looking; nearly never."""
        return any(map(line.lower().__contains__, self._hints))

    def hidden_in(self, value: Any) -> Any:
        """Give the value without the secrets that it holds."""
        if value is None or isinstance(value, int | float | Decimal | datetime):
            return value
        if isinstance(value, Mapping):
            fields = ((str(name), item) for name, item in value.items())
            return {name: HIDDEN if self._named.search(name) else self.hidden_in(item) for name, item in fields}
        if isinstance(value, list | tuple | set | frozenset):
            return [self.hidden_in(item) for item in value]
        return self._hidden_in_text(_URL.sub(rf"\1{HIDDEN}@", str(value)))

    def _hidden_in_text(self, text: str) -> str:
        parts, done = [], 0
        for name in _GIVEN.finditer(text):
            if name.start() >= done and self._named.search(name[1]) and (value := _VALUE.match(text, name.end())):
                parts += [text[done : name.end()], HIDDEN]
                done = value.end()
        return "".join([*parts, text[done:]])


def _json(event: Any) -> str:
    return orjson.dumps(event, default=str, option=orjson.OPT_UTC_Z | orjson.OPT_NON_STR_KEYS).decode()
