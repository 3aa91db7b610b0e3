"""A participant over HTTP that keeps a book of its actions, and the runs of sagas with children."""

import json
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

#: The folder with the sagas that start other sagas.
SAGAS = Path(__file__).parents[1] / "support" / "family_sagas"


@dataclass(frozen=True, kw_only=True)
class FamilyRun:
    """One complete run of a saga and its children without a crash."""

    #: Name of the saga without a parent.
    saga: str
    #: Step that the participant refuses; "": none.
    refused: str
    #: The states in which the sagas end, and how many sagas end in each.
    ends: dict[str, int] = field(hash=False)
    commits: int
    sends: int
    #: The number of transactions that write a saga together with its parent or its children.
    families: int
    data: dict[str, object] = field(hash=False, default_factory=lambda: {"customer": "Ada"})

    def __str__(self) -> str:
        return f"{self.saga}-{self.refused or 'done'}"

    @property
    def before_it_is_stored(self) -> set[str]:
        """The boundaries before the first commit has ended. That of a fulfilment inserts its first children, too."""
        return {"before_commit:1"} | ({"within_family:1"} if self.saga == "fulfilment" else set())

    def boundaries(self) -> Iterator[tuple["FamilyRun", str, int]]:
        for what, count in (("commit", self.commits), ("send", self.sends)):
            for number in range(1, count + 1):
                yield from ((self, f"{when}_{what}", number) for when in ("before", "after"))
        yield from ((self, "within_family", number) for number in range(1, self.families + 1))


LINES = {"lines": [{"sku": "a"}, {"sku": "b"}, {"sku": "c"}]}
_BACK = {"CALLED_OFF": 1, "HOLD_UNDONE": 3, "LABEL_UNDONE": 1, "BILL_UNDONE": 1}
RUNS = [
    FamilyRun(saga="order", refused="", ends={"SENT": 1, "PAID": 1}, commits=6, sends=4, families=2),
    FamilyRun(saga="order", refused="capture", ends={"CALLED_OFF": 1, "NOT_PAID": 1}, commits=7, sends=5, families=2),
    FamilyRun(saga="order", refused="send", ends={"CALLED_OFF": 1, "NOT_PAID": 1}, commits=11, sends=7, families=4),
    FamilyRun(
        saga="fulfilment", refused="", data=LINES, ends={"SENT": 1, "HELD": 3, "LABELLED": 1, "ARCHIVED": 1},
        commits=11, sends=7, families=8,
    ),
    FamilyRun(saga="fulfilment", refused="archive", data=LINES, ends=_BACK, commits=21, sends=11, families=15),
]  # fmt: skip
BOUNDARIES = [boundary for run in RUNS for boundary in run.boundaries()]


class Book:
    """A participant with a barrier: a repeated key is the same action, and a late action after its undo is refused."""

    def __init__(self) -> None:
        book, self.refused, self.lock = self, "", threading.Lock()
        self.stopped = threading.Event()
        #: Steps whose calls are accepted with 202, because the answer comes later.
        self.accepted: frozenset[str] = frozenset()
        #: Step → how long each of its replies takes, in seconds.
        self.delays: dict[str, float] = {}
        #: Action, as `saga/step` → its Saga-Reply-To.
        self.reply_urls: dict[str, str] = {}
        #: Number of requests of each action; an undo has a name of its own, `saga/step/undo`.
        self.requests: Counter[str] = Counter()
        #: Key of an action, as `saga/step` → done, undone or refused.
        self.effects: dict[str, str] = {}
        #: Number of the times that an action took effect, and that it was undone.
        self.changes: Counter[str] = Counter()

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                self.rfile.read(int(self.headers["Content-Length"]))
                saga, step, direction = self.headers["Idempotency-Key"].split("/")
                book.requests[f"{saga}/{step}" + "/undo" * (direction == "undo")] += 1
                book.reply_urls[f"{saga}/{step}"] = self.headers.get("Saga-Reply-To", "")
                book.stopped.wait(book.delays.get(step, 0.0))
                status = book.act(f"{saga}/{step}", step, direction)
                if (status, direction) == (200, "do") and step in book.accepted:
                    status = 202
                body = json.dumps({"id": step}).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                with suppress(BrokenPipeError):  # the caller was killed
                    self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def act(self, key: str, step: str, direction: str) -> int:
        """Do or undo an action once, and return the status of the reply."""
        with self.lock:
            before = self.effects.get(key)
            if direction == "undo":
                self.effects[key] = "undone"
                self.changes[f"{key}/undo"] += before == "done"
                return 200
            if step == self.refused or before == "undone":
                self.effects.setdefault(key, "refused")
                return 409
            self.effects[key] = "done"
            self.changes[f"{key}/do"] += before is None
            return 200

    def standing(self) -> dict[str, int]:
        """Return how many actions stand as done, by step."""
        return dict(Counter(key.split("/")[1] for key, effect in self.effects.items() if effect == "done"))

    def close(self) -> None:
        self.stopped.set()
        self.server.shutdown()
        self.server.server_close()
