"""Passwords that are guessed first, although they are long enough."""

import re

#: Words of which most guessed passwords are made, in lower case, without digits.
_WORDS = (
    "password", "passwort", "motdepasse", "passw", "pass", "welcome", "letmein", "iloveyou", "administrator", "admin",
    "operator", "viewer", "orchestrator", "saga", "secret", "changeme", "change", "default", "master", "dragon",
    "monkey", "football", "baseball", "princess", "sunshine", "superman", "batman", "trustno", "whatever", "starwars",
    "login", "hello", "test", "user", "root", "access", "shadow", "michael", "summer", "winter", "spring", "autumn",
    "january", "qwertyuiop", "qwertzuiop", "azertyuiop", "asdfghjkl", "zxcvbnm", "qwerty", "qwertz", "azerty", "asdfgh",
    "abc",
)  # fmt: skip
#: Signs that stand for a letter.
_LETTERS = str.maketrans("013457@$!", "oieastasi")
#: Fewest letters that must be left without the words above and the user's name, and fewest different characters.
_FEWEST_LETTERS, _FEWEST_DIFFERENT = 4, 6
#: What is no letter, and all of it before the first letter and behind the last one.
_OTHER, _ENDS = re.compile(r"[\W\d_]"), re.compile(r"^[\W\d_]+|[\W\d_]+$")
#: Four or more letters in the order of the alphabet.
_ALPHABET = re.compile("abcd|efgh|ijkl|mnop|qrst|uvwx|bcde|fghi|jklm|nopq|rstu|cdef|ghij|klmn|opqr|stuv|defg|hijk")
#: A text of up to four characters, several times.
_REPEATED = re.compile(r"(.{1,4})\1{2,}.{0,3}")


def is_weak(password: str, name: str) -> bool:
    """Return True for a password that is made of well-known words, the user's name, digits and repetitions."""
    plain = password.lower()
    if len(set(plain)) < _FEWEST_DIFFERENT or _REPEATED.fullmatch(plain):
        return True
    core = _OTHER.sub("", _ENDS.sub("", plain).translate(_LETTERS))
    for word in (_OTHER.sub("", name.lower()), *_WORDS):
        core = core.replace(word, " ") if word else core
    return len(_ALPHABET.sub("", core).replace(" ", "")) < _FEWEST_LETTERS
