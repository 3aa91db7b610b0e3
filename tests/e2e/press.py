"""A participant over HTTP that accepts each job with 202 and is then asked for it, and the runs of its saga."""

import threading
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

#: The folder with the saga `printing`, whose first step is asked for at the Location of its 202.
SAGAS = Path(__file__).parents[1] / "support" / "polling_sagas"


@dataclass(frozen=True, kw_only=True)
class PolledRun:
    """One complete run of the saga `printing` without a crash."""

    #: The answers to the polls, in order; the last one repeats.
    polls: tuple[str, ...]
    end: str
    commits: int
    sends: int

    def __str__(self) -> str:
        return f"printing-{self.end}"

    def actions(self, place: str, number: int) -> set[str]:
        """Return each action that is sent in a run with a crash at this place, as `step/direction`.

        A crash between the commit of the intent and the commit of the 202 leaves the call in doubt. A job in doubt that
        fails is undone too, because an earlier attempt may have made another job.
        """
        if self.end == "PAID":
            return {"print/do", "pay/do"}
        in_doubt = {("after_commit", 1), ("before_send", 1), ("after_send", 1), ("before_commit", 2)}
        return {"print/do", "print/undo"} if (place, number) in in_doubt else {"print/do"}

    def boundaries(self) -> Iterator[tuple["PolledRun", str, int]]:
        for what, count in (("commit", self.commits), ("send", self.sends)):
            for number in range(1, count + 1):
                yield from ((self, f"{when}_{what}", number) for when in ("before", "after"))


POLLED_RUNS = [
    PolledRun(polls=("queued", "queued", "printed"), end="PAID", commits=6, sends=5),
    PolledRun(polls=("queued", "failed"), end="CALLED_OFF", commits=4, sends=3),
]
POLLED_BOUNDARIES = [boundary for run in POLLED_RUNS for boundary in run.boundaries()]


class Press:
    """Accepts each job with 202, and counts the requests of each key. A repeated key is the same job."""

    def __init__(self) -> None:
        press, self.requests, self.polls = self, Counter[str](), ("printed",)

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                self.rfile.read(int(self.headers["Content-Length"]))
                key = self.headers["Idempotency-Key"]
                press.requests[key] += 1
                self.reply(202 if self.path == "/jobs" else 200, "{}")

            def do_GET(self) -> None:
                press.requests["poll"] += 1
                state = press.polls[min(press.requests["poll"], len(press.polls)) - 1]
                self.reply(200, f'{{"status": "{state}"}}')

            def reply(self, status: int, body: str) -> None:
                self.send_response(status)
                if status == 202:
                    self.send_header("Location", f"{press.url}/jobs/1")
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body.encode())

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def sent(self) -> dict[str, int]:
        """Return the number of requests of each action, by `step/direction`."""
        return {key.split("/", 1)[1]: times for key, times in self.requests.items() if key != "poll"}

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()
