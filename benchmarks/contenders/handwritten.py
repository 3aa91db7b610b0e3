"""The same loop with one statement a step, written by hand: what one would do without an orchestrator."""

import os
import threading
import uuid
from contextlib import suppress
from typing import Any

import psycopg2
from flask import Flask, Response, jsonify, request

from benchmarks.contenders.bare import session
from benchmarks.contenders.order import REFUSED, STEPS

application = Flask("handwritten")
_URL = os.environ["PARTICIPANTS_URL"]
_own = threading.local()


_TABLE = (
    "CREATE TABLE IF NOT EXISTS handwritten (id uuid PRIMARY KEY, state text NOT NULL, data jsonb NOT NULL, "
    "at timestamptz NOT NULL DEFAULT now())"
)


def cursor() -> Any:
    """Give the thread's own, which keeps its connection."""
    if not hasattr(_own, "cursor"):
        connection = psycopg2.connect(os.environ["DATABASE_URL"])
        connection.autocommit = True
        _own.cursor = connection.cursor()
    return _own.cursor


with suppress(psycopg2.errors.UniqueViolation):  # the other process does the same at this moment
    cursor().execute(_TABLE)


@application.post("/order")
def order() -> Response:
    data, order_id = request.get_json(), str(uuid.uuid4())
    insert = "INSERT INTO handwritten (id, state, data) VALUES (%s, 'begun', %s)"
    cursor().execute(insert, (order_id, request.get_data(as_text=True)))
    for place, step in enumerate(STEPS):
        if call(step, order_id, data) == REFUSED:
            for done in reversed(STEPS[:place]):
                call(f"undo_{done}", order_id, data)
            return jsonify(id=order_id, status="compensated")
    return jsonify(id=order_id, status="completed")


def call(step: str, order_id: str, data: Any) -> int:
    """Send it, and keep in one statement what came of it."""
    answer = session().post(f"{_URL}/bench/{step}", json=data, timeout=5)
    if answer.status_code != REFUSED:
        answer.raise_for_status()
    state = f"{step} {answer.status_code}"
    cursor().execute("UPDATE handwritten SET state = %s, at = now() WHERE id = %s", (state, order_id))
    return answer.status_code
