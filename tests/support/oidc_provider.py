"""An OpenID Connect provider in this process, made with the server side of Authlib: signed tokens, a JWKS, PKCE.

It signs in its `person` without asking. `tamper` changes what a token says, as a false provider or a neighbour would.
"""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from authlib.integrations.flask_oauth2 import AuthorizationServer
from authlib.oauth2.rfc6749 import ClientMixin
from authlib.oauth2.rfc6749.grants import AuthorizationCodeGrant
from authlib.oauth2.rfc7636 import CodeChallenge
from authlib.oidc.core import OpenIDCode, UserInfo
from flask import Flask, Response, abort, jsonify, request
from joserfc import jwt
from joserfc.jwk import KeySet, RSAKey
from werkzeug.serving import make_server

CLIENT_ID, CLIENT_SECRET = "sagas", "a secret of the service & its signs: %"


@dataclass
class _Client(ClientMixin):
    redirect_url: str

    def get_client_id(self):
        return CLIENT_ID

    def get_default_redirect_uri(self):
        return self.redirect_url

    def get_allowed_scope(self, scope):
        return scope

    def check_redirect_uri(self, redirect_uri):
        return redirect_uri == self.redirect_url

    def check_client_secret(self, client_secret):
        return client_secret == CLIENT_SECRET

    def check_endpoint_auth_method(self, method, _endpoint):
        return method == "client_secret_basic"

    def check_response_type(self, response_type):
        return response_type == "code"

    def check_grant_type(self, grant_type):
        return grant_type == "authorization_code"


@dataclass
class _Code:
    code: str
    #: Parameters of the request to authorize.
    asked: dict[str, str]
    person: dict[str, Any]

    @property
    def code_challenge(self):
        return self.asked.get("code_challenge")

    @property
    def code_challenge_method(self):
        return self.asked.get("code_challenge_method")

    def get_redirect_uri(self):
        return self.asked.get("redirect_uri")

    def get_scope(self):
        return self.asked.get("scope")

    def get_nonce(self):
        return self.asked.get("nonce")

    def get_auth_time(self):
        return int(time.time())

    def get_acr(self):
        return None

    def get_amr(self):
        return None


@cache
def _key(_number: int) -> RSAKey:
    """Return a key. Each takes 0.1 s to make, so the tests share them."""
    return RSAKey.generate_key(2048, auto_kid=True, private=True)


@dataclass
class OidcProvider:
    """The provider, and what tests change in it."""

    redirect_url: str
    issuer: str = ""
    person: dict[str, Any] = field(
        default_factory=lambda: {"sub": "4711", "preferred_username": "ada", "groups": ["sagas-operators"]}
    )
    key: RSAKey = field(default_factory=lambda: _key(0))
    #: Function of header, claims and key that changes what is signed, or returns a token of its own.
    tamper: Callable[[dict[str, Any], dict[str, Any], RSAKey], str | None] = lambda *_: None
    #: Claims that only the user info has.
    only_info: tuple[str, ...] = ()
    #: Status of every answer; None: as it should be.
    broken: int | None = None
    codes: dict[str, _Code] = field(default_factory=dict)
    #: Paths of the requests.
    asked: list[str] = field(default_factory=list)

    def rotate(self) -> None:
        """Sign with another key from now on. The old key is withdrawn."""
        self.key = _key(1)

    def application(self) -> Flask:
        app = Flask("provider")
        tokens: dict[str, dict[str, Any]] = {}

        def keep(token: dict[str, Any], _request: Any) -> None:
            tokens[token["access_token"]] = dict(self.person)

        server = AuthorizationServer(app, lambda _id: _Client(self.redirect_url), keep)
        server.register_grant(_grant(self), [_IdToken(self), CodeChallenge(required=True)])

        @app.before_request
        def _note() -> None:
            self.asked.append(request.path)
            if self.broken:
                abort(self.broken)

        @app.get("/realm/.well-known/openid-configuration")
        def _metadata() -> Response:
            names = {"authorization_endpoint": "authorize", "token_endpoint": "token", "jwks_uri": "keys"}
            names |= {"userinfo_endpoint": "me", "end_session_endpoint": "sign-out"}
            return jsonify({"issuer": self.issuer} | {name: f"{self.issuer}/{path}" for name, path in names.items()})

        def authorize() -> Response:
            person = dict(self.person)
            return server.create_authorization_response(grant=server.get_consent_grant(person), grant_user=person)

        views = {
            "GET authorize": authorize,
            "POST token": server.create_token_response,
            "GET keys": lambda: jsonify(KeySet([self.key]).as_dict(private=False)),
            "GET me": lambda: jsonify(tokens[request.headers["Authorization"].removeprefix("Bearer ")]),
        }
        for route, view in views.items():
            method, path = route.split()
            app.add_url_rule(f"/realm/{path}", path, view, methods=[method])
        return app

    def id_token(self, header: dict[str, Any], claims: dict[str, Any]) -> str:
        made = self.tamper(header, claims, self.key)
        return made or jwt.encode(header, claims, self.key, [header["alg"]])


class _IdToken(OpenIDCode):
    def __init__(self, provider: OidcProvider) -> None:
        super().__init__(require_nonce=True)
        self._provider = provider

    def exists_nonce(self, nonce, _request):
        return any(code.get_nonce() == nonce for code in self._provider.codes.values())

    def generate_user_info(self, user, _scope):
        return UserInfo({name: value for name, value in user.items() if name not in self._provider.only_info})

    def get_client_claims(self, _client):
        return {"iss": self._provider.issuer}

    def encode_id_token(self, token, request):
        claims = self.get_compatible_claims(request) | self.get_authorization_code_claims(request.authorization_code)
        claims |= self.generate_user_info(request.user, token["scope"])
        return self._provider.id_token({"alg": "RS256", "kid": self._provider.key.kid}, claims)


def _grant(provider: OidcProvider) -> type[AuthorizationCodeGrant]:
    class Grant(AuthorizationCodeGrant):
        TOKEN_ENDPOINT_AUTH_METHODS = ["client_secret_basic"]  # noqa: RUF012  as Authlib declares it

        def save_authorization_code(self, code, request):
            provider.codes[code] = _Code(code, dict(request.payload.data), request.user)

        def query_authorization_code(self, code, _client):
            return provider.codes.get(code)

        def delete_authorization_code(self, authorization_code):
            del provider.codes[authorization_code.code]

        def authenticate_user(self, authorization_code):
            return authorization_code.person

    return Grant


@contextmanager
def oidc_provider(redirect_url: str, host: str = "127.0.0.1") -> Iterator[OidcProvider]:
    """Serve a provider over HTTP. host: name in its issuer."""
    provider = OidcProvider(redirect_url)
    server = make_server("127.0.0.1", 0, provider.application(), threaded=True)
    provider.issuer = f"http://{host}:{server.port}/realm"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield provider
    server.shutdown()
    thread.join()
    server.server_close()
