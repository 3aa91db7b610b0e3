from machines.checkout import CHECKOUT
from machines.transitions import Phase

ROWS = """
    INITIEE                    succeeded             PANIER_RECUPERE
    INITIEE                    refused               ECHEC_PANIER
    INITIEE                    retry                 INITIEE
    INITIEE                    defer                 INITIEE
    INITIEE                    exhausted             ECHEC_PANIER
    INITIEE                    cancel                ECHEC_PANIER
    INITIEE                    expire                ECHEC_PANIER
    INITIEE                    quarantine            STUCK_LIRE_PANIER
    PANIER_RECUPERE            succeeded             STOCK_RESERVE
    PANIER_RECUPERE            refused               ECHEC_STOCK
    PANIER_RECUPERE            retry                 PANIER_RECUPERE
    PANIER_RECUPERE            defer                 PANIER_RECUPERE
    PANIER_RECUPERE            exhausted             ECHEC_STOCK
    PANIER_RECUPERE            cancel                ECHEC_STOCK
    PANIER_RECUPERE            expire                ECHEC_STOCK
    PANIER_RECUPERE            quarantine            STUCK_RESERVER_STOCK
    STOCK_RESERVE              succeeded             PAIEMENT_EFFECTUE
    STOCK_RESERVE              refused               ECHEC_PAIEMENT
    STOCK_RESERVE              retry                 STOCK_RESERVE
    STOCK_RESERVE              defer                 STOCK_RESERVE
    STOCK_RESERVE              exhausted             ECHEC_PAIEMENT
    STOCK_RESERVE              cancel                ECHEC_PAIEMENT
    STOCK_RESERVE              expire                ECHEC_PAIEMENT
    STOCK_RESERVE              quarantine            STUCK_PAYER
    PAIEMENT_EFFECTUE          succeeded             COMMANDE_ENREGISTREE
    PAIEMENT_EFFECTUE          refused               ECHEC_ENREGISTREMENT
    PAIEMENT_EFFECTUE          retry                 PAIEMENT_EFFECTUE
    PAIEMENT_EFFECTUE          defer                 PAIEMENT_EFFECTUE
    PAIEMENT_EFFECTUE          refused_in_doubt      STUCK_ENREGISTRER_VENTE
    PAIEMENT_EFFECTUE          exhausted             STUCK_ENREGISTRER_VENTE
    PAIEMENT_EFFECTUE          expire                ECHEC_ENREGISTREMENT
    PAIEMENT_EFFECTUE          quarantine            STUCK_ENREGISTRER_VENTE
    COMMANDE_ENREGISTREE       succeeded             CONFIRMEE
    COMMANDE_ENREGISTREE       retry                 COMMANDE_ENREGISTREE
    COMMANDE_ENREGISTREE       defer                 COMMANDE_ENREGISTREE
    COMMANDE_ENREGISTREE       refused               STUCK_CONFIRMER
    COMMANDE_ENREGISTREE       exhausted             STUCK_CONFIRMER
    COMMANDE_ENREGISTREE       quarantine            STUCK_CONFIRMER

    ECHEC_PANIER               compensate            ANNULEE
    ECHEC_STOCK                compensate            ANNULEE
    ECHEC_STOCK                compensate_including  LIBERATION_STOCK
    ECHEC_PAIEMENT             compensate            LIBERATION_STOCK
    ECHEC_PAIEMENT             compensate_including  REMBOURSEMENT
    ECHEC_ENREGISTREMENT       compensate            REMBOURSEMENT

    REMBOURSEMENT              succeeded             LIBERATION_STOCK
    REMBOURSEMENT              retry                 REMBOURSEMENT
    REMBOURSEMENT              defer                 REMBOURSEMENT
    REMBOURSEMENT              refused               STUCK_UNDO_PAYER
    REMBOURSEMENT              exhausted             STUCK_UNDO_PAYER
    REMBOURSEMENT              quarantine            STUCK_UNDO_PAYER
    LIBERATION_STOCK           succeeded             ANNULEE
    LIBERATION_STOCK           retry                 LIBERATION_STOCK
    LIBERATION_STOCK           defer                 LIBERATION_STOCK
    LIBERATION_STOCK           refused               STUCK_UNDO_RESERVER_STOCK
    LIBERATION_STOCK           exhausted             STUCK_UNDO_RESERVER_STOCK
    LIBERATION_STOCK           quarantine            STUCK_UNDO_RESERVER_STOCK

    STUCK_LIRE_PANIER          retry                 INITIEE
    STUCK_LIRE_PANIER          compensate            ANNULEE
    STUCK_RESERVER_STOCK       retry                 PANIER_RECUPERE
    STUCK_RESERVER_STOCK       resolve               STOCK_RESERVE
    STUCK_RESERVER_STOCK       compensate_including  LIBERATION_STOCK
    STUCK_PAYER                retry                 STOCK_RESERVE
    STUCK_PAYER                resolve               PAIEMENT_EFFECTUE
    STUCK_PAYER                compensate_including  REMBOURSEMENT
    STUCK_ENREGISTRER_VENTE    retry                 PAIEMENT_EFFECTUE
    STUCK_ENREGISTRER_VENTE    resolve               COMMANDE_ENREGISTREE
    STUCK_ENREGISTRER_VENTE    compensate            REMBOURSEMENT
    STUCK_CONFIRMER            retry                 COMMANDE_ENREGISTREE
    STUCK_CONFIRMER            resolve               CONFIRMEE
    STUCK_UNDO_PAYER           retry                 REMBOURSEMENT
    STUCK_UNDO_PAYER           resolve               LIBERATION_STOCK
    STUCK_UNDO_RESERVER_STOCK  retry                 LIBERATION_STOCK
    STUCK_UNDO_RESERVER_STOCK  resolve               ANNULEE
"""

CALLS = """
    INITIEE               GET panier/{client_id}
    PANIER_RECUPERE       POST stock/reserver
    STOCK_RESERVE         POST client/{client_id}/payer
    PAIEMENT_EFFECTUE     POST ventes/ventes
    COMMANDE_ENREGISTREE  POST stock/confirmer
    REMBOURSEMENT         POST client/{client_id}/rembourser
    LIBERATION_STOCK      POST stock/liberer
"""

PHASES = {
    Phase.FORWARD: {"INITIEE", "PANIER_RECUPERE", "STOCK_RESERVE", "PAIEMENT_EFFECTUE", "COMMANDE_ENREGISTREE"},
    Phase.WAITING: set(),
    Phase.PASSING: {"ECHEC_PANIER", "ECHEC_STOCK", "ECHEC_PAIEMENT", "ECHEC_ENREGISTREMENT"},
    Phase.UNDOING: {"REMBOURSEMENT", "LIBERATION_STOCK"},
    Phase.STUCK: {
        "STUCK_LIRE_PANIER", "STUCK_RESERVER_STOCK", "STUCK_PAYER", "STUCK_ENREGISTRER_VENTE", "STUCK_CONFIRMER",
        "STUCK_UNDO_PAYER", "STUCK_UNDO_RESERVER_STOCK",
    },
    Phase.COMPLETED: {"CONFIRMEE"},
    Phase.COMPENSATED: {"ANNULEE"},
}  # fmt: skip


def test_checkout_has_exactly_these_transitions():
    derived = [(transition.source, transition.trigger.value, transition.dest) for transition in CHECKOUT.transitions]
    assert sorted(derived) == sorted(tuple(line.split()) for line in ROWS.splitlines() if line)


def test_the_checkout_makes_these_calls_in_these_states():
    made = {name: str(state.call) for name, state in CHECKOUT.states.items() if state.call}
    assert made == dict(line.split(maxsplit=1) for line in CALLS.strip().splitlines())


def test_the_checkout_has_these_states_in_these_phases():
    states = CHECKOUT.states.values()
    assert {phase: {state.name for state in states if state.phase is phase} for phase in Phase} == PHASES
