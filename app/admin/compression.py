"""Compression of the pages: an open page is fetched again every two seconds."""

import gzip

from flask import Response, request

#: Smallest page, in bytes, that is worth compressing; level of the compression.
_COMPRESSED, _LEVEL = 1024, 5


def compressed(answer: Response) -> Response:
    """Compress a page for a browser that takes gzip.

    The session's cookie is SameSite=Strict, so another site cannot measure pages of a signed-in person.
    """
    answer.vary.add("Accept-Encoding")
    takes = request.accept_encodings.quality("gzip") > 0
    if not takes or answer.mimetype != "text/html" or answer.is_streamed or "Content-Encoding" in answer.headers:
        return answer
    page = answer.get_data()
    if len(page) >= _COMPRESSED:
        answer.set_data(gzip.compress(page, _LEVEL, mtime=0))
        answer.headers["Content-Encoding"] = "gzip"
    return answer
