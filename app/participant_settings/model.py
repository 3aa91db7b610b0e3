"""The settings of one participant, after they were read and checked."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from app.participant_settings.proxies import Proxy

IDEMPOTENCY_HEADER = "Idempotency-Key"


@dataclass(frozen=True, kw_only=True)
class Auth:
    """The credential that a participant knows us by. No repr contains its secrets."""

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
    #: True below PARTICIPANTS_URL: the gateway there gets PARTICIPANTS_API_KEY.
    behind_gateway: bool = True
    #: Headers of every request, such as an API's version. They may contain the key of the gateway.
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    #: Public CAs: a file or a folder; None for those of requests.
    public_cas: str | None = None
    #: Private CAs, trusted besides the public ones.
    ca_files: tuple[str, ...] = ()
    #: Our certificate and its key, for a participant that asks for one (mTLS).
    client_cert_file: str | None = None
    client_key_file: str | None = None
    proxy: Proxy | None = None
    #: The proxy on the way to the server that gives OAuth 2 tokens.
    token_proxy: Proxy | None = None
    #: Name of the header that carries the idempotency key.
    idempotency_header: str = IDEMPOTENCY_HEADER
    #: Upper bound of the duration of a call, in seconds; None: the step's own alone.
    timeout_s: float | None = None
    #: Largest number of calls at once from one process; None: no limit.
    concurrency: int | None = None
    #: Largest number of calls from one process, and the seconds in which they lie; None: no limit.
    rate: tuple[int, float] | None = None
    #: Path below the URL that `saga participants check` asks; None: the URL itself.
    health: str | None = None
