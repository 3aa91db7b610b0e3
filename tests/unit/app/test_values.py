from decimal import Decimal

import pytest

from app.values import (
    DEEPEST,
    LONGEST_NUMBER,
    UnreadableError,
    check,
    parsed,
    parsed_strictly,
    read_back,
    written,
)
from machines.lines import one_line

NESTED = b'{"a":' * (DEEPEST - 1) + b"[]" + b"}" * (DEEPEST - 1)


@pytest.mark.parametrize(
    ("content", "value", "form"),
    [
        (b"12345678901234567890123", Decimal(12345678901234567890123), b"12345678901234567890123"),
        (b"-9223372036854775809", Decimal(-9223372036854775809), b"-9223372036854775809"),
        (b"18446744073709551615", 18446744073709551615, b"18446744073709551615"),
        (b"0.1234567890123456789", Decimal("0.1234567890123456789"), b"0.1234567890123456789"),
        (b"123456789.12345678901", Decimal("123456789.12345678901"), b"123456789.12345678901"),
        (b"9007199254740993.0", 9007199254740993, b"9007199254740993"),
        (b"1e16", 10**16, b"10000000000000000"),
        (b"1E22", Decimal(10**22), b"10000000000000000000000"),
        (b"1.10", 1.1, b"1.1"),
        (b"100.0", 100.0, b"100.0"),
        (b"-0.0", 0.0, b"0.0"),
        (b"1e-7", 1e-7, b"1e-7"),
        (b"0.1", 0.1, b"0.1"),
    ],
)
def test_a_number_keeps_its_exact_value_and_has_one_form(content, value, form):
    for read in (parsed, parsed_strictly):
        found = read(b'{"n": %b}' % content)["n"]
        assert (found, type(found)) == (value, type(value))
        assert written(found) == form


@pytest.mark.parametrize("sign", ["", "-"])
@pytest.mark.parametrize(
    "number",
    ["1e307", "1.7976931348623157e308", "1.8e308", "2e308", "1e309", "1e310", "1e399", "1e-399", "5e-324",
     "9" * 309, "9" * LONGEST_NUMBER, "9" * 309 + ".5"],
)  # fmt: skip
def test_every_accepted_number_reads_back_unchanged(sign, number):
    taken = parsed(f'{{"n": [{sign}{number}]}}'.encode())
    assert read_back(written(taken)) == taken


def test_stored_number_beyond_the_present_bounds_is_read_back():
    digits = "9" * (LONGEST_NUMBER + 5000)
    assert read_back(f'{{"n": {digits}}}') == {"n": Decimal(digits)}


def test_members_are_written_in_the_order_of_their_names():
    assert written(parsed(b'{"b": {"zz": 1, "a": 2}, "a": [{"y": 1, "x": 2}]}')) == (
        b'{"a":[{"x":2,"y":1}],"b":{"a":2,"zz":1}}'
    )


@pytest.mark.parametrize(
    ("content", "phrase", "pointer"),
    [
        (b'{"a":' * DEEPEST + b"[]" + b"}" * DEEPEST, "nested deeper than 100", "/a" * DEEPEST),
        (b"[" * 300 + b"]" * 300, "nested deeper than 100", "/0" * DEEPEST),
        (b"[" * 100_000 + b"]" * 100_000, "nested deeper than 100", ""),
        (b'{"n": 1e400}', "a number of more than 400 digits", ""),
        (b'{"n": 1e-400}', "a number of more than 400 digits", ""),
        (b'{"n": 1e999999999999999999999}', "a number of more than 400 digits", ""),
        (b'{"n": %b}' % (b"9" * (LONGEST_NUMBER + 1)), "a number of more than 400 digits", ""),
        (b'{"n": NaN}', "NaN, which is no JSON number", ""),
        (b'{"a/b": {"~": "x\\u0000"}}', "a NUL character in a text", "/a~1b/~0"),
        (b'{"x\\u0000": 1}', "a NUL character in a text", "/x\ufffd"),
        (b'["\\ud800"]', "a lone surrogate in a text", "/0"),
        (b'"\xff"', "not UTF-8", ""),
        (b"OK", "no JSON (Expecting value: line 1 column 1 (char 0))", ""),
    ],
)
def test_unstorable_value_is_refused_with_the_reason(content, phrase, pointer):
    for read in (parsed, parsed_strictly):
        with pytest.raises(UnreadableError) as refused:
            read(content)
        assert (str(refused.value), refused.value.pointer) == (phrase, pointer)


def test_value_at_the_bounds_is_accepted():
    assert parsed(NESTED) == parsed_strictly(NESTED)
    assert parsed(b'{"n": %b}' % (b"9" * LONGEST_NUMBER))["n"] == int("9" * LONGEST_NUMBER)
    assert parsed(b'{"n": 5e-324, "x": 1.7976931348623157e308}')["n"] == 5e-324


def test_text_backslash_u0000_is_not_a_nul():
    assert parsed(rb'["\\u0000"]') == parsed_strictly(rb'["\\u0000"]') == [r"\u0000"]


def test_duplicate_name_in_a_request_is_refused_and_named():
    with pytest.raises(UnreadableError, match="the name 'b' stands twice"):
        parsed_strictly(b'{"a": {"b": 1, "b": 2}}')


def test_duplicate_name_is_found_among_many():
    """If each name were compared with all others, the test would take minutes."""
    names = ",".join(f'"name {number}": 0' for number in range(50_000))
    with pytest.raises(UnreadableError, match="'name 49999' stands twice"):
        parsed_strictly(f'{{{names}, "name 49999": 1}}'.encode())


def test_a_long_name_above_many_values_is_not_copied_for_each():
    check({"n" * 1_000_000: ["x"] * 100_000})


@pytest.mark.parametrize(
    ("words", "line"),
    [
        ("the balance lacks 5", "the balance lacks 5"),
        ("two\r\nlines\tand\u2028more", "two lines and more"),
        ("\x1b[31mred \u202egnp.exe", "\ufffd[31mred \ufffdgnp.exe"),
        ("z" * 501, "z" * 499 + "…"),
        ("\n" * 1_000_000 + "z", "…"),
        ("z" * 1_000_000, "z" * 499 + "…"),
        ("\ud800", "\ufffd"),
        (["a", {"b": 1}], "['a', {'b': 1}]"),
    ],
)
def test_foreign_text_becomes_one_short_line(words, line):
    assert one_line(words) == line
