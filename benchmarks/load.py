"""So many clients that ask one after the other: `python -m benchmarks.load METHOD URL CONNECTIONS SECONDS [HEADER …]`,
told as JSON.
"""

import json
import sys
import threading
import time
from collections.abc import Mapping
from http.client import HTTPConnection
from urllib.parse import urlsplit

_BODY = json.dumps({"customer": "Ada", "amount": 12}).encode()


def drive(method: str, url: str, connections: int, seconds: float, headers: Mapping[str, str]) -> list[float]:
    """Give how long each order took, in seconds, of those that were answered 2xx; any other ends it all."""
    took: list[float] = []
    wrong: list[str] = []
    until = time.monotonic() + seconds
    parts = urlsplit(url)

    def client() -> None:
        connection = HTTPConnection(parts.hostname or "", parts.port, timeout=60)
        while time.monotonic() < until and not wrong:
            begun = time.perf_counter()
            connection.request(method, parts.path, _BODY if method == "POST" else None, headers)
            answer = connection.getresponse()
            said = answer.read()
            took.append(time.perf_counter() - begun)
            if answer.status not in {200, 201, 202}:
                wrong.append(f"{answer.status} {said.decode()}")
        connection.close()

    clients = [threading.Thread(target=client) for _ in range(connections)]
    for thread in clients:
        thread.start()
    for thread in clients:
        thread.join()
    if wrong:
        raise SystemExit(wrong[0])
    return took


if __name__ == "__main__":
    method, target, connections, seconds = sys.argv[1], sys.argv[2], int(sys.argv[3]), float(sys.argv[4])
    more = dict(header.split(": ") for header in sys.argv[5:])
    sys.stdout.write(
        json.dumps(drive(method, target, connections, seconds, {"Content-Type": "application/json"} | more))
    )
