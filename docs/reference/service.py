"""A service to describe: it has no database and runs nothing."""

from collections.abc import Iterator
from contextlib import contextmanager
from tempfile import TemporaryDirectory

from flask import Flask

from app import create_app
from app.config import from_environment
from app.services import services
from app.store.database import db


@contextmanager
def service(sagas: str, **settings: str) -> Iterator[Flask]:
    """Return an application with these tables. It is never asked for a saga, so its database has no tables."""
    with TemporaryDirectory() as folder:
        url = f"sqlite:///{folder}/none.db"
        app = create_app(
            from_environment({"DATABASE_URL": url, "SAGAS": sagas, "SECRET_KEY": "no secret" * 8} | settings)
        )
        try:
            yield app
        finally:
            services(app).runner.stop()
            with app.app_context():
                db.engine.dispose()
