"""The reference sender: it uses the library requests. Tests compare `HttpClient` with it."""

from typing import Any

import requests

from app.calls.client import Request
from app.values import UnreadableError, parsed, written
from machines.replies import SCALAR, Reply


class ReferenceSender:
    """Sends requests with a `requests.Session`. `verify`, `cert` and `auth` are arguments of the library requests."""

    def __init__(self, *, verify: str | bool = True, cert: Any = None, auth: Any = None) -> None:
        self._session = requests.Session()
        self._session.headers.update({"Accept-Encoding": "identity", "User-Agent": "saga-orchestrator"})
        self._verify, self._cert, self._auth = verify, cert, auth

    def send(self, request: Request) -> Reply:
        headers, data = dict(request.headers), request.body
        if data is not None and not request.form:
            headers, data = {"Content-Type": "application/json"} | headers, written(data)
        try:
            answer = self._session.request(
                request.method, request.url, headers=headers, data=data, timeout=request.timeout_s,
                allow_redirects=False, cert=self._cert, auth=self._auth,
                **({} if self._verify is True else {"verify": self._verify}),
            )  # fmt: skip
        except requests.ConnectTimeout as error:
            return Reply(error=str(error), sent=False)
        except requests.exceptions.ContentDecodingError as error:
            return Reply(status=200, unreadable=str(error))
        except (requests.exceptions.SSLError, requests.exceptions.ProxyError) as error:
            return Reply(error=str(error), sent=False)
        except requests.RequestException as error:
            refused = "NewConnectionError" in repr(error) or "NameResolutionError" in repr(error)
            return Reply(error=str(error), sent=not refused)
        try:
            value = parsed(answer.content.removeprefix(b"\xef\xbb\xbf")) if answer.content else {}
        except UnreadableError as error:
            return Reply(status=answer.status_code, unreadable=str(error))
        headers_read = {name.lower().encode("latin-1"): text.encode("latin-1") for name, text in answer.headers.items()}
        value = {} if value is None else value if isinstance(value, dict | list) else {SCALAR: value}
        return Reply(status=answer.status_code, body=value, headers=headers_read)
