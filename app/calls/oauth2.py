"""OAuth 2 client credentials: a token that is kept until it expires, or until the participant refuses it.

The request for a token is sent like every other call, within the time of the call that needs the token. oauthlib is not
used: its import takes 0.2 s, and it refuses a token whose scope differs from the requested scope.
"""

import base64
from collections.abc import Callable, Mapping
from threading import Lock
from typing import TYPE_CHECKING
from urllib.parse import quote_plus

from app.calls.auth import Message, NoCredentialError
from app.calls.request import Request
from app.participant_settings.secret_files import SecretFiles
from machines.lines import one_line

if TYPE_CHECKING:
    from app.participant_settings.model import Auth
    from machines.replies import Reply

#: A token is renewed this many seconds before it expires, but at most a tenth of its lifetime before.
_EARLY_S = 30.0
#: Seconds after a failure during which no token is requested, so that waiting calls do not request tokens one by one.
_PAUSE_S = 1.0
_OK = 200
#: Statuses by which a token server refuses the client's secret (RFC 6749, 5.2).
_REFUSED = frozenset({400, 401})


class OAuth2Credential:
    """Adds an access token to requests. One thread at a time requests a new token, and the others wait for it."""

    def __init__(self, auth: "Auth", way: str, send: "Callable[[Request], Reply]", clock: Callable[[], float]) -> None:
        self._auth, self._way, self._send, self._clock = auth, way, send, clock
        self._files, self._lock = SecretFiles(auth.secrets, auth.files, clock), Lock()
        self._headers: Mapping[str, str] = {}
        self._until = 0.0
        self._failure, self._failed_at = "", float("-inf")

    def headers(self, message: Message) -> Mapping[str, str]:
        message.secret = headers = self._current(message.deadline)
        return headers

    def _current(self, deadline: float) -> Mapping[str, str]:
        now, headers = self._clock(), self._headers
        if headers and now < self._until:
            return headers
        if not self._lock.acquire(timeout=max(deadline - now, 0.0)):
            raise NoCredentialError("no access token was received within the time of the call")
        try:
            now = self._clock()
            if self._headers and now < self._until:
                return self._headers
            if now - self._failed_at < _PAUSE_S:
                raise NoCredentialError(self._failure)
            return self._fetch(deadline)
        finally:
            self._lock.release()

    def renew(self, message: Message) -> bool:
        """Forget the token, unless another thread has already got a new one."""
        if not self._lock.acquire(timeout=max(message.deadline - self._clock(), 0.0)):
            return False
        try:
            if self._headers == message.secret:
                self._headers = {}
            return True
        finally:
            self._lock.release()

    def _fetch(self, deadline: float) -> Mapping[str, str]:
        self._files.look()
        sent = self._clock()
        reply = self._ask(deadline - sent)
        if reply.status in _REFUSED and self._files.read():
            sent = self._clock()
            reply = self._ask(deadline - sent)
        try:
            token, life_s = _token_of(reply)
        except ValueError as error:
            url = self._auth["token_url"]
            self._failure = one_line(f"no access token from {url}: {error}; check its client_id and client_secret")
            self._failed_at = self._clock()
            raise NoCredentialError(self._failure) from None
        self._until = sent + life_s - min(_EARLY_S, life_s / 10) if life_s else float("inf")
        self._headers = {"Authorization": f"Bearer {token}"}
        return self._headers

    def _ask(self, timeout_s: float) -> "Reply":
        if timeout_s <= 0:
            raise NoCredentialError("no time was left to request an access token")
        return self._send(self._request(timeout_s))

    def _request(self, timeout_s: float) -> Request:
        auth, secret, headers = self._auth, self._files.secrets["client_secret"], {"Accept": "application/json"}
        fields = {"grant_type": "client_credentials"}
        fields |= {name: auth[name] for name in ("scope", "audience") if auth[name]}
        if auth["client_auth"] == "body":
            fields |= {"client_id": auth["client_id"], "client_secret": secret}
        else:
            pair = f"{quote_plus(auth['client_id'])}:{quote_plus(secret)}"  # RFC 6749, 2.3.1
            headers["Authorization"] = f"Basic {base64.b64encode(pair.encode()).decode()}"
        return Request(
            participant=self._way, method="POST", url=auth["token_url"], headers=headers, body=fields, form=True,
            timeout_s=timeout_s,
        )  # fmt: skip


def _token_of(reply: "Reply") -> tuple[str, float]:
    """Return the token and its lifetime in seconds; 0: it does not expire. Raise ValueError with the reason."""
    token, life = reply.fields.get("access_token"), reply.fields.get("expires_in")
    if reply.status != _OK or not isinstance(token, str):
        said = reply.unreadable or ("" if reply.status != _OK else "without an access_token")
        raise ValueError(f"{reply.reason}, but {said}" if said else reply.reason)
    if not token.isascii() or not token.isprintable() or " " in token or not token:
        raise ValueError("the token is no single word of plain characters")
    try:
        return token, max(1.0, float(life)) if life is not None else 0.0  # in this order, NaN becomes 1
    except (TypeError, ValueError):
        return token, 0.0
