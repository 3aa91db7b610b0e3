"""The class of a setting's declaration, the parsers of settings, and the error for an illegal value.

Each setting is declared once, most of them in app/config.py. Parsers of URLs are in app/server_urls.py.
"""

import base64
import ipaddress
import re
import ssl
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, fields
from functools import partial
from pathlib import Path
from typing import IO, Any, Generic, TypeVar

import click

from app.networks import Network

T = TypeVar("T")
#: Function that returns the value of a setting. Arguments: the environment, the setting's name and its default. It
#: raises ConfigError for an illegal value.
Parser = Callable[[Mapping[str, str], str, T], T]

LONGEST_RELEASE = 64
SHORTEST_SECRET = 32
#: Largest number of proxies between a client and the service; a larger number is a typing error.
MOST_PROXIES = 100
#: The networks of the proxies, or their number.
Proxies = int | tuple[Network, ...]
NO_PROXIES: Proxies = 0
#: Bounds of every setting that is a time, in seconds. A time of more than a day is a typing error.
SHORTEST_S, LONGEST_S = 0.001, 86_400.0
#: The only notation of numbers in settings. Python's float() and int() also accept 1_0, +5, " 5 ", 1e3 and digits of
#: other scripts, which are most likely typing errors.
_DECIMAL = re.compile(r"[0-9]*\.?[0-9]+")
#: Name of a tenant.
TENANT = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
#: Stands for each tenant that is not named.
EACH_OTHER_TENANT = "*"
#: Largest number of sagas that one process runs at once.
MOST_THREADS = 16_384
HOW_TO_MAKE = "make one with `openssl rand -hex 32` and keep it: SECRET_KEY=…, or in a file named by SECRET_KEY_FILE"
HOW_TO_MAKE_DATA_KEY = "make one with `openssl rand -base64 32` and keep it: in a file named by DATA_KEY_FILE"
DATA_KEY_BYTES = 32
#: Name of the variable with the folder in which the processes of one server combine their metrics.
SHARED = "PROMETHEUS_MULTIPROC_DIR"
#: Key of the declaration in the metadata of a dataclass field.
_DECLARATION = "setting"


class ConfigError(click.ClickException):
    """A setting is wrong. The text names the variable and the remedy.

    Every `flask` command builds the application first, and click turns this error into one line and exit code 2.
    """

    exit_code = 2

    def show(self, file: IO[Any] | None = None) -> None:
        click.echo(f"saga: {self.message}", file=file, err=file is None)


@dataclass(frozen=True, kw_only=True)
class Setting(Generic[T]):
    """The declaration of one setting."""

    #: Name of the environment variable. The name of a time ends with its unit.
    name: str
    #: Checks the text of the variable and returns its value.
    parse: Parser[T]
    #: Value when the variable is not set.
    default: T
    #: What the setting does, in one line, for the table in docs/operations.md.
    help: str
    #: Text for the default in the table of docs/operations.md; "": the default itself.
    shown: str = ""
    #: True: the value is never shown, and can be read from a file that NAME_FILE names.
    secret: bool = False
    #: Settings that are read instead of this setting when it is not set.
    parts: "tuple[Setting[Any], ...]" = ()

    def read(self, environ: Mapping[str, str]) -> T:
        """Return the value of the setting. Raise ConfigError for an illegal value."""
        return self.parse(environ, self.name, self.default)


def setting(
    name: str, parse: Parser[T], default: T, help: str, shown: str = "", *,  # noqa: A002  as in argparse
    secret: bool = False, parts: tuple[Setting[Any], ...] = (),
) -> T:  # fmt: skip
    """Return the dataclass field that holds a setting."""
    declared = Setting(name=name, parse=parse, default=default, help=help, shown=shown, secret=secret, parts=parts)
    found: T = field(default=default, repr=not secret, metadata=declaration(declared))
    return found


def mapping(name: str, parse: Parser[Mapping[str, Any]], help: str) -> Mapping[str, Any]:  # noqa: A002
    """Return the dataclass field of a setting that has several values. They may be secrets, so no value is shown."""
    declared = Setting[Mapping[str, Any]](name=name, parse=parse, default={}, help=help)
    found: Mapping[str, Any] = field(default_factory=dict, repr=False, metadata=declaration(declared))
    return found


def seconds(name: str, default: float, help: str) -> float:  # noqa: A002
    """Return the dataclass field of a setting that is a time in seconds."""
    return setting(name, number_of_seconds, default, help)


def count(name: str, default: int, help: str, *, low: int = 1, high: int) -> int:  # noqa: A002
    """Return the dataclass field of a setting that is a whole number from `low` to `high`."""
    return setting(name, partial(whole_number, low=low, high=high), default, help)


def declaration(declared: Setting[Any]) -> Mapping[str, Setting[Any]]:
    """Return the metadata of the dataclass field that holds a setting."""
    return {_DECLARATION: declared}


def declared_in(config: type) -> dict[str, Setting[Any]]:
    """Return the name of each field of a dataclass → its setting, in the order of the fields."""
    return {each.name: each.metadata[_DECLARATION] for each in fields(config)}


def with_secrets(environ: Mapping[str, str], secrets: Iterable[str]) -> Mapping[str, str]:
    """Return the environment, with the secrets that are in files. secrets: names of settings.

    The value of NAME is read from the file that NAME_FILE names, unless NAME itself is set.
    """
    files = {name: file for name in secrets if not environ.get(name) and (file := environ.get(f"{name}_FILE"))}
    try:
        return {**environ, **{name: Path(file).read_text().strip() for name, file in files.items()}}
    except (OSError, UnicodeDecodeError) as error:
        names = " or ".join(f"{name}_FILE" for name in files)
        raise ConfigError(f"{names} cannot be read: {error}") from None


def as_written(environ: Mapping[str, str], name: str, default: str) -> str:
    """Return the text of the variable, even if it is empty."""
    return environ.get(name, default)


def optional_path(environ: Mapping[str, str], name: str, default: str | None) -> str | None:
    """Return the path of a file to append to. Raise ConfigError when its folder is missing."""
    path = environ.get(name) or default
    if path and not Path(path).parent.is_dir():
        raise ConfigError(f"{name}={path} cannot be written: there is no folder {Path(path).parent}")
    return path


def not_empty(environ: Mapping[str, str], name: str, default: str) -> str:
    """Return the text of the variable. An empty variable counts as not set."""
    return environ.get(name) or default


def comma_separated(environ: Mapping[str, str], name: str, _default: frozenset[str]) -> frozenset[str]:
    return frozenset(found for part in environ.get(name, "").split(",") if (found := part.strip()))


def number_of_seconds(environ: Mapping[str, str], name: str, default: float) -> float:
    text = environ.get(name, str(default))
    number = _decimal(text)
    if not SHORTEST_S <= number <= LONGEST_S:
        raise ConfigError(f"{name} must be a number of seconds from {SHORTEST_S:g} to {LONGEST_S:g}, not {text[:40]!r}")
    return number


def whole_number(environ: Mapping[str, str], name: str, default: int, *, low: int = 1, high: int) -> int:
    text = environ.get(name, str(default))
    if "." in text or not low <= _decimal(text) <= high:
        raise ConfigError(f"{name} must be a whole number from {low} to {high}, not {text[:40]!r}")
    return int(_decimal(text))


def proxies(environ: Mapping[str, str], name: str, default: Proxies) -> Proxies:
    """Return the number of proxies, or their networks, separated by commas."""
    text = environ.get(name, "")
    try:
        if "/" in text:
            return tuple(ipaddress.ip_network(part.strip()) for part in text.split(","))
        return whole_number({name: text}, name, 0, low=0, high=MOST_PROXIES) if text else default
    except (ValueError, ConfigError):
        either = f"a whole number from 0 to {MOST_PROXIES}, or networks such as 10.1.0.0/16 or 10.1.0.7/32"
        raise ConfigError(f"{name} must be {either}, not {text[:40]!r}") from None


def _decimal(text: str) -> float:
    """Return the number in plain decimal notation. Return nan, which every check of bounds refuses, for other texts.

    Whole numbers are parsed here, too: a float is exact for every whole number that a setting allows.
    """
    return float(text) if _DECIMAL.fullmatch(text) else float("nan")


def port(environ: Mapping[str, str], name: str, default: int) -> int:
    return optional_port(environ, name, None) or default


@dataclass(frozen=True, kw_only=True)
class EventSecret:
    """A secret that signs incoming events."""

    key: bytes = field(repr=False)
    #: Tenant to which the events belong; None: none.
    tenant: str | None = None


def data_keys(environ: Mapping[str, str], name: str, default: tuple[bytes, ...]) -> tuple[bytes, ...]:
    """Return keys of 32 bytes, written in base64 and separated by spaces."""
    texts = environ.get(name, "").split()
    try:
        keys = tuple(base64.b64decode(text, validate=True) for text in texts)
    except ValueError:
        keys = (b"",)
    if any(len(key) != DATA_KEY_BYTES for key in keys):
        raise ConfigError(f"{name} must be {DATA_KEY_BYTES} bytes in base64; {HOW_TO_MAKE_DATA_KEY}")
    return keys or default


def tenants_at_once(environ: Mapping[str, str], name: str, default: Mapping[str, int]) -> Mapping[str, int]:
    """Return tenant, or EACH_OTHER_TENANT → the most sagas of it that one process runs at once."""
    found: dict[str, int] = {}
    for part in environ.get(name, "").split(",") if environ.get(name) else ():
        tenant, _, number = part.strip().partition("=")
        known = TENANT.fullmatch(tenant) or tenant == EACH_OTHER_TENANT
        if not known or tenant in found or "." in number or not 0 < _decimal(number) <= MOST_THREADS:
            each = f"tenant=number, separated by commas, such as acme=48,*=16; the numbers are 1 to {MOST_THREADS}"
            raise ConfigError(f"{name} has {part.strip()[:40]!r}; write each tenant once as {each}")
        found[tenant] = int(number)
    return found or default


def optional_number(environ: Mapping[str, str], name: str, default: int | None, *, high: int) -> int | None:
    """Return a whole number from 1 to `high`. An empty variable counts as not set."""
    return whole_number(environ, name, 1, high=high) if environ.get(name) else default


def optional_port(environ: Mapping[str, str], name: str, default: int | None) -> int | None:
    """Return the number of a port. An empty variable counts as not set."""
    text = environ.get(name)
    if not text:
        return default
    if "." in text or not 0 < _decimal(text) < 1 << 16:
        raise ConfigError(f"{name} must be a number from 1 to 65535, not {text[:40]!r}")
    return int(_decimal(text))


HOST = Setting(
    name="HOST",
    parse=not_empty,
    default="127.0.0.1",
    help="the address that the orchestrator, and a worker's metrics, listen on; `::` is IPv6 and IPv4",
)
PORT = Setting(name="PORT", parse=port, default=8009, help="the orchestrator's port")


def secret_key(environ: Mapping[str, str], name: str, default: str | None) -> str | None:
    key = environ.get(name, "")
    if key and len(key) < SHORTEST_SECRET:
        raise ConfigError(f"{name} must have {SHORTEST_SECRET} characters or more; {HOW_TO_MAKE}")
    return key or default


def api_auth(environ: Mapping[str, str], name: str, _default: bool) -> bool:
    word, host = environ.get(name) or "on", HOST.read(environ)
    if word not in ("on", "off", "off-for-everyone"):
        raise ConfigError(f"{name} must be on, off or off-for-everyone, not {word!r}")
    if word == "off" and not _loopback(host):
        raise ConfigError(
            f"{name}=off would let everybody who reaches HOST={host} move sagas; "
            f"create keys with `saga key add`, or say {name}=off-for-everyone"
        )
    return word == "on"


def _loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def release(environ: Mapping[str, str], name: str, default: str) -> str:
    text = environ.get(name, "").strip() or default
    if len(text) > LONGEST_RELEASE or not (text.isascii() and text.isprintable()):
        raise ConfigError(f"{name} must have at most {LONGEST_RELEASE} plain letters, digits and signs")
    return text


def header_value(environ: Mapping[str, str], name: str, default: str | None) -> str | None:
    """Return the text of the variable. Raise ConfigError when it cannot be the value of an HTTP header."""
    key = environ.get(name, "")
    if not (key.isascii() and key.isprintable()):
        raise ConfigError(f"{name} must be one line of plain letters, digits and signs")
    return key or default


def ca_file(environ: Mapping[str, str], name: str, default: str | None) -> str | None:
    path = environ.get(name) or default
    if path:
        try:
            ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(path)
        except OSError as error:  # SSLError is a subclass
            why = "it holds no certificate in PEM form" if isinstance(error, ssl.SSLError) else error.strerror
            raise ConfigError(f"{name}={path} cannot be used: {why}") from None
    return path


def rate_limit(environ: Mapping[str, str], name: str, default: str | None) -> str | None:
    text = environ.get(name, "")
    if text and not re.fullmatch(r"[1-9][0-9]{0,8}/(second|minute|hour|day)", text):
        raise ConfigError(f"{name} must be a limit such as 100/second or 1000/minute, not {text[:40]!r}")
    return text or default


def log_level(environ: Mapping[str, str], name: str, default: str) -> str:
    level = environ.get(name, default).upper()
    if level not in ("DEBUG", "INFO", "WARNING", "ERROR"):
        raise ConfigError(f"{name} must be DEBUG, INFO, WARNING or ERROR, not {level!r}")
    return level
