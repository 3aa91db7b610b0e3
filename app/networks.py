"""IP addresses and networks."""

import ipaddress
from collections.abc import Iterable

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network


def within(address: Address | None, networks: Iterable[Network]) -> bool:
    """Return True when one of the networks has the address. address: None when it is not known."""
    return address is not None and any(address in network for network in networks)
