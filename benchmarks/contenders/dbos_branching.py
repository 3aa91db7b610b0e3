"""The orders of the contender `branching` as durable workflows of DBOS. Each branch is a child workflow."""

import os
from typing import Any

from dbos import DBOS
from flask import Flask, Response, jsonify, request

from benchmarks.contenders.bare import session

application = Flask("dbos")
_URL = os.environ["PARTICIPANTS_URL"]
DBOS(config={"name": "bench", "system_database_url": os.environ["DATABASE_URL"], "log_level": "WARNING",
             "run_admin_server": False})  # fmt: skip


@DBOS.step()
def call(name: str, data: dict[str, Any]) -> dict[str, Any]:
    response = session().post(f"{_URL}/bench/{name}", json={"amount": data["amount"]}, timeout=5)
    response.raise_for_status()
    body: dict[str, Any] = response.json()
    return body


@DBOS.workflow()
def branch(name: str, data: dict[str, Any]) -> dict[str, Any]:
    return call(name, data)


@DBOS.workflow()
def buy(shape: str, data: dict[str, Any]) -> str:
    if shape == "sequence":
        for name in ("first", "second"):
            call(name, data)
        return "completed"
    names = ("first", "second") if shape == "together" else ["line"] * len(data["lines"])
    children = [DBOS.start_workflow(branch, name, data) for name in names]
    for child in children:
        child.get_result()
    return "completed"


DBOS.launch()


@application.post("/order")
def order() -> Response:
    data = {"lines": []} | request.get_json()
    return jsonify(status=buy(request.args.get("shape", "sequence"), data))
