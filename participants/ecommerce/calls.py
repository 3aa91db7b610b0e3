"""HTTP calls of the shop's server. What does not answer in time is away, and nothing waits for it."""

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
    """Who was called, or a gateway before him, does not accept the shop's key, or misses it.

    `setting`: the one that the key comes from.
    """

    def __init__(self, words: str, setting: str) -> None:
        super().__init__(words)
        self.setting = setting


class Calls:
    """Calls to everything below one base URL; used by many threads at once.

    who: the service's name in messages to a person. key_setting: the setting that `api_key` comes from.
    """

    def __init__(self, who: str, url: str, api_key: str | None, key_setting: str) -> None:
        self.who, self.url, self._key_setting = who, url, key_setting
        self._session = requests.Session()
        self._session.trust_env = False
        self._session.headers.update({"X-API-Key": api_key} if api_key else {})
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
            raise DeniedError(f"{self.who} answered {response.status_code}", self._key_setting)
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
