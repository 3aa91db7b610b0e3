from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest

from app.admin.gantt import gantt

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


@dataclass
class Row:
    after_s: float
    duration_ms: float | None = 1000.0
    step: str | None = "pay"
    direction: str | None = "do"

    @property
    def at(self):
        return NOON + timedelta(seconds=self.after_s)


def test_saga_without_a_call_has_no_chart():
    assert gantt([Row(0, None)]) is None


def test_attempt_ends_at_its_row_and_starts_its_duration_before():
    drawn = gantt([Row(1), Row(2.0, step="ship")])
    assert [(lane.step, lane.bars[0].left, lane.bars[0].width) for lane in drawn.lanes] == [
        ("pay", 0, 50),
        ("ship", 50, 50),
    ]
    assert (drawn.started_at, drawn.seconds) == (NOON, 2)


def test_attempts_of_one_commit_follow_each_other():
    drawn = gantt([Row(4, 1000, "read"), Row(4, 3000, "pay")])
    assert [(lane.bars[0].left, lane.bars[0].width) for lane in drawn.lanes] == [(0, 25), (25, 75)]


def test_attempts_of_one_call_share_a_lane_and_its_undo_has_its_own():
    drawn = gantt([Row(1), Row(2), Row(3, direction="undo")])
    assert [(lane.direction, [bar.number for bar in lane.bars]) for lane in drawn.lanes] == [
        ("do", [0, 1]),
        ("undo", [2]),
    ]


def test_long_wait_is_cut_and_labelled():
    drawn = gantt([Row(1), Row(30_001)])
    (cut,) = drawn.cuts
    assert cut.seconds == 29_999
    first, second = (bar for lane in drawn.lanes for bar in lane.bars)
    assert first.width == pytest.approx(second.width)
    assert first.width > 40
    assert cut.left == pytest.approx(first.width)
    assert second.left + second.width == pytest.approx(100)
    assert drawn.seconds == 30_001


def test_a_short_wait_is_kept():
    assert gantt([Row(1), Row(2.1)]).cuts == ()


def test_labels_of_close_waits_are_in_separate_rows():
    drawn = gantt([Row(100 * number) for number in range(21)])
    assert (drawn.rows, [cut.row for cut in drawn.cuts]) == (2, [0, 1] * 10)
    assert gantt([Row(1), Row(100), Row(200)]).rows == 1
    assert gantt([Row(1)]).rows == 0


def test_calls_that_took_no_time_are_drawn():
    # SVG does not draw a rectangle of width 0, so a call of 0 ms would be invisible.
    drawn = gantt([Row(0, 0.0)])
    assert [(bar.left, bar.width) for bar in drawn.lanes[0].bars] == [(0, 0.1)]
