"""Replies of /api/saga."""

from marshmallow import fields

from app.api.schemas.base import Reply, maybe, moment, one_of, state_of
from app.api.schemas.sagas import Pagination
from machines.commande import COMMANDE


class CommandeLine(Reply):
    produit_id = fields.UUID()
    quantite = fields.Integer()


class CommandeSummary(Reply):
    saga_id = fields.UUID()
    client_id = fields.UUID()
    magasin_id = fields.UUID()
    etat_actuel = state_of(COMMANDE)
    est_terminee = fields.Boolean()
    est_en_echec = fields.Boolean()
    necessite_compensation = fields.Boolean(
        metadata={"description": "true: the order is being cancelled, and a step must still be undone"}
    )
    montant_total = maybe(fields.Float)
    quantite_totale_articles = fields.Integer()
    nombre_lignes = fields.Integer()
    nombre_evenements = fields.Integer()
    duree_totale_secondes = fields.Float()
    duree_par_etape = fields.Dict(values=fields.Float(), metadata={"description": "seconds, by state"})
    tentatives_par_etape = fields.Dict(values=fields.Integer(), metadata={"description": "calls, by step"})
    commande_finale_id = maybe(fields.String)
    date_creation = moment()
    date_derniere_modification = moment()


class CommandeStarted(Reply):
    """The order is created."""

    success = fields.Boolean()
    message = fields.String()
    saga_id = fields.UUID()
    etat_final = state_of(COMMANDE)
    commande_id = maybe(fields.String)
    resume_execution = fields.Nested(CommandeSummary)


class CommandeUnfinished(CommandeStarted):
    """The saga still runs or is stuck. The header Location has the URL of its state."""


#: The event types in `historique_evenements`.
EVENTS = (
    "SAGA_DEMARRE", "STOCK_VERIFIE_SUCCES", "STOCK_VERIFIE_ECHEC", "STOCK_RESERVE_SUCCES", "STOCK_RESERVE_ECHEC",
    "COMMANDE_CREEE_SUCCES", "COMMANDE_CREEE_ECHEC", "COMPENSATION_DEMANDEE", "COMPENSATION_TERMINEE",
    "SAGA_TERMINEE_SUCCES",
)  # fmt: skip


class CommandeEvent(Reply):
    type = one_of(EVENTS)
    etat_precedent = maybe(fields.String)
    nouvel_etat = state_of(COMMANDE)
    message = maybe(fields.String)
    timestamp = moment()
    donnees = maybe(fields.Dict)


class Commande(Reply):
    """The order and its history."""

    saga_id = fields.UUID()
    client_id = fields.UUID()
    magasin_id = fields.UUID()
    etat_actuel = state_of(COMMANDE)
    est_terminee = fields.Boolean()
    commande_finale_id = maybe(fields.String)
    date_creation = moment()
    derniere_modification = moment()
    donnees_contexte = fields.Dict()
    historique_evenements = fields.List(fields.Nested(CommandeEvent))
    lignes_commande = fields.List(fields.Nested(CommandeLine))


class CommandeFilter(Reply):
    etat = maybe(fields.String)
    actives_seulement = fields.Boolean()


class CommandeList(Reply):
    """One page of the matching orders, the newest first; `total` counts all matching orders."""

    success = fields.Boolean()
    total = fields.Integer()
    filtres = fields.Nested(CommandeFilter)
    sagas = fields.List(fields.Nested(CommandeSummary))
    pagination = fields.Nested(Pagination)


class CommandeCompensated(Reply):
    """Every step that was done is undone."""

    success = fields.Boolean()
    message = fields.String()
    saga_id = fields.UUID()
    etat_final = state_of(COMMANDE)


class CommandeCompensating(CommandeCompensated):
    """The compensation still runs or is stuck."""
