"""The sessions of people: a signed cookie contains the session's token, and a row of the database makes it valid."""

import hashlib
import secrets
from typing import Any

from flask import Flask, Request, current_app, request, session
from flask.sessions import SecureCookieSession, SecureCookieSessionInterface
from sqlalchemy import Row

from app.access.address import client_address
from app.access.permissions import is_by_itself, role_named
from app.access.principal import Principal, user
from app.access.second_factor import matching_step, secret_of
from app.config import Config
from app.services import services

#: Seconds after which a person has to sign in again: one working day.
LASTS_S = 12 * 3600.0
#: Shortest time between two writes of the last use of a session, in seconds.
SEEN_EVERY_S = 60.0
#: Name of the session's token in the cookie.
_NAME = "session"


class _Sessions(SecureCookieSessionInterface):
    """Flask's sessions. A request without the session cookie, as from a program, gets an empty session at once."""

    def open_session(self, app: Flask, request: Request) -> SecureCookieSession | None:
        if app.secret_key and self.get_cookie_name(app) not in request.cookies:
            return self.session_class()
        return super().open_session(app, request)


def install(app: Flask, config: Config) -> None:
    app.session_interface = _Sessions()
    app.config.update(
        SECRET_KEY=config.secret_key,
        SESSION_IDLE_S=config.session_idle_s,
        LOCAL_ACCOUNTS=config.local_accounts,
        OIDC_ISSUER=config.oidc_issuer,
        # Browsers send the cookie only over TLS (or to localhost), only to this host, and only for its own requests.
        SESSION_COOKIE_NAME="__Host-saga",
        SESSION_COOKIE_SECURE=True,
        SESSION_COOKIE_HTTPONLY=True,
        SESSION_COOKIE_SAMESITE="Strict",
        SESSION_COOKIE_PATH="/",
    )


def sign_in(name: str) -> None:
    """Start a session of this user. The browser's previous session, of any user, ends."""
    sign_out()
    token = secrets.token_urlsafe(32)
    services().users.sign_in(name, _digest(token), LASTS_S, client_address())
    session[_NAME] = token


def sign_out() -> None:
    """End the session. A copy of the session's cookie is useless afterwards."""
    token = session.get(_NAME)
    session.clear()
    if token:
        services().users.sign_out(_digest(token))


def signed_in() -> Principal | None:
    """Return the signed-in person with the present role; None when nobody is signed in."""
    digest = present_session()
    found = services().users.signed_in(digest, idle_limit_s()) if digest else None
    if digest is None or found is None or not _may_sign_in(found):
        return None
    if (found.unseen_s is None or found.unseen_s > SEEN_EVERY_S) and _made_by_a_person():
        services().users.seen(digest)
    return user(
        found.name, role_named(found.role), must_change=found.must_change, tenant=found.tenant,
        from_provider=found.issuer is not None,
    )  # fmt: skip


def _may_sign_in(user: Row[Any]) -> bool:
    """Return False for a user whose way to sign in was switched off by a setting."""
    if user.issuer is None:
        return bool(current_app.config["LOCAL_ACCOUNTS"])
    return bool(user.issuer == current_app.config["OIDC_ISSUER"])


def present_session() -> str | None:
    """Return the id of the session that the request names, which may have ended; None when it names none."""
    token = session.get(_NAME) if current_app.secret_key else None
    return _digest(token) if token else None


def idle_limit_s() -> float:
    """Return the seconds without a request of the person after which a session ends."""
    limit: float = current_app.config["SESSION_IDLE_S"]
    return limit


def factor_secret(name: str, seed: str) -> bytes:
    """Return the secret of a user's second factor."""
    return secret_of(str(current_app.secret_key), name, seed)


def code_is_right(user: Row[Any], code: str) -> bool:
    """Return True when a user has no second factor, or when the code is one of it that was not used before."""
    if user.factor_seed is None:
        return True
    step = matching_step(factor_secret(user.name, user.factor_seed), code)
    return step is not None and services().users.accept_code(user.name, user.factor_seed, step)


def _made_by_a_person() -> bool:
    """Return False for a request that an open page makes by itself to follow what happens."""
    if is_by_itself(current_app.view_functions.get(request.endpoint or "", _made_by_a_person)):
        return False
    return request.method not in ("GET", "HEAD") or request.headers.get("Sec-Fetch-Mode", "navigate") == "navigate"


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
