"""A participant for trying out, on PORT (8100). It keeps in memory what it did, by idempotency key.

A real participant keeps its keys in its database, in the transaction of the effect. Replace this file by your service.
"""

import json
import os
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Lock

#: Idempotency key -> path, body, status and reply of the first request with this key.
ANSWERS: dict[str, tuple[str, dict[str, object], int, dict[str, object]]] = {}
LOCK = Lock()


def answer(key: str, path: str, body: dict[str, object]) -> tuple[int, dict[str, object]]:
    """Return status and reply; the same for a repeated key, and 422 when the key was used for another request.

    An action that comes after its undo is refused, also when it was done before the undo.
    """
    with LOCK:
        if key.endswith("/do") and key.removesuffix("do") + "undo" in ANSWERS:
            return 410, {"detail": "it was undone before"}
        if key in ANSWERS:
            known_path, known_body, status, reply = ANSWERS[key]
            if (path, body) != (known_path, known_body):
                return 422, {"detail": "the Idempotency-Key was used for another request"}
            return status, reply
        print(f"{path} {json.dumps(body)}", flush=True)  # the effect
        reply: dict[str, object] = {"number": len(ANSWERS) + 1}
        ANSWERS[key] = path, body, 201, reply
        return 201, reply


class Participant(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        sent = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        try:
            body = json.loads(sent)
        except (ValueError, RecursionError):  # no JSON, or nested too deeply
            body = None
        key = self.headers.get("Idempotency-Key")
        if not key or not isinstance(body, dict):
            status, reply = 400, {"detail": "send a JSON object and an Idempotency-Key"}
        else:
            status, reply = answer(key, self.path, body)
        text = json.dumps(reply).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *_arguments: object) -> None:
        """Print nothing for each request; `answer` prints the effects."""


if __name__ == "__main__":
    port = int(os.environ.get("PORT", "8100"))
    print(f"listening on {port}", file=sys.stderr, flush=True)
    ThreadingHTTPServer((os.environ.get("HOST", "127.0.0.1"), port), Participant).serve_forever()
