"""An airline behind the barrier, with plain SQLAlchemy: a WSGI application without Flask, on PORT.

DATABASE_URL names a PostgreSQL database. A FastAPI route has the same body: `def`, not `async def`, so that it runs in
a thread.
"""

import json
import os
from collections.abc import Callable, Iterable
from socketserver import ThreadingMixIn
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from participants.barrier.dbapi import CREATE, Answer, Barrier, Problem, Refused  # or from your copy of the folder
from sqlalchemy import Connection, create_engine, text

LARGEST_BODY = 1 << 20
engine = create_engine(os.environ["DATABASE_URL"].replace("postgresql://", "postgresql+psycopg2://"), pool_size=16)
with engine.begin() as connection:
    connection.execute(text(CREATE))
    connection.execute(text("CREATE TABLE IF NOT EXISTS booking (id bigserial PRIMARY KEY, city text NOT NULL)"))


def book(connection: Connection, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
    city = body.get("city")
    if not isinstance(city, str) or not city or "\0" in city:
        raise Problem(400, "Invalid body", "city is required")
    if city == "Atlantis":
        raise Refused(409, "No seat", f"there is no seat to {city}")
    added = connection.execute(text("INSERT INTO booking (city) VALUES (:city) RETURNING id"), {"city": city})
    return 201, {"id": str(added.scalar_one()), "city": city}


def cancel(connection: Connection, booking_id: str) -> tuple[int, dict[str, Any]]:
    connection.execute(text("DELETE FROM booking WHERE id = :id"), {"id": int(booking_id)})
    return 200, {"cancelled": booking_id}


def answer(method: str, path: str, headers: dict[str, str], body: Callable[[], dict[str, Any]]) -> Answer:
    with engine.begin() as connection:
        barrier = Barrier(connection.connection.cursor())
        match method, path:
            case "POST", "/bookings":
                content = body()
                return barrier.do(headers, "POST /bookings", content, lambda: book(connection, content))
            case "POST", "/bookings/undo":
                return barrier.undo(headers, lambda done: cancel(connection, done.reply["id"]))
            case "GET", "/bookings/outcome":
                return barrier.outcome(headers)
            case "GET", "/bookings":
                rows = connection.execute(text("SELECT id, city FROM booking ORDER BY id"))
                return Answer(status=200, body={"bookings": [dict(row) for row in rows.mappings()]}, replayed=False)
        raise Problem(404, "No such resource")


def json_object(environ: dict[str, Any]) -> dict[str, Any]:
    length = int(environ.get("CONTENT_LENGTH") or 0)
    content = environ["wsgi.input"].read(length)
    if length > LARGEST_BODY:
        raise Problem(413, "Too large", f"at most {LARGEST_BODY} bytes")
    try:
        body = json.loads(content or b"{}")
    except (ValueError, RecursionError):
        body = None
    if not isinstance(body, dict):
        raise Problem(400, "Invalid body", "the body must be a JSON object")
    return body


def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    headers = {
        name.removeprefix("HTTP_").replace("_", "-").title(): value
        for name, value in environ.items()
        if name.startswith("HTTP_")
    }
    try:
        found = answer(environ["REQUEST_METHOD"], environ["PATH_INFO"], headers, lambda: json_object(environ))
        status, document, replayed = found.status, found.body, found.replayed
    except Problem as problem:
        status, document, replayed = problem.status, problem.document, False
    content = json.dumps(document).encode()
    sent = [("Content-Type", "application/json"), ("Content-Length", str(len(content)))]
    start_response(f"{status} -", [*sent, ("Idempotent-Replayed", "true")] if replayed else sent)
    return [content]


class Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True


class Quiet(WSGIRequestHandler):
    def log_message(self, *_arguments: object) -> None:
        """Print nothing for each request."""


if __name__ == "__main__":
    make_server("127.0.0.1", int(os.environ["PORT"]), application, Server, Quiet).serve_forever()
