"""A loop of requests, with nothing durable: what dies in between is lost."""

import os
import threading

import requests
from flask import Flask, Response, jsonify, request

from benchmarks.contenders.order import STEPS

application = Flask("bare")
_URL = os.environ["PARTICIPANTS_URL"]
_own = threading.local()


def session() -> requests.Session:
    """Give the thread's own, which keeps its connection."""
    if not hasattr(_own, "session"):
        _own.session = requests.Session()
        _own.session.trust_env = False
    return _own.session


@application.post("/order")
def order() -> Response:
    data = request.get_json()
    for step in STEPS:
        session().post(f"{_URL}/bench/{step}", json=data, timeout=5).raise_for_status()
    return jsonify(status="completed")
