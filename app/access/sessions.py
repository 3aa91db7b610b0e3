"""Who is signed in: a signed cookie that names a session, and a row that says whether it still lives."""

import hashlib
import secrets

from flask import Flask, Request, current_app, session
from flask.sessions import SecureCookieSession, SecureCookieSessionInterface

from app.access.address import client_address
from app.access.principal import Principal, user
from app.access.roles import role_named
from app.config import Config
from app.services import services

#: A working day; then one signs in again.
LASTS_S = 12 * 3600.0
_NAME = "session"


class _Sessions(SecureCookieSessionInterface):
    """Flask's, which spares what verifies a cookie where there is none: no program brings one."""

    def open_session(self, app: Flask, request: Request) -> SecureCookieSession | None:
        if app.secret_key and self.get_cookie_name(app) not in request.cookies:
            return self.session_class()
        return super().open_session(app, request)


def install(app: Flask, config: Config) -> None:
    app.session_interface = _Sessions()
    app.config.update(
        SECRET_KEY=config.secret_key,
        # Only over TLS (or from the machine itself), only from this very host, and never along from another site.
        SESSION_COOKIE_NAME="__Host-saga",
        SESSION_COOKIE_SECURE=True,
        SESSION_COOKIE_HTTPONLY=True,
        SESSION_COOKIE_SAMESITE="Strict",
        SESSION_COOKIE_PATH="/",
    )


def sign_in(name: str) -> None:
    """Begin a session of this user. Whatever the browser brought along, also from somebody else, ends here."""
    sign_out()
    token = secrets.token_urlsafe(32)
    services().users.sign_in(name, _digest(token), LASTS_S, client_address())
    session[_NAME] = token


def sign_out() -> None:
    """End the session for good: a copy of its cookie is worth nothing either."""
    token = session.get(_NAME)
    session.clear()
    if token:
        services().users.sign_out(_digest(token))


def signed_in() -> Principal | None:
    """Tell who is signed in, with the role that the user has now."""
    token = session.get(_NAME) if current_app.secret_key else None
    found = services().users.signed_in(_digest(token)) if token else None
    return user(found.name, role_named(found.role)) if found else None


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
