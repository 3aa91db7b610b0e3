"""The settings of one participant, after they were read and checked."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from app.participant_settings.proxies import Proxy

IDEMPOTENCY_HEADER = "Idempotency-Key"


@dataclass(frozen=True, kw_only=True)
class Auth:
    """The credential that the service sends to a participant. Its repr does not contain the secrets."""

    #: bearer, basic, api_key, oauth2 or hmac.
    type: str
    #: Settings of this type that are no secrets.
    options: Mapping[str, str] = field(default_factory=dict)
    #: Setting → secret.
    secrets: Mapping[str, str] = field(default_factory=dict, repr=False)
    #: Setting → file from which the secret was read; see `secret_files`.
    files: Mapping[str, str] = field(default_factory=dict)

    def __getitem__(self, name: str) -> str:
        return self.secrets.get(name) or self.options.get(name, "")


@dataclass(frozen=True, kw_only=True)
class ParticipantSettings:
    """How one participant is reached."""

    #: Base URL, without a slash at its end.
    url: str
    auth: Auth | None = None
    #: True when `url` is below PARTICIPANTS_URL, so that the gateway there gets PARTICIPANTS_API_KEY.
    behind_gateway: bool = True
    #: Headers of every request, such as an API's version. They may contain the key of the gateway.
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    #: Public CAs: a file or a folder; None: the CAs of the library requests.
    public_cas: str | None = None
    #: Files of private CAs, which are trusted in addition to the public CAs.
    ca_files: tuple[str, ...] = ()
    #: Client certificate of the service and its key, for a participant that requires a certificate (mTLS).
    client_cert_file: str | None = None
    client_key_file: str | None = None
    proxy: Proxy | None = None
    #: The proxy on the way to the server that issues OAuth 2 tokens.
    token_proxy: Proxy | None = None
    #: Name of the header that carries the idempotency key.
    idempotency_header: str = IDEMPOTENCY_HEADER
    #: Upper bound of the duration of a call, in seconds; None: only the bound of the step applies.
    timeout_s: float | None = None
    #: Largest number of calls at once from one process; None: no limit.
    concurrency: int | None = None
    #: Largest number of calls from one process within a period, and the period in seconds; None: no limit.
    rate: tuple[int, float] | None = None
    #: Path below `url` to which `saga participants check` sends a GET; None: the URL itself.
    health: str | None = None
    #: Name in plain words, for the people who read about it; "": its name is shown alone.
    title: str = ""
