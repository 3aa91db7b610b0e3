"""The webhooks after their settings were read and checked, and the addresses that may be called.

A start names a webhook by its name, its `url`, or an address below its `prefix`. A start can use no other address.
"""

import base64
import binascii
import ipaddress
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any
from urllib.parse import urlsplit

from app.networks import Network
from app.participant_settings.secret_files import SecretFiles
from app.server_urls import http_url
from app.settings import ConfigError

#: Prefix of each secret. The bytes of the secret follow it, in base64 (Standard Webhooks).
SECRET_PREFIX = "whsec_"  # noqa: S105  the prefix of every secret
#: Smallest and largest number of bytes of a secret, as Standard Webhooks recommends.
SHORTEST_SECRET, LONGEST_SECRET = 24, 64
#: Longest address of a webhook that a start names, in characters.
LONGEST_URL = 2000
#: Parts of a path that a server may read as another path: a dot segment, //, a backslash, or an encoded slash or dot.
_MISREAD = re.compile(r"/\.{1,2}(/|$)|//|\\|%2e|%2f|%5c", re.IGNORECASE)
#: IPv6 network whose addresses contain an IPv4 address → number of bits after the IPv4 address.
_TRANSLATED = {"64:ff9b::/96": 0, "64:ff9b:1::/48": 0, "::/96": 0, "2002::/16": 80}
_TRANSLATED_NETWORKS = [(ipaddress.ip_network(network), bits) for network, bits in _TRANSLATED.items()]


@dataclass(frozen=True, kw_only=True)
class Webhook:
    """One webhook of WEBHOOKS_FILE."""

    name: str
    #: Address for messages about sagas of the types in `sagas`, and about sagas whose start gives this webhook's
    #: name. "": the webhook has only a prefix.
    url: str
    #: A start may give any address that begins with this prefix; "": the webhook has no prefix.
    prefix: str
    #: Types of sagas whose ends the webhook always receives.
    sagas: frozenset[str]
    events: frozenset[str]
    attempts: int
    #: Longest duration of one attempt, in seconds.
    timeout_s: float
    #: One text with all secrets, separated by spaces.
    secrets: SecretFiles = field(repr=False)

    def admits(self, url: str) -> bool:
        """Return True when the address is this webhook's own, or below its prefix."""
        return bool(url) and (url == self.url or (bool(self.prefix) and url.startswith(self.prefix)))

    def keys(self) -> list[bytes]:
        """Return the secrets as bytes. A changed file is read again.

        Every secret signs each message. So during a rotation a receiver may know only the old or only the new secret.
        """
        self.secrets.look()
        return [key for secret in self.secrets.secrets[""].split(" ") if (key := decoded(secret))]


class Webhooks:
    """All webhooks. networks: private networks whose addresses may be called."""

    def __init__(self, found: Iterable[Webhook] = (), networks: Sequence[Network] = ()) -> None:
        self.by_name: Mapping[str, Webhook] = MappingProxyType({each.name: each for each in found})
        self._networks = tuple(networks)
        self._of_saga: dict[str, tuple[Webhook, ...]] = {}
        for each in self.by_name.values():
            for saga in each.sagas:
                self._of_saga[saga] = (*self._of_saga.get(saga, ()), each)

    def __bool__(self) -> bool:
        return bool(self.by_name)

    def concerns(self, saga: str, named: str | None) -> bool:
        """Return True when a webhook receives ends of this type of saga. named: the webhook of the start, or None."""
        return named is not None or saga in self._of_saga

    def targets(self, saga: str, named: str | None, event: str) -> list[dict[str, str]]:
        """Return the name and the address of each webhook that receives an event of a saga, without repetition.

        A name that this process does not know is kept, because another process may know it.
        """
        found: dict[tuple[str, str], Webhook | None]
        found = {(each.name, each.url): each for each in self._of_saga.get(saga, ())}
        if named is not None:
            own = self.named(named)
            url = named if "://" in named else own.url if own else ""
            found[own.name if own else named, url] = own
        return [
            {"webhook": name, "url": url, "event": event}
            for (name, url), each in found.items()
            if each is None or event in each.events
        ]

    def named(self, named: str) -> Webhook | None:
        """Return the webhook that has this name, or that admits this address; None when there is none."""
        if "://" not in named:
            found = self.by_name.get(named)
            return found if found and found.url else None
        if len(named) > LONGEST_URL or not plain_url(named):
            return None
        return next((each for each in self.by_name.values() if each.admits(named)), None)

    def allows(self, address: str) -> bool:
        """Return True for a public IP address, and for one of the private networks that the settings name."""
        found = ipaddress.ip_address(address.partition("%")[0])
        real = _embedded(found)
        if any(found in network or real in network for network in self._networks):
            return True
        return real.is_global and not real.is_multicast


def _embedded(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> Any:
    """Return the IPv4 address that an IPv6 address contains, or the address itself."""
    if isinstance(address, ipaddress.IPv4Address):
        return address
    for network, bits in _TRANSLATED_NETWORKS:
        if address in network:
            return ipaddress.IPv4Address((int(address) >> bits) & 0xFFFF_FFFF)
    return address.ipv4_mapped or address


def plain_url(url: str) -> bool:
    try:
        return http_url({"url": url}, "url", "") == url.removesuffix("/") and not _MISREAD.search(urlsplit(url).path)
    except ConfigError:
        return False


def decoded(secret: str) -> bytes:
    """Return the bytes of a secret; no bytes when the text does not have the form of a secret."""
    if not secret.startswith(SECRET_PREFIX):
        return b""
    try:
        found = base64.b64decode(secret.removeprefix(SECRET_PREFIX), validate=True)
    except (binascii.Error, ValueError):
        return b""
    return found if SHORTEST_SECRET <= len(found) <= LONGEST_SECRET else b""
