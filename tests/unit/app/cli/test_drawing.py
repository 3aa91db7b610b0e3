"""The exact output of `saga show`. Change an expectation only when the screen of an operator shall change."""

from datetime import timedelta

import pytest
from rich.console import Console

from app.cli import drawing
from app.cli.output import draw
from app.cli.show import list_of
from machines.discovery import discover
from machines.history import NOTHING_FOUND, Answer, Finding, Found
from machines.purchase import PURCHASE
from tests.unit.app.cli.saga_in_memory import BEGUN, SagaInMemory, drawn

HAPPENED = Answer(step="enregistrer_vente", happened=True, at=BEGUN + timedelta(seconds=1))


def found(what):
    """Return what ada has recorded about the pivot."""
    return Finding(steps=frozenset({"enregistrer_vente"}), found=what, by="user:ada", at=BEGUN, reason="looked it up")


COMPENSATED = """\
■ compensated in ANNULEE (cancelled)  checkout v1
  saga    1f2e3d4c-0000-4000-8000-000000000001
  error   Record the sale (enregistrer_vente): 409 unpaid invoices
  whose   client 4, store 1
  result  Compensated: every step that was done is undone.
  money   21.00 EUR taken from customer 4, and given back
  started 2026-03-01 02:30:00 UTC, 2m ago
  now     it ended 1m ago, after 700 ms

  ┌ INITIEE (started)
  ✓  lire_panier        done         1 call  12 ms
  ↩  reserver_stock     undone       1 call  12 ms  undo 1 call  12 ms
  ↩  payer              undone       1 call  12 ms  undo 1 call  12 ms
  ✗  enregistrer_vente  refused      1 call  12 ms
     POST ventes/ventes: 409 unpaid invoices
  ━━ point of no return, never passed ━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━
  ○  confirmer          not reached
  └ ANNULEE (cancelled)

  #  AT (UTC)      MOVE                           NOW IN                  TOOK
  1  02:30:00.000  start                          INITIEE
  2  02:30:00.100  lire_panier succeeded          PANIER_RECUPERE        12 ms
  3  02:30:00.200  reserver_stock succeeded       STOCK_RESERVE          12 ms
  4  02:30:00.300  payer succeeded                PAIEMENT_EFFECTUE      12 ms
  5  02:30:00.400  enregistrer_vente refused      ECHEC_ENREGISTREMENT   12 ms
     409 unpaid invoices
  6  02:30:00.500  compensate                     REMBOURSEMENT
  7  02:30:00.600  undo payer succeeded           LIBERATION_STOCK       12 ms
  8  02:30:00.700  undo reserver_stock succeeded  ANNULEE                12 ms
"""
STUCK = """\
! stuck in STUCK_ENREGISTRER_VENTE (stuck: Record the sale)  checkout v1
  saga    1f2e3d4c-0000-4000-8000-000000000001
  error   Record the sale (enregistrer_vente): 503 closed
  whose   client 4, store 1
  result  The engine has stopped at Record the sale (enregistrer_vente); a
          person must decide. Check at ventes whether it happened.
  money   21.00 EUR taken from customer 4, not given back
  started 2026-03-01 02:30:00 UTC, 2m ago
  now     nothing has moved for 1m
  you may saga retry 00000001 --reason '…'
  you may saga compensate 00000001 --reason '…'
  you may saga resolve 00000001 --reason '…'

  ┌ INITIEE (started)
  ✓  lire_panier        done      1 call  12 ms
  ✓  reserver_stock     done      1 call  12 ms
  ✓  payer              done      1 call  12 ms
  !  enregistrer_vente  stuck    2 calls  24 ms
     POST ventes/ventes: 503 closed
  ━━ point of no return, perhaps passed: no clear answer ━━━━━━━━━━━━━━━━━━━━━━━
  ○  confirmer          to come
  └ CONFIRMEE (confirmed)

  #  AT (UTC)      MOVE                          NOW IN                     TOOK
  1  02:30:00.000  start                         INITIEE
  2  02:30:00.100  lire_panier succeeded         PANIER_RECUPERE           12 ms
  3  02:30:00.200  reserver_stock succeeded      STOCK_RESERVE             12 ms
  4  02:30:00.300  payer succeeded               PAIEMENT_EFFECTUE         12 ms
  5  02:30:00.400  enregistrer_vente retry       PAIEMENT_EFFECTUE         12 ms
     503 closed
  6  02:30:00.500  enregistrer_vente exhausted   STUCK_ENREGISTRER_VENTE   12 ms
     503 closed
"""
RUNNING = """\
● running in PANIER_RECUPERE (cart read)  checkout v1
  saga    1f2e3d4c-0000-4000-8000-000000000001
  whose   client 4, store 1
  started 2026-03-01 02:30:00 UTC, 2s ago
  now     last moved 1s ago by h:1; continues, or is taken over, within 28s
  you may saga compensate 00000001 --reason '…'

  ┌ INITIEE (started)
  ✓  lire_panier        done                 1 call  12 ms
  ●  reserver_stock     running  1 call, 1 not sent  24 ms
     POST stock/reserver: no connection could be made
  ○  payer              to come
  ○  enregistrer_vente  to come
  ━━ point of no return, ahead ━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━
  ○  confirmer          to come
  └ CONFIRMEE (confirmed)

  #  AT (UTC)      MOVE                          NOW IN                  TOOK
  1  02:30:00.000  start                         INITIEE
  2  02:30:00.100  lire_panier succeeded         PANIER_RECUPERE        12 ms
  3  02:30:00.200  reserver_stock defer          PANIER_RECUPERE        12 ms
     no connection could be made
  4  02:30:00.300  reserver_stock retry          PANIER_RECUPERE        12 ms
     no connection could be made
"""


@pytest.fixture
def stuck():
    return SagaInMemory().move("succeeded", "succeeded", "succeeded").move("retry", "exhausted", reason="503 closed")


def path_lines(saga, **columns):
    """Return the lines of the output that show the path of the saga."""
    lines = drawn(saga, **columns).splitlines()
    begin = next(number for number, line in enumerate(lines) if line.startswith("  ┌"))
    return lines[begin + 1 : lines.index("", begin) - 1]


def test_a_compensated_saga():
    saga = SagaInMemory().move("succeeded", "succeeded", "succeeded").move("refused", reason="409 unpaid invoices")
    saga.move("compensate", "succeeded", "succeeded")
    assert drawn(saga, error="ECHEC_ENREGISTREMENT: enregistrer_vente: 409 unpaid invoices") == COMPENSATED


def test_a_stuck_saga(stuck):
    assert drawn(stuck, error="STUCK_ENREGISTRER_VENTE: enregistrer_vente: 503 closed") == STUCK


def test_a_running_saga():
    saga = SagaInMemory().move("succeeded").move("defer", "retry", reason="no connection could be made")
    assert drawn(saga, seconds_later=2) == RUNNING


@pytest.mark.parametrize(
    ("due_in_s", "words"),
    [
        (12, "now     waiting for stock (breaker was open), next try in 12 s"),
        (-2, "now     waiting for stock (breaker was open), next try now"),
        (-60, "now     due for 1m, and no process has claimed it; is a service running?"),
    ],
)
def test_saga_that_backs_off_says_for_whom_and_why_it_waits_and_until_when(due_in_s, words):
    saga = SagaInMemory().move("succeeded").move("defer", reason="the breaker of stock is open")
    due_at = BEGUN + timedelta(seconds=120 + due_in_s)
    assert words in drawn(saga, owner=None, due_at=due_at)


def test_overdue_saga_asks_whether_a_service_runs():
    assert "due for 1m, and no process has claimed it; is a service running?" in drawn(SagaInMemory().move("succeeded"))


def test_a_completed_saga_has_passed_the_point_of_no_return():
    text = drawn(SagaInMemory().move(*["succeeded"] * 5))
    assert "━━ point of no return, passed: it only goes forward ━" in text
    assert "you may" not in text
    assert "└ CONFIRMEE" in text


def test_steps_still_to_undo_differ_from_undone_steps():
    saga = SagaInMemory().move("succeeded", "succeeded", "succeeded").move("refused", "compensate", reason="409")
    marks = [line.split("  ")[1:3] for line in path_lines(saga) if line[2] in "✓●↩✗○"]
    assert marks[0] == ["✓", "lire_panier"]
    lines = "\n".join(path_lines(saga))
    assert "✓  reserver_stock     done, to undo" in lines
    assert "●  payer              being undone" in lines


def test_stuck_compensation_differs_from_a_stuck_step():
    saga = SagaInMemory().move("succeeded", "succeeded").move("refused", reason="402").move("compensate")
    saga.move("exhausted", reason="503 closed")
    lines = "\n".join(path_lines(saga))
    assert "!  reserver_stock     stuck undoing" in lines
    assert "POST stock/liberer: 503 closed" in lines


def test_step_in_doubt_is_shown_as_failed_and_undone():
    saga = (
        SagaInMemory().move("succeeded", "succeeded").move("exhausted", reason="timeout").move("compensate_including")
    )
    assert "↩  payer              failed, undone" in "\n".join(path_lines(saga.move("succeeded")))


def test_cancelled_step_is_marked():
    saga = SagaInMemory().move("succeeded", "succeeded").move("cancel", reason="customer called", by="cli:ada")
    text = drawn(saga.move("compensate", "succeeded"))
    assert "✗  payer              cancelled" in text
    assert "cli:ada: customer called" in text


def test_resolved_step_is_shown_as_done_by_hand(stuck):
    lines = "\n".join(path_lines(stuck.move("resolve", reason="found in the books", by="cli:ada")))
    assert "✓  enregistrer_vente  done, by hand" in lines
    assert "●  confirmer          running" in lines


def test_a_definition_of_another_release_still_shows_its_journal():
    text = drawn(SagaInMemory().move("succeeded"), definition=None, definition_version=7)
    assert "This release does not know checkout v7: no path can be drawn." in text
    assert "lire_panier succeeded" in text


def test_a_table_without_a_pivot_has_no_line_and_can_always_be_undone():
    text = drawn(SagaInMemory(PURCHASE).move(*["succeeded"] * 5), definition=PURCHASE)
    assert "point of no return" not in text
    assert "you may saga compensate 00000001" in text


def test_text_of_a_participant_cannot_control_the_terminal(stuck):
    evil = "503 \x1b]0;owned\x07\x1b[2Jgone\nnew line"
    saga = SagaInMemory().move("succeeded").move("retry", reason=evil)
    text = drawn(saga, error=evil, client="\x1b[31m4")
    assert not [character for character in text if character != "\n" and not character.isprintable()]


@pytest.mark.parametrize("width", [60, 80, 120, 200])
def test_no_line_is_wider_than_the_terminal(stuck, width):
    assert max(map(len, drawn(stuck, width, error="STUCK: " + "word " * 40).splitlines())) <= width


def lines_of(width, *rows, total=None):
    console = Console(width=width, color_system=None, force_terminal=False, highlight=False)
    with console.capture() as captured:
        draw(list_of(discover(), rows, total or len(rows), width, BEGUN + timedelta(hours=3)), on=console)
    return captured.get().splitlines()


def test_list_fits_80_columns_with_errors_on_their_own_line(stuck):
    assert lines_of(80, stuck.row(error="STUCK_ENREGISTRER_VENTE: enregistrer_vente: 503 closed")) == [
        "ID        TYPE                 STATUS   STATE                        CLIENT  AGE",
        "00000001  Checkout (checkout)  ! stuck  stuck: Record the sale (ST…  4        3h",
        "          Record the sale (enregistrer_vente): 503 closed",
    ]


def test_list_marks_unfinished_sagas_without_a_table(stuck):
    (*_, note) = lines_of(120, stuck.row(error="STUCK_X: x: 503", definition_version=7))
    assert note.strip() == "checkout v7: its table is not in this release. x: 503"
    (*_, last) = lines_of(120, stuck.row(status="completed", definition_version=7))
    assert "table" not in last


def test_wide_list_shows_whole_ids_and_the_total(stuck):
    wide = lines_of(160, stuck.row(), total=10_000)
    assert wide[1].startswith(
        "1f2e3d4c-0000-4000-8000-000000000001  Checkout (checkout)  ! stuck  stuck: Record the sale"
    )
    assert wide[-1] == "The newest 1 of at least 10,000; --limit shows more."
    assert lines_of(80) == ["No sagas match these filters."]


def test_every_status_has_a_symbol_and_a_word():
    headlines = {
        drawing.headline(None, SagaInMemory().row(status=status)).plain.split(" in ")[0]
        for status in drawing.STATUS_LOOKS
    }
    assert headlines == {
        "○ pending", "● running", "◷ waiting", "↩ compensating", "! stuck", "✓ completed", "■ compensated",
    }  # fmt: skip


def test_a_probe_is_drawn_as_the_probe_that_it_is():
    saga = SagaInMemory().move("succeeded", "succeeded", "succeeded").move("retry", reason="timed out")
    shown = drawn(saga.move("succeeded", reason="probe: 200"), width=100)
    assert "✓  enregistrer_vente (Record the sale)  done     1 call, 1 probe  24 ms" in shown
    assert "probe enregistrer_vente succeeded" in shown


def test_a_pivot_that_is_still_unknown_names_its_probe():
    saga = SagaInMemory().move("succeeded", "succeeded", "succeeded").move("retry", reason="timed out")
    shown = drawn(saga.move("exhausted", reason="still unknown: 404"))
    assert "1 call, 1 probe" in shown
    assert "GET ventes/ventes/outcome: still unknown: 404" in shown


@pytest.mark.parametrize(
    ("known", "mark", "word", "line"),
    [
        ({}, "✗", "unknown", "perhaps passed: no clear answer"),
        (
            {"answers": (HAPPENED,)},
            "✗",
            "took effect",
            "passed, although the saga went back",
        ),
        (
            {"finding": found(Found.HAPPENED)},
            "✗",
            "happened, says ada",
            "passed, says ada, although the saga went back",
        ),
        (
            {"finding": found(Found.PUT_RIGHT)},
            "↩",
            "undone by hand, says ada",
            "passed, undone by hand, says ada",
        ),
        ({"finding": found(Found.NOT_HAPPENED)}, "✗", "did not happen, says ada", "never passed"),
    ],
)
def test_compensated_saga_says_what_is_known_of_its_pivot(stuck, known, mark, word, line):
    lines = drawn(stuck.move("compensate", "succeeded", "succeeded"), width=120, **known)
    assert f"{mark}  enregistrer_vente (Record the sale)  {word} " in lines
    assert f"point of no return, {line} ━" in lines


def test_pivot_whose_call_was_never_sent_is_still_ahead():
    saga = (
        SagaInMemory().move("succeeded", "succeeded", "succeeded").move("defer", reason="the breaker of ventes is open")
    )
    assert "━━ point of no return, ahead ━" in drawn(saga)


def test_undo_that_only_a_person_confirmed_is_undone_by_hand():
    saga = SagaInMemory().move("succeeded", "succeeded").move("refused", reason="402").move("compensate")
    saga.move("exhausted", reason="503 closed").move("resolve", reason="called them", by="cli:ada")
    assert "↩  reserver_stock     undone, by hand" in "\n".join(path_lines(saga))


def test_undo_that_found_nothing_is_still_unknown():
    saga = (
        SagaInMemory().move("succeeded", "succeeded").move("exhausted", reason="timeout").move("compensate_including")
    )
    assert "✗  payer              unknown" in "\n".join(
        path_lines(saga.move("succeeded", reason=f"{NOTHING_FOUND}404"))
    )
