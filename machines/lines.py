"""Texts from outside on one line: the words of a participant, of an event or of a person, as they are stored."""

import re

LONGEST_WORDS = 500  # largest number of characters that are kept of a text from a participant or an event
_BREAKS = re.compile(r"[\s\u0085\u2028\u2029]+")
#: Control characters, and characters that change the direction of the text after them.
_CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


def one_line(words: object) -> str:
    """Return a text from outside on one line, shortened to LONGEST_WORDS characters and without control characters."""
    text = str(words)
    if len(text) <= LONGEST_WORDS and text.isprintable():
        return text
    line = _CONTROLS.sub("\N{REPLACEMENT CHARACTER}", _BREAKS.sub(" ", text[: 2 * LONGEST_WORDS])).strip()
    return line if len(line) <= LONGEST_WORDS and len(text) <= 2 * LONGEST_WORDS else shortened(line + "…")


def shortened(words: str, longest: int = LONGEST_WORDS) -> str:
    """Return a text of at most `longest` characters. A longer text is cut, and ends with an ellipsis."""
    return words if len(words) <= longest else f"{words[: longest - 1]}…"
