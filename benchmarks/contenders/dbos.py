"""The benchmarks' order as a durable workflow of DBOS. Each call is a step of the workflow."""

import os
from typing import Any

from dbos import DBOS
from flask import Flask, Response, jsonify, request

from benchmarks.contenders import STEPS
from benchmarks.contenders.bare import session

application = Flask("dbos")
_URL = os.environ["PARTICIPANTS_URL"]
DBOS(config={"name": "bench", "system_database_url": os.environ["DATABASE_URL"], "log_level": "WARNING",
             "run_admin_server": False})  # fmt: skip


@DBOS.step()
def call(step: str, data: dict[str, Any]) -> dict[str, Any]:
    response = session().post(f"{_URL}/bench/{step}", json=data, timeout=5)
    response.raise_for_status()
    body: dict[str, Any] = response.json()
    return body


@DBOS.workflow()
def buy(data: dict[str, Any]) -> str:
    for step in STEPS:
        call(step, data)
    return "completed"


DBOS.launch()


@application.post("/order")
def order() -> Response:
    return jsonify(status=buy(request.get_json()))
