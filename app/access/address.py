"""The address of the client of a request, and the limit of requests per address (RATE_LIMIT)."""

import ipaddress
import re
from collections.abc import Iterable
from functools import cache
from typing import TYPE_CHECKING, cast

from flask import Flask, request

from app.config import Config
from app.networks import Address, Network, within
from app.settings import MOST_PROXIES, Proxies
from app.shared_cache import TIMEOUT_S

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

#: Number of leading bits of an IPv6 network. An internet provider gives each customer a network of this size, so all
#: addresses in it are counted as one client.
_IPV6_NETWORK_BITS = 64
_IPV6_BITS = 128
#: A path prefix that links of answers may begin with.
_PREFIX = re.compile(r"(/[\w.~-]+)*/?", re.ASCII)
#: Endpoints of probes and of Prometheus, which have no limit.
_UNLIMITED = ("health.live", "health.ready", "prometheus_metrics")


def trust_proxies(app: Flask, proxies: Proxies) -> None:
    """Read the client's address and the path prefix from the headers that the proxies have set.

    proxies: their networks, or their number. With networks, the headers of a connection from elsewhere are ignored, and
    the client is the last address in X-Forwarded-For that is no proxy. Other values that a client itself has sent are
    ignored. A prefix that is no plain path is ignored, too: links of answers begin with it, and `//shop.example` would
    lead to another host.
    """
    from werkzeug.middleware.proxy_fix import ProxyFix  # noqa: PLC0415  only behind a proxy

    direct = app.wsgi_app

    @cache
    def behind(number: int) -> "WSGIApplication":
        prefixes = proxies if isinstance(proxies, int) else 1  # the nearest proxy has set the last prefix
        return ProxyFix(direct, x_for=number, x_prefix=prefixes) if number else direct

    def with_plain_prefix(sent: "WSGIEnvironment", start_response: "StartResponse") -> "Iterable[bytes]":
        prefixes = sent.get("HTTP_X_FORWARDED_PREFIX", "").split(",")  # each proxy may add one
        if not all(_PREFIX.fullmatch(prefix.strip()) for prefix in prefixes):
            del sent["HTTP_X_FORWARDED_PREFIX"]
        number = proxies if isinstance(proxies, int) else _proxies_passed(sent, proxies)
        return behind(number)(sent, start_response)

    app.wsgi_app = with_plain_prefix  # type: ignore[method-assign, assignment]


def _proxies_passed(sent: "WSGIEnvironment", proxies: tuple[Network, ...]) -> int:
    """Return the number of proxies that a request has passed: the connection, and X-Forwarded-For from its end on."""
    passed, address = 0, _parsed(sent.get("REMOTE_ADDR") or "")
    named = sent.get("HTTP_X_FORWARDED_FOR", "").split(",")[-MOST_PROXIES:]
    for text in reversed(named):
        if not within(address, proxies):
            break
        passed, address = passed + 1, _parsed(text)
    return passed


def client_ip() -> Address | None:
    """Return the address that the outermost trusted proxy names, or the address of the connection.

    X-Forwarded-For can contain any text; a text that is no address is ignored.
    """
    named = _parsed(request.remote_addr or "")
    if named is None:
        before = request.environ.get("werkzeug.proxy_fix.orig", {})
        named = _parsed(before.get("REMOTE_ADDR") or "")
    return named


def client_address() -> str:
    """Return `client_ip` as a text; "" when it is not known."""
    return str(client_ip() or "")


def counted_address() -> str:
    """Return the key under which requests are counted: the IPv4 address, or the IPv6 network.

    All clients without a known address have one key. With an empty key, the limiter would not count them.
    """
    address = client_ip()
    if isinstance(address, ipaddress.IPv6Address):
        rest = _IPV6_BITS - _IPV6_NETWORK_BITS
        return f"{ipaddress.IPv6Address(int(address) >> rest << rest)}/{_IPV6_NETWORK_BITS}"
    return str(address or "unknown")


def install_rate_limit(app: Flask, config: Config) -> None:
    """Answer 429 with Retry-After to requests beyond the limit.

    Requests are counted in Redis. Without Redis, each process counts its own requests.
    """
    from flask_limiter import Limiter  # noqa: PLC0415  only with RATE_LIMIT, because the import takes 0.1 s

    assert config.rate_limit
    timeouts = {"socket_timeout": TIMEOUT_S, "socket_connect_timeout": TIMEOUT_S}
    url = config.redis_url or "memory://"
    limiter = Limiter(
        counted_address,
        app=app,
        application_limits=[config.rate_limit],
        storage_uri=f"redis+{url}" if url.startswith("unix") else url,
        storage_options=cast("dict[str, str | int]", timeouts if config.redis_url else {}),
        in_memory_fallback_enabled=True,
        # When Redis fails, one request switches the limiter to the memory of the process. Without this option, other
        # requests that run at this time would fail.
        swallow_errors=True,
        headers_enabled=True,
        key_prefix="saga/limit",
    )
    for endpoint in _UNLIMITED:
        limiter.exempt(app.view_functions[endpoint])


def _parsed(text: str) -> Address | None:
    """Return the address in a text, with or without a port (some proxies add one); None when it is no address."""
    host = text.strip()
    if host.startswith("["):
        host = host[1:].partition("]")[0]
    elif host.count(":") == 1:
        host = host.partition(":")[0]
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address
