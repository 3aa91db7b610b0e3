"""The address of the client of a request."""

import ipaddress

from flask import request

#: A customer of an internet provider has an IPv6 network of this length, so the network counts as one address.
_IPV6_NETWORK_BITS = 64
_IPV6_BITS = 128


def client_address() -> str:
    """Return the address that the outermost trusted proxy names, or the address of the connection.

    X-Forwarded-For may contain any text; a text that is no address is ignored.
    """
    named = _parsed(request.remote_addr or "")
    if named is None:
        before = request.environ.get("werkzeug.proxy_fix.orig", {})
        named = _parsed(before.get("REMOTE_ADDR") or "")
    return "" if named is None else str(named)


def counted_address() -> str:
    """Return the address or the network whose requests are counted together."""
    address = _parsed(client_address())
    if isinstance(address, ipaddress.IPv6Address):
        rest = _IPV6_BITS - _IPV6_NETWORK_BITS
        return f"{ipaddress.IPv6Address(int(address) >> rest << rest)}/{_IPV6_NETWORK_BITS}"
    return str(address or "")


def _parsed(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """Return the address of a text, also of one with a port, as some proxies write; None for any other text."""
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
