"""The settings of who may sign in to the pages: the local accounts, and an OpenID Connect provider."""

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from app.server_urls import http_url
from app.settings import TENANT, ConfigError, setting

#: Path of the page to which the provider sends people back.
CALLBACK = "/login/oidc/callback"
_ROLES = ("viewer", "operator", "admin")
#: Hosts for which the provider may be reached without TLS, as in a trial on one machine.
_LOOPBACK = ("127.0.0.1", "::1", "localhost")


@dataclass(frozen=True, kw_only=True)
class Grant:
    """What the members of a group of the provider may do."""

    group: str
    role: str
    #: Tenant whose sagas they see; None: all.
    tenant: str | None = None


def _on(environ: Mapping[str, str], name: str, default: bool) -> bool:
    word = environ.get(name) or ("on" if default else "off")
    if word not in ("on", "off"):
        raise ConfigError(f"{name} must be on or off, not {word[:40]!r}")
    return word == "on"


def _issuer(environ: Mapping[str, str], name: str, default: str | None) -> str | None:
    """Return the issuer as it is written, because the provider's tokens name it with or without the last slash."""
    if not environ.get(name):
        return default
    http_url(environ, name, "")
    return _over_tls(environ[name], name)


def _redirect_url(environ: Mapping[str, str], name: str, default: str | None) -> str | None:
    if not environ.get(name):
        return default
    url = _over_tls(http_url(environ, name, ""), name)
    if not url.endswith(CALLBACK):
        raise ConfigError(f"{name} must end with {CALLBACK}, as in https://sagas.example{CALLBACK}, not {url[:200]!r}")
    return url


def _over_tls(url: str, name: str) -> str:
    if not safe(url):
        raise ConfigError(f"{name} must begin with https://; only a server on this machine may use http://")
    return url


def safe(url: str) -> bool:
    """Return True for a URL with TLS, or of this machine."""
    parts = urlsplit(url)
    return parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in _LOOPBACK)


def _scopes(environ: Mapping[str, str], name: str, default: str) -> str:
    scopes = (environ.get(name) or default).split()
    if "openid" not in scopes:
        raise ConfigError(f"{name} must contain openid, as in {default!r}")
    return " ".join(scopes)


def _word(environ: Mapping[str, str], name: str, default: str) -> str:
    return environ.get(name, "").strip() or default


def _grants(environ: Mapping[str, str], name: str, _default: tuple[Grant, ...]) -> tuple[Grant, ...]:
    """Return the grants of a text such as `sagas-admins=admin; acme-ops=operator@acme`."""
    found = []
    for part in filter(None, map(str.strip, environ.get(name, "").split(";"))):
        group, _, given = part.rpartition("=")
        role, at, tenant = given.strip().partition("@")
        if not group.strip() or role not in _ROLES or (at and not TENANT.fullmatch(tenant)):
            raise ConfigError(
                f"{name} must be groups with their roles, such as sagas-admins=admin; acme-ops=operator@acme, "
                f"not {part[:80]!r}; the roles are {', '.join(_ROLES)}"
            )
        if role == "admin" and tenant:
            raise ConfigError(f"{name} gives {group.strip()!r} the role admin of one tenant; an admin is for all")
        found.append(Grant(group=group.strip(), role=role, tenant=tenant or None))
    return tuple(found)


@dataclass(frozen=True, kw_only=True)
class SignInSettings:
    """The settings of who may sign in."""

    local_accounts: bool = setting(
        "LOCAL_ACCOUNTS",
        _on,
        True,
        "whether people sign in with a password; with `off` only OIDC_ISSUER lets people in",
        shown="on",
    )
    oidc_issuer: str | None = setting(
        "OIDC_ISSUER",
        _issuer,
        None,
        "the OpenID Connect provider that people sign in at, such as `https://login.example/realms/shop` "
        "([how](#single-sign-on))",
        shown="none: people sign in with a password",
    )
    oidc_client_id: str = setting("OIDC_CLIENT_ID", _word, "", "the name of this service at the provider", shown="none")
    oidc_client_secret: str = setting(
        "OIDC_CLIENT_SECRET", _word, "", "the secret of this service at the provider", shown="none", secret=True
    )
    oidc_redirect_url: str | None = setting(
        "OIDC_REDIRECT_URL",
        _redirect_url,
        None,
        f"the page to which the provider sends people back, as browsers reach it: `https://sagas.example{CALLBACK}`",
        shown="none",
    )
    oidc_scopes: str = setting("OIDC_SCOPES", _scopes, "openid profile", "what is asked of the provider")
    oidc_name_claim: str = setting(
        "OIDC_NAME_CLAIM", _word, "preferred_username", "the claim that becomes the name of a person"
    )
    oidc_groups_claim: str = setting(
        "OIDC_GROUPS_CLAIM", _word, "groups", "the claim with the groups of a person, in the ID token or the user info"
    )
    oidc_roles: tuple[Grant, ...] = setting(
        "OIDC_ROLES",
        _grants,
        (),
        "what the members of each group may do: `sagas-admins=admin; sagas=viewer; acme-ops=operator@acme`. Behind `@` "
        "is a [tenant](#tenants); a person in none of the groups may not sign in",
        shown="none",
    )


def check_sign_in(settings: SignInSettings) -> None:
    """Raise ConfigError when nobody could sign in, or when the provider's settings are not complete."""
    if settings.oidc_issuer is None:
        if not settings.local_accounts:
            raise ConfigError("LOCAL_ACCOUNTS=off and no OIDC_ISSUER: nobody could sign in; set one of them")
        if settings.oidc_client_id or settings.oidc_roles:
            raise ConfigError("OIDC_CLIENT_ID or OIDC_ROLES is set, but OIDC_ISSUER is not")
        return
    needed = {
        "OIDC_CLIENT_ID": settings.oidc_client_id,
        "OIDC_CLIENT_SECRET or OIDC_CLIENT_SECRET_FILE": settings.oidc_client_secret,
        "OIDC_REDIRECT_URL": settings.oidc_redirect_url,
        "OIDC_ROLES": settings.oidc_roles,
    }
    for name, value in needed.items():
        if not value:
            raise ConfigError(f"{name} is not set, and OIDC_ISSUER needs it")
