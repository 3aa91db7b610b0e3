"""The proxy on the way to a participant: its own setting, or HTTPS_PROXY, HTTP_PROXY, ALL_PROXY and NO_PROXY."""

import base64
import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import unquote, urlsplit

from requests.utils import select_proxy, should_bypass_proxies

from app.server_urls import bracketed
from app.settings import ConfigError

_DEFAULT_PORT = 3128


@dataclass(frozen=True)
class Proxy:
    """A proxy that is reached over plain HTTP. It tunnels https requests and forwards http requests."""

    host: str
    port: int
    #: Value of the Proxy-Authorization header; "" for none.
    authorization: str = field(default="", repr=False)

    def __str__(self) -> str:
        return f"{bracketed(self.host)}:{self.port}"


def proxy_at(url: str, name: str) -> Proxy:
    """Return the proxy of a URL such as http://user:password@proxy:3128. name: the setting, for the error."""
    parts = urlsplit(url if "://" in url else f"http://{url}")
    try:
        host, port = parts.hostname or "", parts.port or _DEFAULT_PORT
    except ValueError:
        host, port = "", 0
    if parts.scheme != "http" or not host or parts.path.strip("/") or parts.query or not url.isascii():
        raise ConfigError(f"{name} must be the URL of an HTTP proxy, such as http://proxy.example:3128")
    credential = ""
    if parts.username is not None:
        pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
        credential = f"Basic {base64.b64encode(pair.encode()).decode()}"
    return Proxy(host, port, credential)


def environment_proxy(url: str, environ: Mapping[str, str]) -> Proxy | None:
    """Return the proxy that the environment names for this URL, as `requests` reads it; None without one.

    A variable in lower case overrides the same variable in capitals. Loopback addresses are never behind a proxy.
    """
    named = {name.lower(): value for name, value in sorted(environ.items()) if name.lower().endswith("_proxy")}
    no_proxy = named.pop("no_proxy", "")
    proxies = {name.removesuffix("_proxy"): value for name, value in named.items() if value}
    found = select_proxy(url, proxies)
    if not found or _is_here(urlsplit(url).hostname or "") or should_bypass_proxies(url, no_proxy or None):
        return None
    scheme = urlsplit(url).scheme
    return proxy_at(found, f"{scheme if scheme in proxies else 'all'}_proxy".upper())


def _is_here(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
