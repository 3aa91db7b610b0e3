"""How each participant is called: connections, credential and headers. Built from the settings at the first call."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import NamedTuple
from urllib.parse import urlsplit

from app.calls.auth import Credential, FixedCredential, HmacCredential
from app.calls.connection import Route
from app.calls.exchange import ExchangeAdapter, ExchangePool
from app.calls.oauth2 import OAuth2Credential
from app.calls.request import Request
from app.calls.trust import Trust
from app.dialing import Dialer
from app.participant_settings.model import Auth, ParticipantSettings
from app.participant_settings.proxies import Proxy
from machines.replies import Reply, key_setting_of

_COMMON = {"User-Agent": "saga-orchestrator", "Accept-Encoding": "identity"}


class Origin(NamedTuple):
    """The connections to one origin, and the parts that are equal in all requests to it."""

    pool: ExchangePool
    #: Text before the path in the request line: the origin when a proxy forwards the request, otherwise "".
    before: str
    #: Lines of the headers that every request has.
    lines: str


class Origins(dict[str, Origin]):
    """Origin, such as https://api.example:8443 → its `Origin`, which is built at the first call."""

    def __init__(self, adapter: ExchangeAdapter, proxy: Proxy | None, common: str) -> None:
        super().__init__()
        self._adapter, self._proxy, self._common = adapter, proxy, common

    def __missing__(self, origin: str) -> Origin:
        before, lines = "", f"Host: {host_of(origin)}\r\n{self._common}"
        if self._proxy and urlsplit(origin).scheme == "http":  # https goes through a tunnel
            before = origin
            if self._proxy.authorization:
                lines += f"Proxy-Authorization: {self._proxy.authorization}\r\n"
        found = self[origin] = Origin(self._adapter.pool(origin), before, lines)
        return found


@dataclass(kw_only=True)
class Way:
    """How one participant is called."""

    origins: Origins
    #: None: requests have no credential.
    credential: Credential | None
    #: Longest duration of one attempt, in seconds; None: only the timeout of the step applies.
    timeout_s: float | None
    #: Name of the header that carries the idempotency key.
    idempotency_header: str
    #: See Reply.key_setting.
    key_setting: str


class Ways(dict[str, Way]):
    """Name of a participant → its `Way`. Participants with equal routes and certificates share connections."""

    def __init__(
        self, participants: Mapping[str, ParticipantSettings], dialer: Dialer, connections: int,
        send: Callable[[Request], Reply], clock: Callable[[], float],
    ) -> None:  # fmt: skip
        super().__init__()
        self._dialer, self._connections, self._send, self._clock = dialer, connections, send, clock
        tokens = {
            _token_way(name): replace(
                settings,
                url=settings.auth["token_url"],
                auth=None,
                proxy=settings.token_proxy,
                headers={},
                timeout_s=None,
            )
            for name, settings in participants.items()
            if settings.auth and settings.auth.type == "oauth2"
        }
        self._settings = {**participants, **tokens}
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
        # setdefault, because two threads may build an adapter at the same time, and all threads must use one of them.
        adapter = self._adapters.setdefault(key, ExchangeAdapter(*key, connections=self._connections))
        own = {name.lower() for name in settings.headers}
        headers = {name: value for name, value in _COMMON.items() if name.lower() not in own} | dict(settings.headers)
        common = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        way = Way(
            origins=Origins(adapter, settings.proxy, common),
            credential=self._credential(participant, settings.auth) if settings.auth else None,
            timeout_s=settings.timeout_s,
            idempotency_header=settings.idempotency_header,
            key_setting="" if settings.behind_gateway and not settings.auth else key_setting_of(participant),
        )
        return self.setdefault(participant, way)

    def _credential(self, participant: str, auth: Auth) -> Credential:
        match auth.type:
            case "oauth2":
                return OAuth2Credential(auth, _token_way(participant), self._send, self._clock)
            case "hmac":
                return HmacCredential(auth, self._clock)
            case _:
                return FixedCredential(auth, self._clock)


def _token_way(participant: str) -> str:
    """Return the key in `Ways` for the token server of a participant. No participant has a slash in its name."""
    return f"{participant}/token"


def host_of(origin: str) -> str:
    """Return the Host header of an origin: its host and port, without a user name and password."""
    return urlsplit(origin).netloc.rpartition("@")[2]
