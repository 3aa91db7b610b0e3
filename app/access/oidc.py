"""Sign-in at an OpenID Connect provider: the authorization code flow with PKCE, a state and a nonce (RFC 9700).

Authlib builds the requests and checks the claims, joserfc checks the signatures. Only signatures with a public key of
the provider are accepted: not `none`, and not a signature with the client secret.
"""

import json
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import requests

from app.access.permissions import role_named
from app.access.user_accounts import NAME
from app.errors import BusyError, NotReadyError, UnauthenticatedError
from app.sign_in_settings import Grant, SignInSettings, safe
from app.store.provider_accounts import Person

if TYPE_CHECKING:
    from collections.abc import Iterator

    from authlib.integrations.requests_client import OAuth2Session

#: Longest wait for the provider to connect, and for a part of its answer, in seconds.
_TIMEOUT_S = (3.0, 5.0)
#: Number of people whose sign-in asks the provider at once. A slow provider holds no more threads than these.
_AT_ONCE = 4
#: Longest wait for one of these places, in seconds.
_LONGEST_WAIT_S = 2.0
#: How long the addresses and keys of the provider are cached, in seconds. An unknown key is asked for at once.
_CACHE_S = 3600.0
#: Largest difference of the two clocks, in seconds.
_LEEWAY_S = 60
#: Largest answer of the provider, and the parts in which it is read, in bytes.
_LARGEST, _PART = 1 << 20, 1 << 16
#: Largest number of characters of a person's id, as the standard has it.
_LONGEST_SUBJECT = 255
#: How this service proves to the provider who it is, unless the provider only takes the secret in the form.
_BASIC = "client_secret_basic"
_ALGORITHMS = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA", "Ed25519"]
_AGAIN = "sign in again; if it fails again, an admin finds the reason in the log of this service"


@dataclass(frozen=True, kw_only=True)
class Flow:
    """One attempt to sign in. The browser keeps it in a cookie until the provider sends the person back."""

    state: str
    nonce: str
    #: The secret of PKCE: the code is worthless to others.
    verifier: str


class RefusedError(UnauthenticatedError):
    """The sign-in at the provider has failed. why: for the log."""

    title = "Sign-in at the provider failed"
    headers = MappingProxyType({})

    def __init__(self, detail: str, why: str) -> None:
        super().__init__(detail)
        self.why = why


class Provider:
    """The OpenID Connect provider of the settings."""

    def __init__(self, config: SignInSettings, clock: Callable[[], float] = time.time) -> None:
        self._config, self._clock = config, clock
        self._places = threading.BoundedSemaphore(_AT_ONCE)
        self._cache: dict[str, tuple[float, dict[str, Any]]] = {}

    @property
    def issuer(self) -> str:
        return str(self._config.oidc_issuer)

    def start(self) -> tuple[str, Flow]:
        """Return the URL of the provider's sign-in page, and the flow that it begins."""
        from authlib.common.security import generate_token  # noqa: PLC0415  only with OIDC_ISSUER

        flow = Flow(state=generate_token(32), nonce=generate_token(32), verifier=generate_token(64))
        with self._asking(), self._client() as client:
            url, _ = client.create_authorization_url(
                self._endpoint("authorization_endpoint"), state=flow.state, nonce=flow.nonce,
                code_verifier=flow.verifier,
            )  # fmt: skip
        return url, flow

    def finish(self, flow: Flow, answered: Mapping[str, str]) -> Person:
        """Return the person who has signed in. answered: the parameters with which the provider sent the browser.

        Raise RefusedError for everything that is not the answer to this flow.
        """
        if answered.get("iss", self.issuer) != self.issuer:
            raise RefusedError(f"the answer is that of another provider; {_AGAIN}", "iss of the answer")
        if error := answered.get("error"):
            raise RefusedError("the provider has not let you in; ask there for the reason", f"error {error[:100]}")
        with self._asking():
            token = self._exchange(flow, answered.get("code", ""))
            claims = self._claims_of(token, flow)
            if self._config.oidc_groups_claim not in claims or self._config.oidc_name_claim not in claims:
                claims = {**self._user_info(token, str(claims["sub"])), **claims}
        return person_of(claims, self._config)

    def sign_out_page(self) -> str | None:
        """Return the page at which a person signs out of the provider; None: it has none, or it was not asked yet."""
        _, found = self._cache.get(self._metadata_url, (0.0, {}))
        page = str(found.get("end_session_endpoint", ""))
        return f"{page}{'&' if '?' in page else '?'}client_id={self._config.oidc_client_id}" if safe(page) else None

    def _exchange(self, flow: Flow, code: str) -> Mapping[str, Any]:
        from authlib.integrations.base_client.errors import OAuthError  # noqa: PLC0415  only with OIDC_ISSUER

        try:
            with self._client() as client:
                token: Mapping[str, Any] = client.fetch_token(
                    self._endpoint("token_endpoint"), grant_type="authorization_code", code=code,
                    code_verifier=flow.verifier,
                )  # fmt: skip
        except OAuthError as error:
            raise RefusedError(f"the provider has not accepted its own code; {_AGAIN}", f"token: {error}") from None
        return token

    def _claims_of(self, token: Mapping[str, Any], flow: Flow) -> dict[str, Any]:
        from authlib.oidc.core import CodeIDToken  # noqa: PLC0415  only with OIDC_ISSUER
        from joserfc.errors import BadSignatureError, InvalidKeyIdError, JoseError  # noqa: PLC0415

        options = {
            "iss": {"essential": True, "value": self.issuer},
            "aud": {"essential": True, "value": self._config.oidc_client_id},
        }
        known = {
            "nonce": flow.nonce, "client_id": self._config.oidc_client_id, "access_token": token.get("access_token"),
        }  # fmt: skip
        text = token.get("id_token")
        try:
            try:
                decoded = self._decoded(text)
            except (InvalidKeyIdError, BadSignatureError):  # the provider has changed its keys
                decoded = self._decoded(text, fresh=True)
            claims = CodeIDToken(decoded.claims, decoded.header, options, known)
            claims.validate(now=int(self._clock()), leeway=_LEEWAY_S)
        except (JoseError, ValueError, TypeError) as error:
            raise RefusedError(f"the provider's token is not valid; {_AGAIN}", f"id_token: {error!r}") from None
        return dict(claims)

    def _decoded(self, text: Any, *, fresh: bool = False) -> Any:
        from joserfc import jwt  # noqa: PLC0415  only with OIDC_ISSUER
        from joserfc.jwk import KeySet  # noqa: PLC0415

        if not isinstance(text, str):
            raise TypeError("there is no id_token")
        keys = KeySet.import_key_set(self._json(self._endpoint("jwks_uri"), fresh=fresh))  # type: ignore[arg-type]
        return jwt.decode(text, keys, algorithms=_ALGORITHMS)

    def _user_info(self, token: Mapping[str, Any], subject: str) -> dict[str, Any]:
        """Return the user info; nothing when the provider has none, or when it is of another person."""
        if "userinfo_endpoint" not in self._json(self._metadata_url):
            return {}
        page, bearer = self._endpoint("userinfo_endpoint"), {"Authorization": f"Bearer {token.get('access_token')}"}
        found = self._fetched(page, bearer)
        if found.get("sub") != subject:
            raise RefusedError(f"the provider's user info is that of another person; {_AGAIN}", "sub of the user info")
        return found

    @property
    def _metadata_url(self) -> str:
        return f"{self.issuer.rstrip('/')}/.well-known/openid-configuration"

    def _endpoint(self, name: str) -> str:
        metadata = self._json(self._metadata_url)
        if metadata.get("issuer") != self.issuer:
            raise _away(f"its metadata name the issuer {metadata.get('issuer')!r}")
        url = metadata.get(name)
        if not isinstance(url, str) or not safe(url):
            raise _away(f"its metadata have no {name} with https")
        return url

    def _json(self, url: str, *, fresh: bool = False) -> dict[str, Any]:
        """Return a JSON object of the provider, from the cache unless `fresh`."""
        now = self._clock()
        until, found = self._cache.get(url, (0.0, {}))
        if fresh or now >= until:
            found = self._fetched(url)
            self._cache[url] = now + _CACHE_S, found
        return found

    @staticmethod
    def _fetched(url: str, headers: Mapping[str, str] | None = None) -> dict[str, Any]:
        with requests.get(url, headers=headers, timeout=_TIMEOUT_S, allow_redirects=False, stream=True) as answer:
            if answer.status_code != requests.codes.ok:
                raise _away(f"{url} answers {answer.status_code}")
            content = b""
            for part in answer.iter_content(_PART):
                content += part
                if len(content) > _LARGEST:
                    raise _away(f"{url} answers more than {_LARGEST} bytes")
        try:
            found = json.loads(content)
        except ValueError:
            found = None
        if not isinstance(found, dict):
            raise _away(f"{url} answers no JSON object")
        return found

    def _client(self) -> "OAuth2Session":
        from authlib.integrations.requests_client import OAuth2Session  # noqa: PLC0415  takes 0.2 s

        methods = self._json(self._metadata_url).get("token_endpoint_auth_methods_supported") or [_BASIC]
        return OAuth2Session(
            self._config.oidc_client_id, self._config.oidc_client_secret, scope=self._config.oidc_scopes,
            redirect_uri=self._config.oidc_redirect_url, code_challenge_method="S256", default_timeout=_TIMEOUT_S,
            token_endpoint_auth_method=_BASIC if _BASIC in methods else "client_secret_post",
        )  # fmt: skip

    @contextmanager
    def _asking(self) -> "Iterator[None]":
        """Take one of the places. Raise NotReadyError when the provider does not answer."""
        if not self._places.acquire(timeout=_LONGEST_WAIT_S):
            raise BusyError("many people sign in at this moment; try again in a few seconds")
        try:
            yield
        except requests.RequestException as error:
            raise _away(repr(error)) from None
        finally:
            self._places.release()


class AwayError(NotReadyError):
    """The provider does not answer as it should. why: for the log."""

    title = "The sign-in service does not answer"

    def __init__(self, why: str) -> None:
        super().__init__("the sign-in service of your organisation does not answer as it should; try again in a minute")
        self.why = why


def _away(why: str) -> AwayError:
    return AwayError(why)


def person_of(claims: Mapping[str, Any], config: SignInSettings) -> Person:
    """Return the person of checked claims. Raise RefusedError for one who may not sign in here."""
    name, subject = claims.get(config.oidc_name_claim), claims.get("sub")
    if not isinstance(name, str) or not NAME.fullmatch(name := name.strip().lower()):
        raise RefusedError(
            f"the provider names you {str(name)[:64]!r}, which can be no name of an account here; an admin sets "
            "OIDC_NAME_CLAIM to another claim", "no name",
        )  # fmt: skip
    if not isinstance(subject, str) or not 0 < len(subject) <= _LONGEST_SUBJECT or "\0" in subject:
        raise RefusedError(f"the provider gives you no id; {_AGAIN}", "sub")
    grant = granted(claims.get(config.oidc_groups_claim), config.oidc_roles)
    return Person(issuer=str(config.oidc_issuer), subject=subject, name=name, role=grant.role, tenant=grant.tenant)


def granted(groups: Any, grants: Iterable[Grant]) -> Grant:
    """Return what a person in these groups may do.

    A grant for all tenants comes before those for one tenant. Raise RefusedError for a person with no grant, or with
    grants for two tenants.
    """
    listed = groups if isinstance(groups, list) else [groups]
    named = {each for each in listed if isinstance(each, str)}
    found = [grant for grant in grants if grant.group in named]
    of_all = [grant for grant in found if grant.tenant is None]
    tenants = {grant.tenant for grant in found}
    if not found:
        raise RefusedError(
            "you are signed in there, but none of your groups may use this service; ask for one", "no group"
        )
    if not of_all and len(tenants) > 1:
        raise RefusedError(
            f"your groups belong to the tenants {' and '.join(sorted(map(str, tenants)))}", "two tenants"
        )
    return max(of_all or found, key=lambda grant: role_named(grant.role))
