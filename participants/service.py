"""One participant as a Flask app with a database of its own."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from flask import Flask, request

from participants.catalogue import CATALOGUE
from participants.client import CLIENT
from participants.commandes import COMMANDES
from participants.database import prepare, tune
from participants.ecommerce.shop import ECOMMERCE
from participants.faults import order_faults
from participants.logs import log_calls
from participants.metrics import count_requests
from participants.panier import PANIER
from participants.participant import Participant
from participants.problem import answer_with_problems
from participants.recus import RECUS
from participants.seed import SEED
from participants.stock import STOCK
from participants.supply_chain import SUPPLY_CHAIN
from participants.ventes import VENTES

PARTICIPANTS = {
    participant.name: participant
    for participant in (PANIER, STOCK, CLIENT, VENTES, CATALOGUE, COMMANDES, RECUS, SUPPLY_CHAIN, ECOMMERCE)
}

NO_CONFIG: Mapping[str, Any] = MappingProxyType({})

#: The server's threads; each holds one database connection at most.
THREADS = 16


def create_service(
    name: str, database_url: str, *, faults: bool = False, config: Mapping[str, Any] = NO_CONFIG
) -> Flask:
    """`config` is what a participant needs besides its database: see `Settings.config`."""
    participant = PARTICIPANTS[name]
    app = Flask(name)
    # A pooled connection may have died with its server: it is asked before it is used again.
    options = {"pool_size": THREADS, "pool_pre_ping": True}
    app.config.update(config, SQLALCHEMY_DATABASE_URI=database_url, SQLALCHEMY_ENGINE_OPTIONS=options)
    # Objects read as they are written: produit_id before quantite.
    app.json.sort_keys = False  # type: ignore[attr-defined]
    participant.db.init_app(app)
    answer_with_problems(app)
    count_requests(app)
    log_calls(app)
    app.register_blueprint(participant.routes)
    _add_open_books(app, participant)
    if faults:
        order_faults(app)
    with app.app_context():
        tune(participant.db.engine)
        prepare(participant.db.engine, participant.db.metadata, SEED)
    return app


def _add_open_books(app: Flask, participant: Participant) -> None:
    @app.get("/health")
    def health() -> dict[str, str]:
        return {"status": "ok"}

    @app.get("/_ledger")
    def ledger() -> list[dict[str, Any]]:
        return participant.barrier.ledger.entries(request.args.get("saga_id"))

    @app.get("/_balance")
    def balance() -> dict[str, Any]:
        return participant.balance()
