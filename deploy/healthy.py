"""The container's health check: `healthy.py [URL or PATH]` exits 0 when it gets the answer 200.

A path, by default /health, is asked at HOST and PORT.

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
    asked = arguments[0] if arguments else "/health"
    return f"http://{host}:{environ.get('PORT', '8009')}{asked}" if asked.startswith("/") else asked


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
