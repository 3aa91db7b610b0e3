"""What protects whoever has the shop open: nothing is taken from another site, and nothing in a page comes from one."""

from urllib.parse import urlsplit

from flask import Response, request
from werkzeug.exceptions import Forbidden

_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)


def require_same_origin() -> None:
    """Refuse a write that a page of another site has sent.

    A browser says so itself in Sec-Fetch-Site; an older one, or one on plain HTTP, in Origin. Who sends neither is no
    browser, and carries nobody's rights.
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


def seal(response: Response) -> Response:
    response.headers["Content-Security-Policy"] = _POLICY
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers["Referrer-Policy"] = "same-origin"
    # A page taken from a cache would show an order as it was, and send a key that was used.
    if request.endpoint != "ecommerce.static":
        response.headers["Cache-Control"] = "no-store"
    return response
