"""The settings that a participant may have: their names in the file and in the environment."""

from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from types import MappingProxyType

from app.settings import ConfigError
from machines.table import setting_variable

#: Settings of a participant besides `auth` and `headers`.
PLAIN = (
    "url", "ca_file", "client_cert_file", "client_key_file", "idempotency_header", "timeout_s", "concurrency", "rate",
    "proxy", "health", "title",
)  # fmt: skip
#: Kind of credential → its secrets. A setting with the ending _file names a file with the secret.
SECRETS: Mapping[str, tuple[str, ...]] = MappingProxyType({
    "bearer": ("token",), "basic": ("password",), "api_key": ("key",), "oauth2": ("client_secret",), "hmac": ("key",),
})  # fmt: skip
#: Kind of credential → the other settings that it needs.
NEEDED: Mapping[str, tuple[str, ...]] = MappingProxyType({
    "bearer": (), "basic": ("user",), "api_key": (), "oauth2": ("token_url", "client_id"),
    "hmac": ("header", "canonical"),
})  # fmt: skip
#: Kind of credential → the settings that it may have.
OPTIONAL: Mapping[str, tuple[str, ...]] = MappingProxyType({
    "bearer": (), "basic": (), "api_key": ("header", "prefix"), "oauth2": ("scope", "audience", "client_auth"),
    "hmac": ("algorithm", "encoding", "value", "timestamp_header", "timestamp"),
})  # fmt: skip


def options_of(kind: str) -> tuple[str, ...]:
    """Return every setting of a kind of credential."""
    secrets = [name for secret in SECRETS[kind] for name in (secret, f"{secret}_file")]
    return (*secrets, *NEEDED[kind], *OPTIONAL[kind])


_AUTH = tuple(dict.fromkeys(name for kind in SECRETS for name in options_of(kind)))
#: Setting → the end of its variable; auth.token is …_AUTH_TOKEN.
_ENDS = {name: name.upper() for name in (*PLAIN, "auth")} | {f"auth.{name}": f"AUTH_{name.upper()}" for name in _AUTH}


def variable_of(participant: str, setting: str) -> str:
    """Return the variable of a participant's setting: PARTICIPANT_FLIGHT_AUTH_TOKEN for flight and auth.token."""
    return setting_variable(participant, _ENDS[setting])


def by_participant(variables: Mapping[str, str], participants: Iterable[str]) -> Mapping[str, Mapping[str, str]]:
    """Return participant → setting → text.

    Raise ConfigError for a variable that fits no participant, or two participants.
    """
    known: dict[str, list[tuple[str, str]]] = {}
    for name in sorted(participants):
        for setting in _ENDS:
            known.setdefault(variable_of(name, setting), []).append((name, setting))
    found: dict[str, dict[str, str]] = {}
    for variable, text in variables.items():
        owners = known.get(variable, [])
        if not owners:
            raise ConfigError(f"{variable} fits no participant of the tables; {_remedy(variable, known)}")
        if len(owners) > 1:
            both = " and ".join(f"{setting} of {name}" for name, setting in owners)
            raise ConfigError(f"{variable} fits two participants ({both}); use PARTICIPANTS_FILE")
        ((name, setting),) = owners
        found.setdefault(name, {})[setting] = text
    return found


def _remedy(variable: str, known: Iterable[str]) -> str:
    nearest = nearest_of(variable, known)
    urls = sorted(name for name in known if name.endswith("_URL") and not name.endswith("_AUTH_TOKEN_URL"))
    return f"did you mean {nearest}?" if nearest else f"they use {', '.join(urls)}"


def nearest_of(word: str, known: Iterable[str]) -> str:
    """Return the known name that was probably meant; "" when none is near enough."""
    alike = 0.9 if word.startswith("PARTICIPANT_") else 0.6  # this prefix is in all variables, so they are similar
    return next(iter(get_close_matches(word, sorted(known), n=1, cutoff=alike)), "")
