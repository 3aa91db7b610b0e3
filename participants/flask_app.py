"""Each participant is a Flask app with its own database."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from flask import Flask, request

from participants.accounts import ACCOUNTS
from participants.barrier import answer_with_problems, tune
from participants.carts import CARTS
from participants.catalogue import CATALOGUE
from participants.database import prepare
from participants.ecommerce.shop import ECOMMERCE
from participants.faults import order_faults
from participants.logs import log_calls
from participants.orders import ORDERS
from participants.participant import Participant
from participants.receipts import RECEIPTS
from participants.request_metrics import count_requests
from participants.sales import SALES
from participants.seed import SEED
from participants.stock import STOCK
from participants.supply_chain import SUPPLY_CHAIN

PARTICIPANTS = {
    participant.name: participant
    for participant in (CARTS, STOCK, ACCOUNTS, SALES, CATALOGUE, ORDERS, RECEIPTS, SUPPLY_CHAIN, ECOMMERCE)
}

NO_CONFIG: Mapping[str, Any] = MappingProxyType({})

#: The threads of the server; each holds at most one database connection.
THREADS = 16


def create_service(
    name: str, database_url: str, *, faults: bool = False, config: Mapping[str, Any] = NO_CONFIG
) -> Flask:
    """Return the Flask app of a participant. `config`: the shared configuration that `Settings.config` returns."""
    participant = PARTICIPANTS[name]
    app = Flask(name)
    # pool_pre_ping tests a pooled connection before each use, because the database server may have restarted.
    options = {"pool_size": THREADS, "pool_pre_ping": True}
    app.config.update(config, SQLALCHEMY_DATABASE_URI=database_url, SQLALCHEMY_ENGINE_OPTIONS=options)
    # Keep the order of the keys: produit_id before quantite.
    app.json.sort_keys = False  # type: ignore[attr-defined]
    participant.db.init_app(app)
    answer_with_problems(app)
    count_requests(app)
    log_calls(app)
    app.register_blueprint(participant.routes)
    _add_inspection_routes(app, participant)
    if faults:
        order_faults(app)
    with app.app_context():
        tune(participant.db.engine)
        prepare(participant.db.engine, participant.db.metadata, SEED)
    return app


def _add_inspection_routes(app: Flask, participant: Participant) -> None:
    """Add the health check, and the routes that show the ledger and the balance."""

    @app.get("/health")
    def health() -> dict[str, str]:
        return {"status": "ok"}

    @app.get("/_ledger")
    def ledger() -> list[dict[str, Any]]:
        return participant.barrier.ledger.entries(request.args.get("saga_id"))

    @app.get("/_balance")
    def balance() -> dict[str, Any]:
        return participant.balance()
