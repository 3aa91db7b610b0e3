"""A loop of `requests` calls without a database: a crash loses the order."""

import os
import threading

import requests
from flask import Flask, Response, jsonify, request

from benchmarks.contenders import STEPS

application = Flask("bare")
_URL = os.environ["PARTICIPANTS_URL"]
_of_thread = threading.local()


def session() -> requests.Session:
    """Return this thread's session, which keeps its connection open."""
    if not hasattr(_of_thread, "session"):
        _of_thread.session = requests.Session()
        _of_thread.session.trust_env = False
    return _of_thread.session


@application.post("/order")
def order() -> Response:
    data = request.get_json()
    for step in STEPS:
        session().post(f"{_URL}/bench/{step}", json=data, timeout=5).raise_for_status()
    return jsonify(status="completed")
