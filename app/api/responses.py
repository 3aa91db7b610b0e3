"""The headers of answers: content type, caching, Content-Security-Policy, and the URL of the saga."""

import base64
import hashlib
from uuid import UUID

from flask import Response, request

from diagrams.picture.style import STYLE

_TEXT_TYPES = {
    "dot": "text/vnd.graphviz; charset=utf-8",
    "md": "text/markdown; charset=utf-8",
    "mmd": "text/plain; charset=utf-8",
    "puml": "text/plain; charset=utf-8",
}


def saga_url(saga_id: UUID) -> str:
    """Return the path of a saga's resource, below the prefix of a proxy. `url_for` returns the same in 30 us more."""
    return f"{request.root_path}/api/v1/sagas/{saga_id}"


def with_location(answer: Response, location: str, *, replayed: bool) -> Response:
    """Add the headers of an answer about one saga. replayed: an earlier request with the same key started the saga."""
    answer.headers["Location"] = location
    if replayed:
        answer.headers["Idempotent-Replayed"] = "true"
    return answer


def picture_answer(svg: str, max_age_s: int) -> Response:
    return _answer(svg, "image/svg+xml", max_age_s, f"default-src 'none'; style-src {_style_hash(STYLE)}")


def text_answer(kind: str, text: str, max_age_s: int) -> Response:
    return _answer(text, _TEXT_TYPES[kind], max_age_s, "default-src 'none'")


def page_answer(page: tuple[str, str], max_age_s: int) -> Response:
    """Return the answer for a page. page: the HTML, and the one style sheet that it contains."""
    html, style = page
    own = f"img-src 'self'; style-src {_style_hash(style)}; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    return _answer(html, "text/html; charset=utf-8", max_age_s, f"default-src 'none'; {own}")


def _style_hash(style: str) -> str:
    """Return the hash by which a Content-Security-Policy allows one style sheet."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()}'"


def _answer(body: str, content_type: str, max_age_s: int, policy: str) -> Response:
    answer = Response(body, content_type=content_type)
    answer.headers["Content-Security-Policy"] = policy
    answer.headers["X-Content-Type-Options"] = "nosniff"
    # private: a cache that several people share must not store counts or the path of a saga.
    answer.headers["Cache-Control"] = f"private, max-age={max_age_s}" if max_age_s else "private, no-cache"
    answer.add_etag()
    answer.make_conditional(request)
    return answer
