import time
from uuid import UUID, uuid4

import pytest

from app.store.saga_ids import child_id, is_named_by, new_id, short_id

ID = UUID("019ac8f2-1234-7abc-9def-0123456789ab")


def test_ids_are_uuids_of_version_7_with_the_time_of_the_start():
    before_ms = time.time_ns() // 1_000_000
    ids = [new_id() for _ in range(100)]
    after_ms = time.time_ns() // 1_000_000
    assert {(each.version, each.variant) for each in ids} == {(7, "specified in RFC 4122")}
    assert all(before_ms <= each.int >> 80 <= after_ms for each in ids)
    assert len({short_id(each) for each in ids}) == 100


@pytest.mark.parametrize("parent", [new_id(), uuid4(), UUID(int=7)])
def test_child_has_the_first_48_bits_of_its_parent(parent):
    children = {child_id(parent) for _ in range(100)}
    assert len(children) == 100
    assert {each.int >> 80 for each in children} == {parent.int >> 80}
    assert {each.version for each in children} == {parent.version or 7}


@pytest.mark.parametrize(
    ("digits", "named"),
    [
        ("019ac8", True), (ID.hex, True), ("456789ab", True), ("0123456789ab", True),
        ("6789ab", False), ("556789ab", False), ("1123456789ab", False),
    ],
)  # fmt: skip
def test_id_is_named_by_its_first_digits_or_at_least_eight_last_ones(digits, named):
    assert is_named_by(ID, digits) == named
