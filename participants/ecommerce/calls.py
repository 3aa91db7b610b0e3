"""HTTP calls of the shop's server. What does not answer in time is away, and nothing waits for it."""

from collections.abc import Mapping
from typing import Any

import requests
from requests.adapters import HTTPAdapter

#: An answer takes milliseconds, unless it does not come at all.
PATIENCE_S = 5.0
_SERVER_ERROR = 500
_DENIED = {401, 403}


class AwayError(Exception):
    """Who was called does not answer, or not sensibly. Nothing is known of what he did."""


class DeniedError(Exception):
    """Who was called does not accept the shop's key, or misses it."""


class Calls:
    """Everything below one base URL; used by many threads at once. `who`: as a person is told of it."""

    def __init__(self, who: str, url: str, headers: Mapping[str, str] | None = None) -> None:
        self.who, self.url = who, url
        self._session = requests.Session()
        self._session.trust_env = False
        self._session.headers.update(headers or {})
        self._session.mount("http://", HTTPAdapter(pool_maxsize=16))

    def send(self, method: str, path: str, **options: Any) -> requests.Response:
        """Give the answer, whatever its status below 500. Raises AwayError, DeniedError."""
        try:
            response = self._session.request(
                method, self.url + path, timeout=PATIENCE_S, allow_redirects=False, **options
            )
        except requests.RequestException as error:
            raise AwayError(f"{self.who} does not answer") from error
        if response.status_code >= _SERVER_ERROR:
            raise AwayError(f"{self.who} answered {response.status_code}")
        if response.status_code in _DENIED:
            raise DeniedError(f"{self.who} answered {response.status_code}")
        return response

    def read(self, path: str, **options: Any) -> Any:
        """Give a successful GET's JSON. Raises AwayError."""
        response = self.send("GET", path, **options)
        if not response.ok:
            raise AwayError(f"{self.who} answered {path} with {response.status_code}")
        return decoded(response)

    def close(self) -> None:
        self._session.close()


def decoded(response: requests.Response) -> Any:
    try:
        return response.json()
    except requests.JSONDecodeError as error:
        raise AwayError(f"{response.url} answered no JSON") from error
