"""How pictures and pages go out: what they are, how long they hold, and that nothing in them can do anything."""

import base64
import hashlib

from flask import Response, request

from diagrams.picture.style import STYLE

_TYPES = {
    "dot": "text/vnd.graphviz; charset=utf-8",
    "md": "text/markdown; charset=utf-8",
    "mmd": "text/plain; charset=utf-8",
    "puml": "text/plain; charset=utf-8",
}


def as_picture(svg: str, max_age_s: int) -> Response:
    return _answer(svg, "image/svg+xml", max_age_s, f"default-src 'none'; style-src {style_hash(STYLE)}")


def as_text(kind: str, text: str, max_age_s: int) -> Response:
    return _answer(text, _TYPES[kind], max_age_s, "default-src 'none'")


def as_page(page: tuple[str, str], max_age_s: int) -> Response:
    """Send HTML with the one style sheet that it holds."""
    html, style = page
    own = f"img-src 'self'; style-src {style_hash(style)}; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    return _answer(html, "text/html; charset=utf-8", max_age_s, f"default-src 'none'; {own}")


def style_hash(style: str) -> str:
    """Name the one style that a Content-Security-Policy lets through."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()}'"


def _answer(body: str, content_type: str, max_age_s: int, policy: str) -> Response:
    answer = Response(body, content_type=content_type)
    answer.headers["Content-Security-Policy"] = policy
    answer.headers["X-Content-Type-Options"] = "nosniff"
    # Private: what is counted, and how a saga fared, is for those who asked.
    answer.headers["Cache-Control"] = f"private, max-age={max_age_s}" if max_age_s else "private, no-cache"
    answer.add_etag()
    answer.make_conditional(request)
    return answer
