"""The cause of an error: its text without ids and numbers, so that sagas that failed in one way are one group.

`503 request 4711 failed` and `503 request 4712 failed` have one cause. `500 request 4711 failed` has another, because
the HTTP status is kept.

An error that says how the probe and the last attempt ended has the cause of the last attempt: what a probe answers
after the same failure differs from saga to saga.
"""

import re
from functools import lru_cache

#: Most errors whose causes a process remembers. Each has at most 500 characters where a list shows it.
_REMEMBERED = 8_192
#: A word of letters, digits, - and _. A word with a digit is an id or a number.
_WORD = re.compile(r"[0-9A-Za-z_-]+")
#: Parts of one number, date or time: 12.50, or 10:31:07.
_PARTS = re.compile(r"#([.,:]#)+")
#: HTTP status of an error such as `STUCK_PAY: pay: 503 closed`.
_STATUS = re.compile(r": ([1-5][0-9][0-9])( |\Z)")
#: State and step of an error, and what comes before its last attempt, see machines.attempts.
_BEFORE_LAST = re.compile(r"\A([^:]*: [^:]*: ).*; the last attempt: ", re.DOTALL)


@lru_cache(_REMEMBERED)
def cause(error: str | None) -> str | None:
    """Return the cause of an error. It is remembered, because the pages need it again with each request.

    SQLite calls this function. PostgreSQL computes the same, see `cause_of` in app.store.database.
    """
    if error is None:
        return None
    error = _BEFORE_LAST.sub(r"\1", error)
    status = _STATUS.search(error)
    words = _WORD.sub(lambda word: "#" if any(map(str.isdigit, word[0])) else word[0], error)
    return f"{status[1] if status else ''}|{_PARTS.sub('#', words)}"
