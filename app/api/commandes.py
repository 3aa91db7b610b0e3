"""/api/saga: the API for orders that come through the gateway. The JSON has French names."""

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any
from uuid import UUID

from flask import Blueprint, Response, jsonify, request, url_for
from marshmallow import EXCLUDE, Schema, fields, validate

from app.access.permissions import Scope, keeps_to_limits
from app.access.principal import principal
from app.api.cached import cached
from app.api.list_query import CURSOR, cursor_of, limit_of, offset_of, pagination
from app.api.openapi.operation import BAD_BODY, START_REQUEST_HEADERS, operation
from app.api.problems import problem_answer
from app.api.request_parsing import preferred_wait_s, reason_given, start_saga
from app.api.responses import with_location
from app.api.schemas.commandes import (
    Commande,
    CommandeCompensated,
    CommandeCompensating,
    CommandeList,
    CommandeStarted,
    CommandeUnfinished,
)
from app.errors import NotFoundError
from app.services import services
from app.store import lists, queries
from app.store.instance import SagaSnapshot
from app.store.models import JournalRow, SagaRow
from app.views.validation import LARGEST_PAGE, Reason, load
from machines.commande import COMMANDE
from machines.history import replies
from machines.samples import example
from machines.statuses import FINISHED, UNDER_WAY, Status
from machines.transitions import Direction, Trigger, stuck_states

blueprint = Blueprint("commandes", __name__, url_prefix="/api/saga")

#: Steps whose replies the summary of an order needs: the first has the total amount, the second the order number.
_SUMMARY_STEPS = ("lire_produits", "creer_commande")


class ListQuery(Schema):
    """The query parameters of the list of orders. Other parameters are ignored."""

    class Meta:
        unknown = EXCLUDE

    etat = fields.String(validate=validate.OneOf(list(COMMANDE.states)))
    actives_seulement = fields.String(load_default="", metadata={"description": "true: only unfinished orders"})
    limit = limit_of(LARGEST_PAGE)
    offset = offset_of()
    cursor = CURSOR


@blueprint.post("/commandes/")
@operation(
    "Start an order", "commandes", {201: CommandeStarted(), 202: CommandeUnfinished()},
    body=COMMANDE, examples={"commande": example(COMMANDE.data)},
    problems=(*BAD_BODY, 409, 422), conflict="The order was cancelled and undone, or the saga of this key still runs.",
    request_headers=START_REQUEST_HEADERS, answer_headers=["Location"],
    leads_to=["commandes.show", "commandes.compensate"], id_at="/saga_id",
    need=Scope.START,
)  # fmt: skip
@keeps_to_limits
def start() -> Response:
    """Start an order.

    201: the order is created. 409: the order is cancelled. 202: the saga still runs or is stuck.
    """
    return _answer(start_saga(COMMANDE))


@blueprint.get("/commandes/<uuid:saga_id>/")
@operation("Show an order and its history", "commandes", {200: Commande()}, problems=(404,))
@cached
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
        historique_evenements=list(_events(rows)),
        lignes_commande=saga.data.get("lignes", []),
    )


@blueprint.get("/sagas/")
@operation("List orders", "commandes", {200: CommandeList()}, problems=(400,), query=ListQuery)
@keeps_to_limits
def index() -> Response:
    """List the orders, the newest first. The parameters `etat` and `actives_seulement` filter the list."""
    query = load(ListQuery(), request.args.to_dict())
    state, active = query.get("etat"), query["actives_seulement"].lower() == "true"
    wanted = lists.SagaFilter(
        definitions=(COMMANDE.name,),
        states=(state,) if state else (),
        statuses=(Status.PENDING, *UNDER_WAY, Status.STUCK) if active else (),
        reach=principal().reach(Scope.READ),
    )
    page = lists.page(
        wanted, services().registry, limit=query["limit"], offset=query["offset"], after=query.get("cursor")
    )
    journals = queries.journals([saga.id for saga in page.sagas], replies_of=_SUMMARY_STEPS)
    return jsonify(
        success=True,
        total=page.total,
        filtres={"etat": state, "actives_seulement": active},
        sagas=[_summary(saga, journals[saga.id]) for saga in page.sagas],
        pagination=pagination(page, query["limit"], query["offset"]) | {"next_cursor": cursor_of(page)},
    )


@blueprint.post("/commandes/<uuid:saga_id>/compenser/")
@operation(
    "Force an order's compensation", "commandes", {200: CommandeCompensated(), 202: CommandeCompensating()},
    body=Reason(), body_optional=True, problems=(*BAD_BODY, 404, 409), request_headers=["Prefer"], need=Scope.OPERATE,
)  # fmt: skip
def compensate(saga_id: UUID) -> Response:
    """Force the compensation of an unfinished order: 409 when the order is finished."""
    _order(saga_id)
    snapshot = services().sagas.compensate(saga_id, principal().actor, reason_given(), preferred_wait_s())
    answer = jsonify(success=True, message="Compensation demandée", saga_id=str(snapshot.id), etat_final=snapshot.state)
    answer.status_code = 200 if snapshot.status == Status.COMPENSATED else 202
    return answer


def _order(saga_id: UUID) -> SagaRow:
    saga = queries.find(saga_id)
    if saga is None or saga.definition != COMMANDE.name:
        raise NotFoundError(f"there is no order {saga_id}")
    return saga


def _answer(snapshot: SagaSnapshot) -> Response:
    saga_id = str(snapshot.id)
    if snapshot.status == Status.COMPENSATED:
        cause = snapshot.error or ""
        answer = problem_answer(
            409, "Commande annulée", cause, success=False, saga_id=saga_id, etat_final=snapshot.state, erreur=cause
        )
    else:
        saga = _order(snapshot.id)
        rows, finished = queries.journal(saga.id), snapshot.status == Status.COMPLETED
        answer = jsonify(
            success=finished,
            message="La commande est créée" if finished else "La commande est en cours",
            saga_id=saga_id,
            etat_final=snapshot.state,
            commande_id=_reply(rows, "creer_commande").get("commande_id"),
            resume_execution=_summary(saga, rows),
        )
        answer.status_code = 201 if finished else 202
    return with_location(answer, url_for("commandes.show", saga_id=snapshot.id), replayed=snapshot.replayed)


def _summary(saga: SagaRow, rows: Sequence[JournalRow]) -> dict[str, Any]:
    moves = [row for row in rows if row.source != row.dest]
    durations_s = [(after.at - before.at).total_seconds() for before, after in pairwise(moves)]
    attempts = Counter(row.step for row in rows if row.step and row.direction == Direction.DO)
    return {
        "saga_id": str(saga.id),
        "client_id": saga.data.get("client_id"),
        "magasin_id": saga.data.get("magasin_id"),
        "etat_actuel": saga.state,
        "est_terminee": saga.status in FINISHED,
        "est_en_echec": saga.error is not None,
        "necessite_compensation": _needs_compensation(saga),
        "montant_total": _reply(rows, "lire_produits").get("montant"),
        "quantite_totale_articles": sum(line.get("quantite", 0) for line in saga.data.get("lignes", [])),
        "nombre_lignes": len(saga.data.get("lignes", [])),
        "nombre_evenements": len(moves),
        "duree_totale_secondes": (saga.updated_at - saga.created_at).total_seconds(),
        "duree_par_etape": {move.dest: seconds for move, seconds in zip(moves, durations_s, strict=False)},
        "tentatives_par_etape": dict(attempts),
        "commande_finale_id": _reply(rows, "creer_commande").get("commande_id"),
        "date_creation": saga.created_at.isoformat(),
        "date_derniere_modification": saga.updated_at.isoformat(),
    }


def _needs_compensation(saga: SagaRow) -> bool:
    """Return True when the order is compensating, or is stuck and a compensation would undo some step."""
    states = COMMANDE.states
    if saga.status != Status.STUCK or saga.state not in states:
        return saga.status == Status.COMPENSATING
    ways_back = (
        transition
        for transition in COMMANDE.transitions
        if transition.source == saga.state and transition.trigger in _BACK
    )
    return states[saga.state].undoes or any(states[transition.dest].undoes for transition in ways_back)


def _events(rows: Sequence[JournalRow]) -> Iterator[dict[str, Any]]:
    kind = _ENTERED_BY[COMMANDE.initial]
    for row in rows:
        if row.source != row.dest:
            kind = _event_type(row, kind)
            yield {
                "type": kind,
                "etat_precedent": row.source,
                "nouvel_etat": row.dest,
                "message": row.reason,
                "timestamp": row.at.isoformat(),
                "donnees": row.reply,
            }


def _event_type(row: JournalRow, last: str) -> str:
    """Return the type that a move has in `historique_evenements`.

    last: the type of the previous move. A move to a state that the table does not have repeats this type.
    """
    if row.trigger == Trigger.CANCEL:
        return "COMPENSATION_DEMANDEE"
    if row.dest == COMMANDE.compensated:  # when nothing was undone, the type of the failed step is repeated
        return "COMPENSATION_TERMINEE" if row.source in _UNDOING else last
    return _ENTERED_BY.get(row.dest, last)


def _entered_by() -> dict[str, str]:
    """Return, by state, the event type of a move that enters the state.

    The API has no event type for the start of a step, for the read of the products, or for a stuck order. A move to
    such a state repeats the type of the latest success or failure.
    """
    names = {"verifier_stock": "STOCK_VERIFIE", "reserver_stock": "STOCK_RESERVE", "creer_commande": "COMMANDE_CREEE"}
    last = failure = "SAGA_DEMARRE"
    found = {COMMANDE.initial: last}
    for step in COMMANDE.steps:
        name, (stuck, stuck_undo) = names.get(step.name), stuck_states(step)
        failure = f"{name}_ECHEC" if name else failure
        found |= {state: last for state in (step.doing, stuck) if state}
        if step.refused:
            found |= {step.refused: failure, stuck: failure}
        if step.undoing:
            found |= {step.undoing: "COMPENSATION_DEMANDEE", stuck_undo: "COMPENSATION_DEMANDEE"}
        last = f"{name}_SUCCES" if name else last
        found[step.done] = last
    return found | {COMMANDE.completed: "SAGA_TERMINEE_SUCCES"}


_UNDOING = frozenset(state.name for state in COMMANDE.states.values() if state.undoes)
_BACK = (Trigger.COMPENSATE, Trigger.COMPENSATE_INCLUDING)
_ENTERED_BY = _entered_by()


def _reply(rows: Sequence[JournalRow], step: str) -> dict[str, Any]:
    reply = replies(rows).get(step)
    return reply if isinstance(reply, dict) else {}
