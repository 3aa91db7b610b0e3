"""The endpoints for probes: whether the process is alive, and whether it can do its work."""

from datetime import UTC, datetime

from flask import Blueprint, Response, jsonify

from app.access.permissions import OPEN
from app.api.openapi.operation import operation
from app.api.schemas.base import Healthy, Ready
from app.readiness import check_ready
from app.services import services
from app.version import VERSION

blueprint = Blueprint("health", __name__)


@blueprint.get("/health")
@blueprint.get("/api/saga/health/")
@operation("Check that the process is alive", "service", {200: Healthy()}, need=OPEN)
def live() -> Response:
    return jsonify(
        status="healthy",
        service="saga-orchestrator",
        version=VERSION,
        release=services().release,
        timestamp=datetime.now(UTC).isoformat(),
    )


@blueprint.get("/ready")
@operation("Check that the process can do its work", "service", {200: Ready()}, problems=(503,), need=OPEN)
def ready() -> Response:
    """Answer 200 when this process can do its work.

    The database answers, has the tables of this release or of a later one, and accepts writes of this process. Every
    service thread of this process works.
    """
    check_ready()
    return jsonify(status="ready")
