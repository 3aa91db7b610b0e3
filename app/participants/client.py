"""Sending one call over HTTP, once, within its time. It never raises for what the network or a participant does."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import orjson
import requests
from requests.adapters import HTTPAdapter
from urllib3.exceptions import ConnectTimeoutError, NewConnectionError

from app.participants.outcome import Reply

#: A reply beyond this is not understood, nor read to its end.
LARGEST_REPLY_BYTES = 1 << 20
CONNECT_TIMEOUT_S = 2.0


@dataclass(frozen=True, kw_only=True)
class Request:
    """One attempt of one call. participant: its name. url: in full. body: None for a call without one.
    timeout_s: for the whole of it.
    """

    participant: str
    method: str
    url: str
    headers: Mapping[str, str]
    body: Mapping[str, Any] | None
    timeout_s: float


class Participants:
    """A pool of connections to every participant, used by many threads at once. api_key: what a gateway on the way
    asks for.
    """

    def __init__(
        self, connections: int, clock: Callable[[], float] = time.monotonic, *, api_key: str | None = None
    ) -> None:
        self._clock = clock
        # Here rather than in each request, so that nothing that shows a request shows it.
        self._shown = {"X-API-Key": api_key} if api_key else {}
        # The adapter alone: a Session would look for proxies, cookies and .netrc at each call, at twice the cost.
        # Nothing is retried or redirected here, for only the saga knows what that would mean.
        self._adapter = HTTPAdapter(pool_connections=connections, pool_maxsize=connections, max_retries=0)

    def send(self, request: Request) -> Reply:
        """Send the request and read its reply."""
        started = self._clock()
        try:
            status, headers, content = self._exchange(request, started + request.timeout_s)
        except (requests.RequestException, OSError) as error:
            words = _in_words(error, request.timeout_s)
            return Reply(error=words, sent=not _never_sent(error), duration_ms=self._since(started))
        return Reply(
            status=status,
            body=_understood(content),
            retry_after_s=_seconds(headers.get("Retry-After", "")),
            duration_ms=self._since(started),
        )

    def _exchange(self, request: Request, deadline: float) -> tuple[int, Mapping[str, str], bytes | None]:
        timeout = (min(CONNECT_TIMEOUT_S, request.timeout_s), request.timeout_s)
        response = self._adapter.send(_prepared(request, self._shown), stream=True, timeout=timeout, proxies={})
        try:
            content = b""
            for chunk in response.iter_content(65_536):
                content += chunk
                if len(content) > LARGEST_REPLY_BYTES or self._clock() > deadline:
                    # A participant that drips bytes would otherwise hold the saga beyond its lease.
                    return response.status_code, response.headers, None
            return response.status_code, response.headers, content
        finally:
            response.close()

    def _since(self, started: float) -> float:
        return round((self._clock() - started) * 1000, 3)


def _prepared(request: Request, shown: Mapping[str, str]) -> requests.PreparedRequest:
    prepared = requests.PreparedRequest()
    prepared.method, prepared.url = request.method, request.url
    prepared.headers = requests.structures.CaseInsensitiveDict({**request.headers, **shown})
    prepared.headers["Accept-Encoding"] = "identity"
    if request.body is not None:
        content = orjson.dumps(request.body)
        prepared.body = content
        prepared.headers["Content-Type"] = "application/json"
        prepared.headers["Content-Length"] = str(len(content))
    return prepared


def _never_sent(error: Exception) -> bool:
    """Tell whether the connection was not even made, so that the participant has seen nothing of the request."""
    reason = getattr(error.args[0] if error.args else None, "reason", None)
    return isinstance(error, requests.ConnectTimeout) or isinstance(reason, (NewConnectionError, ConnectTimeoutError))


def _in_words(error: Exception, timeout_s: float) -> str:
    if _never_sent(error):
        return "no connection could be made"
    if isinstance(error, requests.ReadTimeout):
        return f"no answer within {timeout_s:g} s"
    return "the connection was lost before the answer"


def _understood(content: bytes | None) -> Mapping[str, Any] | None:
    if content == b"":
        return {}
    if content is None or b"\\u0000" in content:  # NUL is what PostgreSQL cannot keep
        return None
    try:
        body = orjson.loads(content)
    except orjson.JSONDecodeError:
        return None
    return body if isinstance(body, dict) else None


def _seconds(text: str) -> float:
    return float(text) if text.isdecimal() else 0.0
