"""Endpoints that say whether the process is alive and whether it can do its work."""

from datetime import UTC, datetime
from functools import cache
from pathlib import Path

from flask import Blueprint, Response, jsonify
from sqlalchemy.exc import SQLAlchemyError

from app.access.needs import OPEN
from app.api.openapi.operation import operation
from app.api.schemas.base import Healthy, Ready
from app.errors import NotReadyError
from app.services import services
from app.store.database_errors import Meaning, meaning

blueprint = Blueprint("health", __name__)
_MIGRATE = "run `flask --app app db upgrade`"
_MIGRATIONS = Path(__file__).parents[2] / "migrations"


@blueprint.get("/health")
@blueprint.get("/api/saga/health/")
@operation("Is it alive?", "service", {200: Healthy()}, need=OPEN)
def live() -> Response:
    return jsonify(status="healthy", service="saga-orchestrator", timestamp=datetime.now(UTC).isoformat())


@blueprint.get("/ready")
@operation("Can it do its work?", "service", {200: Ready()}, problems=(503,), need=OPEN)
def ready() -> Response:
    """Answer 200 when this process can do its work.

    The database answers, has the tables of this release or a later one, accepts writes of this process, and every
    service thread of this process works.
    """
    try:
        found = services().schema()
    except SQLAlchemyError as error:
        if meaning(error) is Meaning.NOT_MIGRATED:
            raise NotReadyError(f"the database has no tables; {_MIGRATE}") from error
        raise NotReadyError("the database cannot be read; check DATABASE_URL and that it runs") from error
    # A later release only adds to them, so the old replicas serve on while it migrates. Migrations are numbered.
    if found.migration is None or found.migration < _head():
        raise NotReadyError(f"the database is at migration {found.migration}, not {_head()}; {_MIGRATE}")
    if found.encoding != "UTF8":
        raise NotReadyError(f"the database is encoded in {found.encoding}, and must be in UTF8 to keep every text")
    if trouble := services().runner.pulse.trouble:
        raise NotReadyError(f"the database does not take writes: {trouble}")
    if trouble := services().threads.trouble:
        raise NotReadyError(f"{trouble}; the log says why, and a restart may mend it")
    return jsonify(status="ready")


@cache
def _head() -> str:
    from alembic.script import ScriptDirectory  # noqa: PLC0415  a fifth of a second, for those who are asked

    return ScriptDirectory(str(_MIGRATIONS)).get_current_head() or ""
