"""The policies for browsers: Content-Security-Policy for this service's pages, and CORS for pages of other sites."""

import secrets

from flask import Flask, Response, g, request

#: Request headers that a page of another site may send, and headers of an answer that the page may read.
SENT = ("Authorization", "Content-Type", "Idempotency-Key", "If-None-Match", "Prefer", "X-API-Key", "traceparent")
READ = ("ETag", "Idempotent-Replayed", "Location", "Retry-After", "Saga-Key-Expires")
#: Types of answers with data of sagas.
_DATA = frozenset({"application/json", "application/problem+json"})
#: Seconds for which a browser may cache the answer to a preflight request.
PREFLIGHT_CACHE_S = 600
_PAGE = "text/html"
#: The types in which an error is answered; the first one that a sender likes as much as the others.
_ANSWERS = ("application/problem+json", "application/json", _PAGE)


def prefers_page() -> bool:
    """Return True when the sender of the request likes a page best, as a browser does.

    `accept_mimetypes.best` is no answer: it is the most specific type of the header. From Chromium that is
    `application/signed-exchange;v=b3`, with the lowest quality.
    """
    return request.accept_mimetypes.best_match(_ANSWERS) == _PAGE


def install_csp(app: Flask) -> None:
    """Add to every page a Content-Security-Policy that allows only the scripts and styles of this service."""
    app.jinja_env.globals["csp_nonce"] = csp_nonce
    app.after_request(_add_headers)


def install_cors(app: Flask, origins: tuple[str, ...]) -> None:
    """Let pages of these origins call the API from a browser.

    Such a page sends an API key in a header. It needs no cookie of a signed-in person, so CORS allows none.
    """
    from flask_cors import CORS  # noqa: PLC0415  only with CORS_ORIGINS, because the import takes 0.1 s

    CORS(
        app,
        resources={"/api/.*": {"origins": list(origins)}},
        allow_headers=list(SENT),
        expose_headers=list(READ),
        supports_credentials=False,
        send_wildcard=True,  # the answer to any origin is `*`: a browser then sends no cookie
        max_age=PREFLIGHT_CACHE_S,
    )


def csp_nonce() -> str:
    """Return the nonce that marks the scripts and styles of this answer as those of this service."""
    if "csp_nonce" not in g:
        g.csp_nonce = secrets.token_urlsafe(16)
    return str(g.csp_nonce)


def _add_headers(answer: Response) -> Response:
    if answer.mimetype == "text/html" and "Content-Security-Policy" not in answer.headers:
        own = f"'self' 'nonce-{csp_nonce()}'"
        answer.headers["Content-Security-Policy"] = (
            f"default-src 'none'; script-src {own}; style-src {own}; img-src 'self' data:; font-src 'self'; "
            "connect-src 'self'; manifest-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
        )
        answer.headers["X-Content-Type-Options"] = "nosniff"
        answer.headers["Referrer-Policy"] = "same-origin"  # Flask-WTF checks the Referer over TLS
        answer.headers.setdefault("Cache-Control", "no-store")
    elif answer.mimetype in _DATA and "Cache-Control" not in answer.headers:
        # A shared cache does not know that an answer depends on X-API-Key.
        answer.headers["Cache-Control"] = "no-store"
        answer.headers["X-Content-Type-Options"] = "nosniff"
    return answer
