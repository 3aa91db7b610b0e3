"""Which pages of other sites may use the API from a browser: those of CORS_ORIGINS.

A page never uses the cookie of a person who is signed in here: it sends an API key. So no origin is allowed
credentials, and least of all `*`.
"""

from flask import Flask
from flask_cors import CORS

#: What a page may send beside what every page may, and what it may read of an answer.
SENT = ("Authorization", "Content-Type", "Idempotency-Key", "Prefer", "X-API-Key", "traceparent")
READ = ("Idempotent-Replayed", "Location", "Retry-After")
#: How long a browser may remember the leave that it asked for.
REMEMBERED_S = 600


def install(app: Flask, origins: tuple[str, ...]) -> None:
    CORS(
        app,
        resources={"/api/.*": {"origins": list(origins)}},
        allow_headers=list(SENT),
        expose_headers=list(READ),
        supports_credentials=False,
        send_wildcard=True,  # `*` is answered as `*`, with which no browser sends a cookie
        max_age=REMEMBERED_S,
    )
