"""The contract behind the gateway (000): /api/saga."""

from collections import Counter
from collections.abc import Sequence
from itertools import pairwise
from typing import Any
from uuid import UUID

from flask import Blueprint, Response, jsonify, request, url_for
from marshmallow import Schema, fields, validate

from app.access.principal import principal
from app.access.roles import Scope
from app.api.data import example
from app.api.openapi.operation import BAD_BODY, STARTS, operation
from app.api.parts import pointing, service
from app.api.problems import problem
from app.api.reading import Reason, preferred_wait_s, reason_given
from app.api.remembered import remembered
from app.api.schemas.commandes import (
    Commande,
    CommandeCompensated,
    CommandeCompensating,
    CommandeList,
    CommandeStarted,
    CommandeUnfinished,
)
from app.api.starting import started
from app.errors import InvalidError, NotFoundError
from app.store import queries
from app.store.instance import FINISHED, UNDER_WAY, Standing
from app.store.models import JournalRow, SagaRow
from machines.commande import COMMANDE
from machines.rows import Trigger

blueprint = Blueprint("commandes", __name__, url_prefix="/api/saga")

#: Names of 000 for the outcomes of its steps.
_EVENTS = {"verifier_stock": "STOCK_VERIFIE", "reserver_stock": "STOCK_RESERVE", "creer_commande": "COMMANDE_CREEE"}
#: The steps whose replies the summary of an order tells of.
_SUMMED_UP = ("lire_produits", "creer_commande")


class ListQuery(Schema):
    """The parameters of the list, for its documentation."""

    etat = fields.String(validate=validate.OneOf(list(COMMANDE.rows.states)))
    actives_seulement = fields.String(metadata={"description": "true: only those that are not finished"})


@blueprint.post("/commandes/")
@operation(
    "Start an order", "commandes", {201: CommandeStarted(), 202: CommandeUnfinished()},
    body=COMMANDE, examples={"commande": example(COMMANDE.data)},
    problems=(*BAD_BODY, 409, 422), conflict="The order was cancelled and undone, or that of this key still runs.",
    sends=STARTS, tells=["Location"], leads_to=["commandes.show", "commandes.compensate"], id_at="/saga_id",
    need=Scope.START,
)  # fmt: skip
def start() -> Response:
    """Start an order: 201 when it is created, 409 when it was cancelled, 202 when it is not finished in time."""
    return _answer(started(COMMANDE))


@blueprint.get("/commandes/<uuid:saga_id>/")
@operation("Show an order and its history", "commandes", {200: Commande()}, problems=(404,))
@remembered
def show(saga_id: UUID) -> Response:
    saga = _order(saga_id)
    rows = queries.journal(saga.id)
    return jsonify(
        saga_id=str(saga.id),
        client_id=saga.data.get("client_id"),
        magasin_id=saga.data.get("magasin_id"),
        etat_actuel=saga.state,
        est_terminee=saga.status in FINISHED,
        commande_finale_id=_reply(rows, "creer_commande").get("commande_id"),
        date_creation=saga.created_at.isoformat(),
        derniere_modification=saga.updated_at.isoformat(),
        donnees_contexte=saga.data,
        historique_evenements=[_event(row) for row in rows if row.source != row.dest],
        lignes_commande=saga.data.get("lignes", []),
    )


@blueprint.get("/sagas/")
@operation("List orders", "commandes", {200: CommandeList()}, problems=(400,), query=ListQuery)
def index() -> Response:
    """List the orders, by `etat` and `actives_seulement`."""
    state = request.args.get("etat")
    if state is not None and state not in COMMANDE.rows.states:
        known = ", ".join(COMMANDE.rows.states)
        detail = f"Not a state; use one of {known}."
        raise InvalidError(("/etat", detail), error=detail)
    active = request.args.get("actives_seulement", "").lower() == "true"
    wanted = queries.Filter(
        definitions=(COMMANDE.name,),
        states=(state,) if state else (),
        statuses=("pending", *UNDER_WAY, "stuck") if active else (),
    )
    page = queries.page(wanted, limit=200)
    journals = queries.journals([saga.id for saga in page.sagas], replies_of=_SUMMED_UP)
    return jsonify(
        success=True,
        total=page.total,
        filtres={"etat": state, "actives_seulement": active},
        sagas=[_summary(saga, journals[saga.id]) for saga in page.sagas],
    )


@blueprint.post("/commandes/<uuid:saga_id>/compenser/")
@operation(
    "Force an order's compensation", "commandes", {200: CommandeCompensated(), 202: CommandeCompensating()},
    body=Reason(), body_optional=True, problems=(*BAD_BODY, 404, 409), sends=["Prefer"], need=Scope.OPERATE,
)  # fmt: skip
def compensate(saga_id: UUID) -> Response:
    """Force the compensation of an order that is not finished: 409 when it is."""
    _order(saga_id)
    standing = service().compensate(saga_id, principal().actor, reason_given(), preferred_wait_s())
    answer = jsonify(success=True, message="Compensation demandée", saga_id=str(standing.id), etat_final=standing.state)
    answer.status_code = 200 if standing.status == "compensated" else 202
    return answer


def _order(saga_id: UUID) -> SagaRow:
    saga = queries.find(saga_id)
    if saga is None or saga.definition != COMMANDE.name:
        detail = f"there is no order {saga_id}"
        raise NotFoundError(detail, error=detail)
    return saga


def _answer(standing: Standing) -> Response:
    saga_id = str(standing.id)
    if standing.status == "compensated":
        cause = standing.error or ""
        answer = problem(
            409, "Commande annulée", cause, success=False, saga_id=saga_id, etat_final=standing.state,
            erreur=cause, error=cause,
        )  # fmt: skip
    else:
        saga = _order(standing.id)
        rows, finished = queries.journal(saga.id), standing.status == "completed"
        answer = jsonify(
            success=finished,
            message="La commande est créée" if finished else "La commande est en cours",
            saga_id=saga_id,
            etat_final=standing.state,
            commande_id=_reply(rows, "creer_commande").get("commande_id"),
            resume_execution=_summary(saga, rows),
        )
        answer.status_code = 201 if finished else 202
    return pointing(answer, url_for("commandes.show", saga_id=standing.id), replayed=standing.replayed)


def _summary(saga: SagaRow, rows: Sequence[JournalRow]) -> dict[str, Any]:
    moves = [row for row in rows if row.source != row.dest]
    lasted = [(after.at - before.at).total_seconds() for before, after in pairwise(moves)]
    return {
        "saga_id": str(saga.id),
        "client_id": saga.data.get("client_id"),
        "magasin_id": saga.data.get("magasin_id"),
        "etat_actuel": saga.state,
        "est_terminee": saga.status in FINISHED,
        "est_en_echec": saga.error is not None,
        "necessite_compensation": saga.status == "compensating",
        "montant_total": _reply(rows, "lire_produits").get("montant"),
        "quantite_totale_articles": sum(line.get("quantite", 0) for line in saga.data.get("lignes", [])),
        "nombre_lignes": len(saga.data.get("lignes", [])),
        "nombre_evenements": len(moves),
        "duree_totale_secondes": (saga.updated_at - saga.created_at).total_seconds(),
        "duree_par_etape": {move.dest: seconds for move, seconds in zip(moves, lasted, strict=False)},
        "tentatives_par_etape": dict(Counter(row.step for row in rows if row.step and row.direction == "do")),
        "commande_finale_id": _reply(rows, "creer_commande").get("commande_id"),
        "date_creation": saga.created_at.isoformat(),
        "date_derniere_modification": saga.updated_at.isoformat(),
    }


def _reply(rows: Sequence[JournalRow], step: str) -> dict[str, Any]:
    return next((row.reply or {} for row in rows if row.step == step and row.trigger == Trigger.SUCCEEDED), {})


def _event(row: JournalRow) -> dict[str, Any]:
    return {
        "type": _event_type(row),
        "etat_precedent": row.source,
        "nouvel_etat": row.dest,
        "message": row.reason,
        "timestamp": row.at.isoformat(),
        "donnees": row.reply,
    }


def _event_type(row: JournalRow) -> str:
    if row.source is None:
        return "SAGA_DEMARRE"
    if row.dest == COMMANDE.completed:
        return "SAGA_TERMINEE_SUCCES"
    if row.dest == COMMANDE.compensated:
        return "COMPENSATION_TERMINEE"
    if row.trigger in (Trigger.COMPENSATE, Trigger.COMPENSATE_INCLUDING, Trigger.CANCEL):
        return "COMPENSATION_DEMANDEE"
    if row.step in _EVENTS and row.direction == "do":
        return f"{_EVENTS[row.step]}_{'SUCCES' if row.trigger == Trigger.SUCCEEDED else 'ECHEC'}"
    return row.trigger.upper()
