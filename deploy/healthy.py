"""The container's health check: `healthy.py [URL]` exits 0 when the URL (or /health at HOST and PORT) answers 200.

It imports only the standard library, because it is started every few seconds.
"""

import http.client
import os
import sys
from urllib.parse import urlsplit

TIMEOUT_S = 4.0


def health_url(environ: "os._Environ[str]", arguments: list[str]) -> str:
    host = environ.get("HOST") or "127.0.0.1"
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104  addresses that mean all interfaces
    host = f"[{host}]" if ":" in host else host
    return arguments[0] if arguments else f"http://{host}:{environ.get('PORT', '8009')}/health"


def healthy(url: str) -> bool:
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=TIMEOUT_S)
    try:
        connection.request("GET", parts.path)
        return connection.getresponse().status == http.HTTPStatus.OK
    except (OSError, http.client.HTTPException):
        return False


if __name__ == "__main__":
    sys.exit(0 if healthy(health_url(os.environ, sys.argv[1:])) else 1)
