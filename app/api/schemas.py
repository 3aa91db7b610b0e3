"""Every reply of the API as a schema: what its documentation says, and what the fuzzer holds it to.

The docstring of a schema is the description of the reply it stands for.
"""

from typing import Any, ClassVar

from marshmallow import INCLUDE, RAISE, Schema, fields, validate

from app.api.views import SAGA_STATUSES
from app.store.instance import STATUSES
from machines.checkout import CHECKOUT
from machines.commande import COMMANDE
from machines.rows import Phase, Trigger
from machines.saga import Saga
from machines.step import Kind

STEP_STATUSES = ("pending", "in_progress", "completed", "failed", "compensated")


class Reply(Schema):
    """Has every member it names, but for the `optional` ones, and no other."""

    class Meta:
        unknown = RAISE

    optional: ClassVar[frozenset[str]] = frozenset()

    def on_bind_field(self, field_name: str, field_obj: fields.Field[Any]) -> None:
        field_obj.required = field_name not in self.optional


def one_of(words: Any) -> fields.String:
    return fields.String(validate=validate.OneOf([str(word) for word in words]))


def state_of(saga: Saga) -> fields.String:
    return one_of(saga.rows.states)


def moment() -> fields.String:
    return fields.String(metadata={"format": "date-time"})


def maybe(field: type[fields.Field[Any]], **more: Any) -> fields.Field[Any]:
    return field(allow_none=True, **more)


class WrongField(Reply):
    pointer = fields.String(metadata={"description": "JSON pointer of the field; a query parameter by its name"})
    detail = fields.String()


class Problem(Reply):
    """An RFC 9457 problem document. `detail` says what to mend, `errors` which fields are wrong."""

    class Meta:
        unknown = INCLUDE

    optional = frozenset({"errors", "saga_id", "etat_final", "erreur", "error", "success"})

    type = fields.String()
    title = fields.String()
    status = fields.Integer()
    detail = fields.String()
    errors = fields.List(fields.Nested(WrongField))
    saga_id = fields.UUID(metadata={"description": "the saga it is about"})
    etat_final = fields.String(metadata={"description": "the state that saga is in"})
    erreur = maybe(fields.String, metadata={"description": "why an order was cancelled"})
    error = fields.String(metadata={"description": "the same as detail, as 000 names it"})
    success = fields.Boolean()


class Ready(Reply):
    """The database answers and has the tables of this release."""

    status = fields.String(validate=validate.Equal("ready"))


class Healthy(Reply):
    """The process answers."""

    status = fields.String(validate=validate.Equal("healthy"))
    service = fields.String()
    timestamp = moment()


# 001: the checkout


class OrderConfirmed(Reply):
    """The order is confirmed."""

    saga_id = fields.UUID()
    etat_final = state_of(CHECKOUT)


class OrderUnfinished(Reply):
    """The saga goes on, or is stuck; ask at Location."""

    saga_id = fields.UUID()
    etat_actuel = state_of(CHECKOUT)
    statut = one_of(("pending", *STATUSES.values()))


class Order(Reply):
    """Where the order stands."""

    id = fields.UUID()
    client_id = fields.Integer()
    magasin_id = fields.Integer()
    etat_actuel = state_of(CHECKOUT)


class OrderState(Reply):
    """Every state the order entered, in order."""

    etat = state_of(CHECKOUT)
    timestamp = moment()


# 000: the order behind the gateway


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
    necessite_compensation = fields.Boolean()
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
    """The saga goes on, or is stuck; ask at Location."""


class CommandeEvent(Reply):
    type = fields.String()
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
    """The newest 200 orders that pass; `total` counts all."""

    success = fields.Boolean()
    total = fields.Integer()
    filtres = fields.Nested(CommandeFilter)
    sagas = fields.List(fields.Nested(CommandeSummary))


class CommandeCompensated(Reply):
    """Everything is undone."""

    success = fields.Boolean()
    message = fields.String()
    saga_id = fields.UUID()
    etat_final = state_of(COMMANDE)


class CommandeCompensating(CommandeCompensated):
    """The compensation goes on, or is stuck."""


# 002: sagas of any type


class SagaShort(Reply):
    id = fields.UUID()
    type = fields.String()
    version = fields.Integer()
    status = one_of(sorted(set(SAGA_STATUSES.values())))
    state = fields.String()
    created_at = moment()
    updated_at = moment()
    error_message = maybe(fields.String)


class SagaLine(SagaShort):
    steps_count = fields.Integer()
    completed_steps = fields.Integer()


class SagaStep(Reply):
    id = fields.String()
    type = fields.String(metadata={"description": "name of the step"})
    kind = one_of(Kind)
    status = one_of(STEP_STATUSES)
    step_order = fields.Integer()
    started_at = maybe(fields.String, metadata={"format": "date-time"})
    completed_at = maybe(fields.String, metadata={"format": "date-time"})
    compensated_at = maybe(fields.String, metadata={"format": "date-time"})
    input_data = maybe(fields.Dict)
    output_data = maybe(fields.Dict)
    error_message = maybe(fields.String)
    attempts = fields.Integer()
    retry_count = fields.Integer()


class SagaWithSteps(SagaShort):
    completed_at = maybe(fields.String, metadata={"format": "date-time"})
    steps = fields.List(fields.Nested(SagaStep))


class JournalEntry(Reply):
    seq = fields.Integer()
    at = moment()
    source = maybe(fields.String)
    trigger = fields.String()
    dest = fields.String()
    step = maybe(fields.String)
    direction = maybe(fields.String)
    attempt = maybe(fields.Integer)
    actor = fields.String()
    reason = maybe(fields.String)
    status_code = maybe(fields.Integer)
    reply = maybe(fields.Dict)
    duration_ms = maybe(fields.Float)


class SagaWhole(SagaWithSteps):
    """The saga, its steps and its journal."""

    data = fields.Dict()
    retry_count = fields.Integer()
    max_retries = fields.Integer()
    remaining_steps = fields.List(fields.String())
    journal = fields.List(fields.Nested(JournalEntry))


class Journal(Reply):
    """Every move of the saga, in order."""

    journal = fields.List(fields.Nested(JournalEntry))


class SagaCreated(Reply):
    """The saga is stored and waits for POST …/execute."""

    message = fields.String()
    saga = fields.Nested(SagaShort)


class SagaMoved(Reply):
    """It has come to rest: completed, compensated or stuck (failed)."""

    message = fields.String()
    saga = fields.Nested(SagaWithSteps)


class SagaUnfinished(SagaMoved):
    """It still runs; ask at Location."""


class Pagination(Reply):
    optional = frozenset({"next_cursor"})

    total = fields.Integer(metadata={"description": "exact below 10,000"})
    limit = fields.Integer()
    offset = fields.Integer()
    has_more = fields.Boolean()
    next_cursor = maybe(fields.String, metadata={"description": "where the next page begins, sorted by created_at"})


class SagaList(Reply):
    """One page of the sagas that pass."""

    sagas = fields.List(fields.Nested(SagaLine))
    pagination = fields.Nested(Pagination)


# The definitions


class DefinitionLine(Reply):
    type = fields.String()
    version = fields.Integer()
    steps = fields.Integer()


class DefinitionList(Reply):
    """Every saga there is, by name and version."""

    definitions = fields.List(fields.Nested(DefinitionLine))


class DefinitionStep(Reply):
    name = fields.String()
    kind = one_of(Kind)
    call = fields.String()
    undo = maybe(fields.String)
    attempts = fields.Integer()
    timeout_s = fields.Float()


class DefinitionState(Reply):
    name = fields.String()
    phase = one_of(Phase)
    step = maybe(fields.String)


class DefinitionRow(Reply):
    source = fields.String()
    trigger = one_of(Trigger)
    dest = fields.String()
    call = maybe(fields.String)


class Definition(Reply):
    """The newest version of the table, and all that is derived from it."""

    type = fields.String()
    version = fields.Integer()
    initial = fields.String()
    completed = fields.String()
    compensated = fields.String()
    participants = fields.List(fields.String())
    data = fields.Dict(metadata={"description": "JSON Schema of the data it is started with"})
    steps = fields.List(fields.Nested(DefinitionStep))
    states = fields.List(fields.Nested(DefinitionState))
    rows = fields.List(fields.Nested(DefinitionRow))
