"""The same order as a durable workflow of DBOS, each call a step of it."""

import os
from typing import Any

from dbos import DBOS
from flask import Flask, Response, jsonify, request

from benchmarks.contenders.bare import session
from benchmarks.contenders.order import STEPS

application = Flask("dbos")
_URL = os.environ["PARTICIPANTS_URL"]
DBOS(config={"name": "bench", "system_database_url": os.environ["DATABASE_URL"], "log_level": "WARNING",
             "run_admin_server": False})  # fmt: skip


@DBOS.step()
def call(step: str, data: dict[str, Any]) -> dict[str, Any]:
    answer = session().post(f"{_URL}/bench/{step}", json=data, timeout=5)
    answer.raise_for_status()
    said: dict[str, Any] = answer.json()
    return said


@DBOS.workflow()
def buy(data: dict[str, Any]) -> str:
    for step in STEPS:
        call(step, data)
    return "completed"


DBOS.launch()


@application.post("/order")
def order() -> Response:
    return jsonify(status=buy(request.get_json()))
