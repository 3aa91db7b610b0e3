"""The parts of the application that a request is answered with."""

from typing import cast

from flask import current_app

from app.engine.service import SagaService
from machines.registry import Registry


def service() -> SagaService:
    return cast("SagaService", current_app.extensions["sagas"])


def registry() -> Registry:
    return cast("Registry", current_app.extensions["registry"])
