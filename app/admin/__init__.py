"""The operator's pages: what is stuck, what is owed to whom, and which button is safe."""

from flask import Flask

from app.admin import bulk, overview, parked, saga, sagas, stuck
from app.admin.pages import prepare


def install(app: Flask) -> None:
    prepare(app)
    for page in (overview, stuck, bulk, sagas, saga, parked):
        app.register_blueprint(page.blueprint)
