"""The HTTP calls of the shop's server. A service that does not answer in time counts as unavailable."""

from typing import Any

import requests
from requests.adapters import HTTPAdapter

#: Timeout in seconds; a normal answer takes milliseconds.
TIMEOUT_S = 5.0
_SERVER_ERROR = 500
_DENIED = {401, 403}


class AwayError(Exception):
    """The called service does not answer, or its answer is invalid. The effect of the call is unknown."""


class DeniedError(Exception):
    """The called service, or the gateway before it, rejects the shop's API key or requires one.

    setting: the name of the setting that holds the key.
    """

    def __init__(self, words: str, setting: str) -> None:
        super().__init__(words)
        self.setting = setting


class HttpClient:
    """An HTTP client for one base URL; many threads share it.

    who: the service's name in messages to the user.
    key_setting: the name of the setting that holds `api_key`.
    """

    def __init__(self, who: str, url: str, api_key: str | None, key_setting: str) -> None:
        self.who, self.url, self._key_setting = who, url, key_setting
        self._session = requests.Session()
        self._session.trust_env = False
        self._session.headers.update({"X-API-Key": api_key} if api_key else {})
        self._session.mount("http://", HTTPAdapter(pool_maxsize=16))

    def send(self, method: str, path: str, **options: Any) -> requests.Response:
        """Return the response with any status below 500, except 401 and 403. Raise AwayError or DeniedError."""
        try:
            response = self._session.request(
                method, self.url + path, timeout=TIMEOUT_S, allow_redirects=False, **options
            )
        except requests.RequestException as error:
            raise AwayError(f"{self.who} does not answer") from error
        if response.status_code >= _SERVER_ERROR:
            raise AwayError(f"{self.who} answered {response.status_code}")
        if response.status_code in _DENIED:
            raise DeniedError(f"{self.who} answered {response.status_code}", self._key_setting)
        return response

    def read(self, path: str, **options: Any) -> Any:
        """Return the JSON of a successful GET. Raise AwayError for any other response."""
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
