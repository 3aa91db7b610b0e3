"""The bytes of the pages: compressed, because an open page is fetched again every two seconds, and in one direction."""

import gzip
import re

from flask import Response, request

#: Smallest page, in bytes, that is worth compressing; level of the compression.
_COMPRESSED, _LEVEL = 1024, 5
#: Characters that change the direction of the text behind them, and the sign that is shown instead.
TURNS, _SHOWN = re.compile("[\u202a-\u202e\u2066-\u2069]"), "\N{REPLACEMENT CHARACTER}"


def in_one_direction(answer: Response) -> Response:
    """Show the characters of a page that change the direction of text, so that no text of a person looks like another.

    These are in reasons, notes and names of people, which are stored as they were written.
    """
    if (
        answer.mimetype == "text/html"
        and not answer.is_streamed
        and TURNS.search(page := answer.get_data(as_text=True))
    ):
        answer.set_data(TURNS.sub(_SHOWN, page))
    return answer


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
