"""What every page is sent with: a policy that lets only our own scripts and styles run."""

import secrets

from flask import Flask, Response, g


def install(app: Flask) -> None:
    app.jinja_env.globals["csp_nonce"] = csp_nonce
    app.after_request(_add)


def csp_nonce() -> str:
    """Give the word that marks the scripts and styles of this one answer as ours."""
    if "csp_nonce" not in g:
        g.csp_nonce = secrets.token_urlsafe(16)
    return str(g.csp_nonce)


def _add(answer: Response) -> Response:
    if answer.mimetype == "text/html" and "Content-Security-Policy" not in answer.headers:
        own = f"'self' 'nonce-{csp_nonce()}'"
        answer.headers["Content-Security-Policy"] = (
            f"default-src 'none'; script-src {own}; style-src {own}; img-src 'self' data:; font-src 'self'; "
            "connect-src 'self'; manifest-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
        )
        answer.headers["X-Content-Type-Options"] = "nosniff"
        answer.headers["Referrer-Policy"] = "same-origin"  # what Flask-WTF looks at over TLS
        answer.headers.setdefault("Cache-Control", "no-store")
    return answer
