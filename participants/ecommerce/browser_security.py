"""Protection of the visitor's browser: no writes from other sites (CSRF), and a Content Security Policy."""

from urllib.parse import urlsplit

from flask import Response, request
from werkzeug.exceptions import Forbidden

_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)


def require_same_origin() -> None:
    """Raise Forbidden for a write that a page of another site has sent.

    A browser names the site of the page in Sec-Fetch-Site. An older browser, or a browser on plain HTTP, names it in
    Origin. A client that sends neither header is not a browser, so it cannot misuse the rights of a visitor.
    """
    if request.method in {"GET", "HEAD", "OPTIONS"}:
        return
    site, origin = request.headers.get("Sec-Fetch-Site"), request.headers.get("Origin")
    if site is not None:
        foreign = site not in {"same-origin", "none"}
    else:
        foreign = origin is not None and urlsplit(origin).netloc != request.host
    if foreign:
        raise Forbidden("This was sent from a page of another site; open the shop itself and try again.")


def add_security_headers(response: Response) -> Response:
    response.headers["Content-Security-Policy"] = _POLICY
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers["Referrer-Policy"] = "same-origin"
    # A cached page would show an old state of the order, and its form would send a used key.
    if request.endpoint != "ecommerce.static":
        response.headers["Cache-Control"] = "no-store"
    return response
