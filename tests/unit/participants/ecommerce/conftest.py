"""The shop, and the real participants that the shop calls over HTTP. The orchestrator is away."""

from contextlib import contextmanager
from threading import Thread
from uuid import uuid4

import pytest
from flask import Flask
from werkzeug.middleware.dispatcher import DispatcherMiddleware
from werkzeug.serving import make_server
from werkzeug.wrappers import Request, Response

from machines.checkout import CHECKOUT as TABLE
from machines.titles import state_title
from participants.ecommerce.orchestrator import Definition
from participants.ecommerce.settings import ShopSettings

#: The definition of the checkout, as the shop reads it from the orchestrator's API.
CHECKOUT = Definition(
    phases={state.name: state.phase for state in TABLE.states.values()},
    steps={state.name: state.step.name if state.step else None for state in TABLE.states.values()},
    participants={step.name: step.action.participant for step in TABLE.steps},
    kinds={step.name: step.kind for step in TABLE.steps},
    step_titles={step.name: step.title for step in TABLE.steps},
    state_titles={name: state_title(TABLE, name) for name in TABLE.states},
    completed=TABLE.completed,
    compensated=TABLE.compensated,
)
NOBODY = "http://127.0.0.1:1"
NEIGHBOURS = ("panier", "stock", "client", "ventes", "catalogue", "recus")


def did(step, trigger="succeeded", outcome="succeeded", direction="do"):
    """Return a row of the journal of a call."""
    return {"step": step, "trigger": trigger, "outcome": outcome, "direction": direction}


@pytest.fixture
def neighbours(serve, tmp_path):
    return {name: serve(name, f"sqlite:///{tmp_path / name}.db", faults=True) for name in NEIGHBOURS}


@pytest.fixture
def neighbours_url(neighbours):
    with served(DispatcherMiddleware(Flask("none"), {f"/{name}": it.app for name, it in neighbours.items()})) as url:
        yield url


@pytest.fixture
def closed_url():
    """Return the URL of a server that refuses every request."""

    @Request.application
    def closed(_request):
        return Response("{}", 401, content_type="application/problem+json")

    with served(closed) as url:
        yield url


@contextmanager
def served(application):
    server = make_server("127.0.0.1", 0, application, threaded=True)
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield f"http://127.0.0.1:{server.port}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def orchestrator_url():
    return NOBODY


@pytest.fixture
def shop(serve, neighbours_url, orchestrator_url, tmp_path):
    settings = ShopSettings(orchestrator_url=orchestrator_url, participants_url=neighbours_url, kill_command="kill it")
    service = serve("ecommerce", f"sqlite:///{tmp_path / 'ecommerce'}.db", config={"SHOP": settings})
    yield service.app.test_client()
    service.app.extensions["shop"].close()


@pytest.fixture
def form():
    return {"client": "4", "key": str(uuid4()), "q101": "1", "fast": "1"}
