"""An airline behind the barrier, with Django, on PORT. DATABASE_URL names a PostgreSQL database.

`barrier` is your copy of `rules.py` and `dbapi.py`. A project has its settings and its views in files of their own, and
makes the table in a migration: `RunSQL(CREATE)`.
"""

import json
import os
from collections.abc import Callable
from socketserver import ThreadingMixIn
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from barrier.dbapi import CREATE, Answer, Barrier, Problem, Refused
from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.db import connection, transaction
from django.http import HttpRequest, JsonResponse
from django.urls import path
from psycopg2.extensions import parse_dsn

LARGEST_BODY = 1 << 20
_DATABASE = parse_dsn(os.environ["DATABASE_URL"])
settings.configure(
    ROOT_URLCONF=__name__,
    ALLOWED_HOSTS=["*"],
    DATABASES={
        "default": {
            "ENGINE": "django.db.backends.postgresql",
            "NAME": _DATABASE.get("dbname"),
            "OPTIONS": {name: value for name, value in _DATABASE.items() if name != "dbname"},
        }
    },
)


def answered(view: Callable[[HttpRequest, Any], Answer]) -> Callable[[HttpRequest], JsonResponse]:
    """Run a view in a transaction with a cursor, and send its answer. A Problem rolls the transaction back."""

    def answer(request: HttpRequest) -> JsonResponse:
        try:
            with transaction.atomic(), connection.cursor() as cursor:
                found = view(request, cursor)
        except Problem as problem:
            return JsonResponse(problem.document, status=problem.status, content_type="application/problem+json")
        return JsonResponse(
            found.body, status=found.status, headers={"Idempotent-Replayed": "true"} if found.replayed else {}
        )

    return answer


def json_object(request: HttpRequest) -> dict[str, Any]:
    if int(request.headers.get("Content-Length") or 0) > LARGEST_BODY:
        raise Problem(413, "Too large", f"at most {LARGEST_BODY} bytes")
    try:
        body = json.loads(request.body or b"{}")
    except (ValueError, RecursionError):
        body = None
    if not isinstance(body, dict):
        raise Problem(400, "Invalid body", "the body must be a JSON object")
    return body


def book(request: HttpRequest, cursor: Any) -> Answer:
    body = json_object(request)
    return Barrier(cursor).do(request.headers, "POST /bookings", body, lambda: add_booking(cursor, body))


def cancel(request: HttpRequest, cursor: Any) -> Answer:
    return Barrier(cursor).undo(request.headers, lambda done: delete_booking(cursor, done.reply["id"]))


def outcome(request: HttpRequest, cursor: Any) -> Answer:
    return Barrier(cursor).outcome(request.headers)


def add_booking(cursor: Any, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
    city = body.get("city")
    if not isinstance(city, str) or not city or "\0" in city:
        raise Problem(400, "Invalid body", "city is required")
    if city == "Atlantis":
        raise Refused(409, "No seat", f"there is no seat to {city}")
    cursor.execute("INSERT INTO booking (city) VALUES (%s) RETURNING id", [city])
    return 201, {"id": str(cursor.fetchone()[0]), "city": city}


def delete_booking(cursor: Any, booking_id: str) -> tuple[int, dict[str, Any]]:
    cursor.execute("DELETE FROM booking WHERE id = %s", [int(booking_id)])
    return 200, {"cancelled": booking_id}


def bookings(request: HttpRequest, cursor: Any) -> Answer:
    if request.method == "POST":
        return book(request, cursor)
    cursor.execute("SELECT id, city FROM booking ORDER BY id")
    rows = [{"id": row[0], "city": row[1]} for row in cursor.fetchall()]
    return Answer(status=200, body={"bookings": rows}, replayed=False)


urlpatterns = [
    path("bookings", answered(bookings)),
    path("bookings/undo", answered(cancel)),
    path("bookings/outcome", answered(outcome)),
]


class Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True


class Quiet(WSGIRequestHandler):
    def log_message(self, *_arguments: object) -> None:
        """Print nothing for each request."""


if __name__ == "__main__":
    application = get_wsgi_application()
    with connection.cursor() as start:
        start.execute(CREATE)
        start.execute("CREATE TABLE IF NOT EXISTS booking (id bigserial PRIMARY KEY, city text NOT NULL)")
    make_server("127.0.0.1", int(os.environ["PORT"]), application, Server, Quiet).serve_forever()
