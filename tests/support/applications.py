"""Closes the applications that a test makes in its own process, and runs their due sagas."""

from collections.abc import Iterator
from contextlib import contextmanager

from flask import Flask

from app.services import services
from app.store.database import db


def close(app: Flask) -> None:
    """Stop the runner of an application, and close its connections to the database."""
    services(app).runner.stop()
    with app.app_context():
        db.session.remove()
        db.engine.dispose()


@contextmanager
def opened(app: Flask) -> Iterator[Flask]:
    """Keep the context of an application open, and close the application at the end."""
    try:
        with app.app_context():
            yield app
    finally:
        close(app)


def settle() -> None:
    """Run the due sagas in this thread, until no saga is due."""
    runner = services().runner
    while claimed := runner._leases.claim(5, 30):
        for each in claimed:
            runner.run_inline(each, 0.0, float("inf"))
    db.session.rollback()
