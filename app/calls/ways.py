"""The way to each participant, built from its settings at the first call."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple
from urllib.parse import urlsplit

from app.calls.auth import Credential, FixedCredential, HmacCredential
from app.calls.connection import Route
from app.calls.exchange import ExchangeAdapter, ExchangePool
from app.calls.trust import Trust
from app.dialing import Dialer
from app.participant_settings.model import Auth, ParticipantSettings
from app.participant_settings.proxies import Proxy

_COMMON = {"User-Agent": "saga-orchestrator", "Accept-Encoding": "identity"}


class Origin(NamedTuple):
    """Where a participant is."""

    pool: ExchangePool
    #: What stands before the path in a request: the origin for a proxy that forwards it, otherwise nothing.
    before: str
    #: Header lines of every request.
    lines: str


class Origins(dict[str, Origin]):
    """What is known of each origin, such as https://api.example:8443; found out when it is called first."""

    def __init__(self, adapter: ExchangeAdapter, proxy: Proxy | None, common: str) -> None:
        super().__init__()
        self._adapter, self._proxy, self._common = adapter, proxy, common

    def __missing__(self, origin: str) -> Origin:
        before, lines = "", f"Host: {host_of(origin)}\r\n{self._common}"
        if self._proxy and origin.startswith("http:"):  # https goes through a tunnel
            before = origin
            if self._proxy.authorization:
                lines += f"Proxy-Authorization: {self._proxy.authorization}\r\n"
        found = self[origin] = Origin(self._adapter.pool(origin), before, lines)
        return found


@dataclass(kw_only=True)
class Way:
    """How one participant is called."""

    origins: Origins
    credential: Credential | None
    timeout_s: float | None
    idempotency_header: str


class Ways(dict[str, Way]):
    """The ways to all participants, by name. Those with one route and one trust share their connections."""

    def __init__(self, participants: Mapping[str, ParticipantSettings], dialer: Dialer, connections: int) -> None:
        super().__init__()
        self._settings, self._dialer, self._connections = participants, dialer, connections
        self._adapters = dict[tuple[Route, Trust], ExchangeAdapter]()

    def __missing__(self, participant: str) -> Way:
        settings = self._settings.get(participant) or ParticipantSettings(url="")
        trust = Trust(
            public_cas=settings.public_cas,
            ca_files=settings.ca_files,
            cert_file=settings.client_cert_file,
            key_file=settings.client_key_file,
        )
        key = Route(self._dialer, settings.proxy), trust
        # setdefault: two threads may build the same at once, and all must use one of them.
        adapter = self._adapters.setdefault(key, ExchangeAdapter(*key, connections=self._connections))
        common = "".join(f"{name}: {value}\r\n" for name, value in (_COMMON | dict(settings.headers)).items())
        way = Way(
            origins=Origins(adapter, settings.proxy, common),
            credential=credential_of(settings.auth) if settings.auth else None,
            timeout_s=settings.timeout_s,
            idempotency_header=settings.idempotency_header,
        )
        return self.setdefault(participant, way)


def credential_of(auth: Auth) -> Credential:
    match auth.type:
        case "hmac":
            return HmacCredential(auth)
        case _:
            return FixedCredential(auth)


def host_of(origin: str) -> str:
    """Return the Host header of an origin: without user name and password."""
    return urlsplit(origin).netloc.rpartition("@")[2]
