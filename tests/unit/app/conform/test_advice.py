"""What the findings of `saga conform` mean for the table."""

import pytest

from app.conform.lines import LINES, Finding, Verdict, conclusion
from machines.participant_kinds import ParticipantKind


def finding(name, verdict=Verdict.KEPT, **others):
    return Finding(line=LINES[name], verdict=verdict, why="", required=True, **others)


def said(*others, has_undo=True):
    names = {each.line.name for each in others}
    kept = [finding(name) for name in LINES if name not in names]
    return conclusion([*kept, *others], has_undo=has_undo)[1]


def test_participant_that_keeps_all_but_a_probe_that_the_step_has_not_keeps_the_barrier():
    assert said() == said(finding("probe", Verdict.NOT_TRIED)) == "It keeps the barrier: a table may use everything."


@pytest.mark.parametrize("name", ["poll", "poll-unknown", "poll-undone", "answer", "answer-undone"])
def test_no_kind_is_promised_when_a_later_answer_was_not_tried(name):
    assert said(finding(name, Verdict.NOT_TRIED)).endswith(f"so its kind is not known: see {name}.")


def test_undo_that_the_step_has_not_leaves_nothing_to_try():
    assert said(finding("poll-undone", Verdict.NOT_TRIED), has_undo=False).startswith("It keeps the barrier")


def test_participant_that_only_fails_at_a_request_that_no_saga_sends_needs_no_other_table():
    assert said(finding("odd-body", Verdict.NOT_KEPT)) == (
        "It keeps idempotency keys, and but for odd-body the barrier: when that is mended, a table may use everything."
    )
    both = said(finding("odd-body", Verdict.NOT_KEPT), finding("late-do", Verdict.NOT_KEPT))
    assert both.startswith("It keeps idempotency keys, but no barrier")


def test_no_table_can_use_a_participant_that_takes_back_the_effects_of_others():
    strict, harmful = (finding("undo-unknown", Verdict.NOT_KEPT, harms=harms) for harms in (False, True))
    assert conclusion([strict], has_undo=True)[0] is ParticipantKind.KEY
    assert conclusion([harmful], has_undo=True)[0] is None
    assert said(harmful).endswith("no table can use it safely.")


def test_answer_that_differs_proves_neither_that_keys_are_kept_nor_that_they_are_not():
    differs = finding("same-key", Verdict.NOT_KEPT, other_answer=True)
    assert conclusion([differs], has_undo=True)[0] is None
    assert said(differs).startswith("A repeated call gets another answer (same-key), so it is not known")
    twice = finding("at-once", Verdict.NOT_KEPT)
    assert conclusion([differs, twice], has_undo=True)[0] is ParticipantKind.NONE
    assert said(differs, twice).startswith("It keeps no idempotency keys")
