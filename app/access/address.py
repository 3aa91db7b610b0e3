"""From which address a request comes, and as whose it is counted."""

import ipaddress

from flask import request

#: A customer of an internet provider has a whole network of this length of IPv6: it counts as one address.
_IPV6_NETWORK_BITS = 64
_IPV6_BITS = 128


def client_address() -> str:
    """Return the address that the outermost trusted proxy names, or else that of the connection.

    X-Forwarded-For is text from outside: what is no address in it is ignored.
    """
    named = _parsed(request.remote_addr or "")
    if named is None:
        before = request.environ.get("werkzeug.proxy_fix.orig", {})
        named = _parsed(before.get("REMOTE_ADDR") or "")
    return "" if named is None else str(named)


def counted_address() -> str:
    """Return the address or network whose requests are counted together."""
    address = _parsed(client_address())
    if isinstance(address, ipaddress.IPv6Address):
        rest = _IPV6_BITS - _IPV6_NETWORK_BITS
        return f"{ipaddress.IPv6Address(int(address) >> rest << rest)}/{_IPV6_NETWORK_BITS}"
    return str(address or "")


def _parsed(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """Read an address, also with a port as some proxies add it. None: it is none."""
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
