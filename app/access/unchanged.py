"""304 Not Modified: a reader who asks again and again, such as an open page, gets a body only when it has changed."""

import hashlib
import re

from flask import Flask, Response, request

#: The token of a form, and the server's clock. They differ in each answer and say nothing new to the reader.
_VARYING = re.compile(rb'name="csrf_token" value="[^"]*"|data-now="[^"]*"')


def install(app: Flask) -> None:
    """Answer the API's requests to read with an ETag. The pages call `not_modified` before they are compressed."""
    app.after_request(_json)


def not_modified(answer: Response) -> Response:
    """Add the ETag to an answer to GET. Drop the body when the reader has it already (If-None-Match)."""
    if request.method != "GET" or answer.status_code != 200 or answer.is_streamed or "ETag" in answer.headers:  # noqa: PLR2004
        return answer
    body = _VARYING.sub(b"", answer.get_data()) if answer.mimetype == "text/html" else answer.get_data()
    answer.set_etag(hashlib.sha256(body).hexdigest()[:32], weak=True)
    answer.make_conditional(request)
    return answer


def _json(answer: Response) -> Response:
    of_api = answer.mimetype == "application/json" and request.path.startswith("/api/")
    return not_modified(answer) if of_api else answer
