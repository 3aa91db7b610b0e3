"""The parts of the application that a request is answered with, and of an answer that every contract gives."""

from typing import cast

from flask import Response, current_app

from app.engine.service import SagaService
from machines.registry import Registry


def service() -> SagaService:
    return cast("SagaService", current_app.extensions["sagas"])


def registry() -> Registry:
    return cast("Registry", current_app.extensions["registry"])


def pointing(answer: Response, where: str, *, replayed: bool) -> Response:
    """Tell where the saga is found, and whether its key had begun it before."""
    answer.headers["Location"] = where
    if replayed:
        answer.headers["Idempotent-Replayed"] = "true"
    return answer
