import dataclasses
from types import SimpleNamespace
from typing import Any

import pytest

from diagrams.descriptions import retry_note
from diagrams.overlays.diff import Diff, diff_markdown, diff_overlay
from diagrams.overlays.heat import duration, heat_overlay
from diagrams.overlays.path import path_overlay
from diagrams.picture.svg import svg
from machines.checkout import CHECKOUT
from machines.retry import Retry
from machines.saga import Saga


def move(source: str | None, trigger: str, dest: str, reason: str | None = None) -> Any:
    return SimpleNamespace(source=source, trigger=trigger, dest=dest, reason=reason, actor="engine")


REFUSED = [
    move(None, "start", "INITIEE"),
    move("INITIEE", "succeeded", "PANIER_RECUPERE"),
    move("PANIER_RECUPERE", "succeeded", "STOCK_RESERVE"),
    move("STOCK_RESERVE", "retry", "STOCK_RESERVE", "503"),
    move("STOCK_RESERVE", "refused", "ECHEC_PAIEMENT", "402 the card was refused"),
    move("ECHEC_PAIEMENT", "compensate", "LIBERATION_STOCK"),
]
QUARANTINED = move("STOCK_RESERVE", "quarantine", "STUCK_PAYER", "claimed 5 times")


def test_path_is_numbered_and_remaining_steps_are_listed():
    overlay = path_overlay(CHECKOUT, "id", "compensating", "LIBERATION_STOCK", REFUSED)
    assert overlay.notes[("STOCK_RESERVE", "refused", "ECHEC_PAIEMENT")] == "#3"
    assert overlay.notes[("ECHEC_PAIEMENT", "compensate", "LIBERATION_STOCK")] == "#4"
    assert overlay.headline[-1] == "It is in LIBERATION_STOCK. What remains: undo reserver_stock."
    assert overlay.edges["LIBERATION_STOCK", "succeeded", "ANNULEE"] == "ahead"
    assert overlay.edges["PAIEMENT_EFFECTUE", "succeeded", "COMMANDE_ENREGISTREE"] == "dim"


def test_failed_and_current_state_are_highlighted():
    overlay = path_overlay(CHECKOUT, "id", "compensating", "LIBERATION_STOCK", REFUSED)
    assert overlay.states["ECHEC_PAIEMENT"] == "failed"
    assert overlay.lines["ECHEC_PAIEMENT"] == ("402 the card was refused",)
    assert overlay.lines["STOCK_RESERVE"] == ("retry \N{MULTIPLICATION SIGN}1",)
    assert overlay.states["LIBERATION_STOCK"] == "now"
    assert overlay.states["PAIEMENT_EFFECTUE"] == "dim"


def test_possible_decisions_of_a_person_are_not_dimmed():
    overlay = path_overlay(CHECKOUT, "id", "stuck", "STUCK_PAYER", [*REFUSED[:4], QUARANTINED])
    ways_out = {trigger: look for (source, trigger, _), look in overlay.edges.items() if source == "STUCK_PAYER"}
    assert ways_out == dict.fromkeys(("retry", "resolve", "compensate_including"), "ahead")
    assert overlay.edges["STOCK_RESERVE", "quarantine", "STUCK_PAYER"] == "taken"


@pytest.mark.parametrize(
    ("state", "says"),
    [
        ("INITIEE", "What remains: lire_panier, reserver_stock, payer, enregistrer_vente, confirmer."),
        ("CONFIRMEE", "It has ended in CONFIRMEE."),
        ("STUCK_CONFIRMER", "a person decides."),
    ],
)
def test_the_headline_says_what_remains(state: str, says: str):
    assert says in path_overlay(CHECKOUT, "id", "running", state, REFUSED[:1]).headline[-1]


def test_heat_shows_the_share_of_leaving_sagas_without_repeats():
    figures = SimpleNamespace(
        now={"STOCK_RESERVE": 3}, oldest_s={"STOCK_RESERVE": 200.0}, p95_s={"STOCK_RESERVE": 1.25},
        moves={("STOCK_RESERVE", "succeeded", "PAIEMENT_EFFECTUE"): 3,
               ("STOCK_RESERVE", "refused", "ECHEC_PAIEMENT"): 1, ("STOCK_RESERVE", "retry", "STOCK_RESERVE"): 50},
    )  # fmt: skip
    overlay = heat_overlay(CHECKOUT, "1h", figures)
    assert overlay.notes["STOCK_RESERVE", "succeeded", "PAIEMENT_EFFECTUE"] == "75 % (3)"
    assert overlay.notes["STOCK_RESERVE", "refused", "ECHEC_PAIEMENT"] == "25 % (1)"
    assert overlay.lines["STOCK_RESERVE"] == (
        "3 here now, oldest 3 min",
        "p95 1.2 s",
        "retry \N{MULTIPLICATION SIGN}50",
    )
    assert "last 1h" in overlay.headline[0]


def test_heat_of_a_definition_without_sagas():
    nobody: Any = SimpleNamespace(now={}, oldest_s={}, p95_s={}, moves={})
    assert "0 on the way now" in svg(CHECKOUT, heat_overlay(CHECKOUT, "7d", nobody))


@pytest.mark.parametrize(
    ("count", "says"), [((999, 1), (">99 % (999)", "<1 % (1)")), ((1, 1), ("50 % (1)", "50 % (1)"))]
)
def test_a_share_is_never_rounded_to_all_or_nothing(count: tuple[int, int], says: tuple[str, str]):
    edges = (("INITIEE", "succeeded", "PANIER_RECUPERE"), ("INITIEE", "refused", "ECHEC_PANIER"))
    figures: Any = SimpleNamespace(now={}, oldest_s={}, p95_s={}, moves=dict(zip(edges, count, strict=True)))
    overlay = heat_overlay(CHECKOUT, "1h", figures)
    assert tuple(overlay.notes[edge] for edge in edges) == says


def test_durations_have_a_readable_unit():
    texts = [duration(s) for s in (0.0042, 1.5, 119, 120, 7199, 7200, 172_799, 172_800)]
    assert texts == ["4 ms", "1.5 s", "119.0 s", "2 min", "120 min", "2 h", "48 h", "2 d"]


def test_the_difference_of_two_versions(second: Saga):
    found = Diff(old=CHECKOUT, new=second, sagas_by_state={"STOCK_RESERVE": 2, "INITIEE": 5})
    assert {transition.source for transition in found.added} == {
        "POINTS_DONNES",
        "ECHEC_POINTS",
        "POINTS_REPRIS",
        "STUCK_POINTS",
        "STUCK_UNDO_POINTS",
    }
    assert found.removed == []
    assert ("to", "PAIEMENT_EFFECTUE", "POINTS_DONNES") in found.changed["STOCK_RESERVE", "succeeded"]
    assert any(fact[0] == "sent again" for fact in found.changed["REMBOURSEMENT", "retry"])
    others = ("STUCK_PAYER", "ECHEC_PAIEMENT", "REMBOURSEMENT", "STUCK_UNDO_PAYER")
    assert found.touched == {"STOCK_RESERVE": 2} | dict.fromkeys(others, 0)
    assert found.summary.endswith("2 running sagas of checkout v1 are in a changed state")
    assert diff_overlay(found).states["POINTS_DONNES"] == "added"


def test_difference_in_the_opposite_direction(second: Saga):
    there, back = (Diff(old=a, new=b, sagas_by_state={"POINTS_DONNES": 4})
                   for a, b in ((CHECKOUT, second), (second, CHECKOUT)))  # fmt: skip
    assert back.removed == there.added
    assert back.added == there.removed
    assert set(back.changed) == set(there.changed)
    assert "- state POINTS_DONNES: 4 running of checkout v2 here" in diff_overlay(back).footer


def test_a_probe_and_a_deadline_are_differences_too():
    *before, pivot, last = CHECKOUT.steps
    steps = (*before, dataclasses.replace(pivot, probe=None), last)
    new = dataclasses.replace(CHECKOUT, version=2, steps=steps, deadline_s=60.0)
    found = Diff(old=CHECKOUT, new=new, sagas_by_state={})
    assert "no answer: asks GET ventes/ventes/outcome" in found.changed["PAIEMENT_EFFECTUE", "retry"][0][1]
    assert [name for name, _, _ in found.changed["INITIEE", "expire"]] == ["deadline"]
    assert "After 1 min" in diff_markdown(found)


def test_no_difference():
    found = Diff(old=CHECKOUT, new=CHECKOUT, sagas_by_state={"INITIEE": 5})
    assert diff_markdown(found).count("\n") == 3
    assert found.summary.startswith("0 transitions added, 0 removed, 0 changed; 0 running sagas")


def test_the_difference_as_a_table(second: Saga):
    text = diff_markdown(Diff(old=CHECKOUT, new=second, sagas_by_state={}))
    assert "| added | `POINTS_DONNES` | succeeded | `PAIEMENT_EFFECTUE` | `POST client/{client_id}/payer` |  |" in text
    assert "to: `PAIEMENT_EFFECTUE`, now `POINTS_DONNES`" in text


def test_number_of_attempts_is_shown_as_in_the_table():
    payer = CHECKOUT.steps[2]
    assert retry_note(payer, payer.retry) == "up to 4 attempts, 1 s \N{MULTIPLICATION SIGN}2, timeout 5 s"
    assert retry_note(payer, Retry(attempts=1)) == "1 attempt, timeout 5 s"
