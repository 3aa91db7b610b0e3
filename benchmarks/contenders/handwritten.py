"""A loop of `requests` calls that records each step with one SQL statement: the alternative without an orchestrator.

In its best form: each thread keeps its connections open, and the statements are prepared.
"""

import os
import threading
import uuid
from contextlib import suppress
from typing import Any

import psycopg2
from flask import Flask, Response, jsonify, request

from benchmarks.contenders import REFUSED, STEPS
from benchmarks.contenders.bare import session

application = Flask("handwritten")
_URL = os.environ["PARTICIPANTS_URL"]
_of_thread = threading.local()


_TABLE = (
    "CREATE TABLE IF NOT EXISTS handwritten (id uuid PRIMARY KEY, state text NOT NULL, data jsonb NOT NULL, "
    "at timestamptz NOT NULL DEFAULT now())"
)
_BEGIN = "PREPARE begin_order AS INSERT INTO handwritten (id, state, data) VALUES ($1, 'begun', $2)"
_RECORD = "PREPARE record AS UPDATE handwritten SET state = $1, at = now() WHERE id = $2"


def cursor() -> Any:
    """Return this thread's cursor, which keeps its connection open."""
    if not hasattr(_of_thread, "cursor"):
        connection = psycopg2.connect(os.environ["DATABASE_URL"])
        connection.autocommit = True
        _of_thread.cursor = connection.cursor()
        with suppress(psycopg2.errors.UniqueViolation):  # another thread creates the table at the same time
            _of_thread.cursor.execute(_TABLE)
        _of_thread.cursor.execute(_BEGIN)
        _of_thread.cursor.execute(_RECORD)
    return _of_thread.cursor


@application.post("/order")
def order() -> Response:
    data, order_id = request.get_json(), str(uuid.uuid4())
    cursor().execute("EXECUTE begin_order (%s, %s)", (order_id, request.get_data(as_text=True)))
    for number, step in enumerate(STEPS):
        if call(step, order_id, data) == REFUSED:
            for earlier in reversed(STEPS[:number]):
                call(f"undo_{earlier}", order_id, data)
            return jsonify(id=order_id, status="compensated")
    return jsonify(id=order_id, status="completed")


def call(step: str, order_id: str, data: Any) -> int:
    """Send the call and record its status in one statement."""
    response = session().post(f"{_URL}/bench/{step}", json=data, timeout=5)
    if response.status_code != REFUSED:
        response.raise_for_status()
    state = f"{step} {response.status_code}"
    cursor().execute("EXECUTE record (%s, %s)", (state, order_id))
    return response.status_code
