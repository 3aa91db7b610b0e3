"""The live diagrams on both databases, of sagas that the test stores itself."""

import dataclasses
import itertools
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from html import unescape
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from flask.testing import FlaskClient
from sqlalchemy import event, text

from app import create_app
from app.config import from_environment
from app.store.database import db
from app.store.instance import Instance
from app.store.sagas import SagaStore
from app.store.statements import Connections
from app.store.statistics import heat
from machines.call import post
from machines.checkout import CHECKOUT
from machines.discovery import discover
from machines.registry import Registry
from machines.saga import Saga
from machines.step import compensatable
from machines.transitions import Phase
from tests.support.applications import opened
from tests.support.moves import move as make_move
from tests.support.servers import OPEN

KINDS = {
    "svg": "image/svg+xml",
    "puml": "text/plain; charset=utf-8",
    "dot": "text/vnd.graphviz; charset=utf-8",
    "mmd": "text/plain; charset=utf-8",
    "md": "text/markdown; charset=utf-8",
}
HOUR_S = 3600.0
DEADLINE_S = CHECKOUT.deadline_s


def second_checkout() -> Saga:
    """Return the checkout with one more step before the payment."""
    points = compensatable(
        "points", post("client", "/{client_id}/points"), undo=post("client", "/{client_id}/points/annuler"),
        undoing="POINTS_REPRIS", done="POINTS_DONNES", refused="ECHEC_POINTS",
    )  # fmt: skip
    return dataclasses.replace(CHECKOUT, version=2, steps=(*CHECKOUT.steps[:2], points, *CHECKOUT.steps[2:]))


@pytest.fixture
def registry() -> Registry:
    return Registry([*discover(), second_checkout()])


@pytest.fixture
def client(store_url: str, registry: Registry) -> Iterator[FlaskClient]:
    app = create_app(from_environment(OPEN | {"DATABASE_URL": store_url}), registry)
    with opened(app):
        yield app.test_client()


@pytest.fixture
def walk(client: FlaskClient, registry: Registry) -> Any:
    """Return a function that stores a checkout v1 and makes one move, in a separate commit, for each outcome."""
    store = SagaStore(Connections(db.engine), registry, "test")

    def move(*outcomes: str, reason: str | None = None) -> Instance:
        saga = Instance.new(registry.get("checkout", 1), {"client_id": 1, "magasin_id": 1}, actor="test")
        store.insert(saga, HOUR_S, owner="one")
        for outcome in outcomes:
            make_move(saga, outcome, reason=reason)
            ended = saga.current.phase in (Phase.COMPLETED, Phase.COMPENSATED)
            store.save(saga, None if ended else HOUR_S, owner="test")
        return saga

    return move


def words(svg: str) -> list[str]:
    return [element.text or "" for element in ET.fromstring(svg).iter("{http://www.w3.org/2000/svg}text")]


@pytest.mark.parametrize("kind", KINDS)
def test_definition_is_drawn_in_every_format(client: FlaskClient, kind: str):
    answer = client.get(f"/diagrams/checkout.{kind}?version=1")
    assert answer.status_code == 200
    assert answer.content_type == KINDS[kind]
    assert "PAIEMENT_EFFECTUE" in answer.text
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]


def test_diagram_is_of_the_latest_version_by_default(client: FlaskClient):
    assert "POINTS_DONNES" in client.get("/diagrams/checkout.md").text
    assert "POINTS_DONNES" not in client.get("/diagrams/checkout.md?version=1").text


@pytest.mark.parametrize("path", ["/diagrams/", "/diagrams/checkout.svg", "/diagrams/checkout.dot"])
def test_unchanged_diagram_is_not_sent_again(client: FlaskClient, path: str):
    first = client.get(path)
    assert "max-age=60" in first.headers["Cache-Control"]
    again = client.get(path, headers={"If-None-Match": first.headers["ETag"]})
    assert (again.status_code, again.data) == (304, b"")


@pytest.mark.parametrize(
    "path",
    [
        "/diagrams/nothing.svg",
        "/diagrams/checkout.svg?version=9",
        "/diagrams/checkout.png",
        "/diagrams/nothing/heat.svg",
        "/diagrams/checkout/diff.svg?from=1&to=9",
        "/api/v1/sagas/00000000-0000-4000-8000-000000000000/diagram.svg",
    ],
)
def test_unknown_diagram_is_a_problem(client: FlaskClient, path: str):
    answer = client.get(path)
    assert (answer.status_code, answer.content_type) == (404, "application/problem+json")


@pytest.mark.parametrize(
    "path",
    [
        "/diagrams/checkout.svg?version=0",
        "/diagrams/checkout.svg?verison=1",
        "/diagrams/checkout/heat.svg?window=2h",
        "/diagrams/checkout/diff.svg?from=1",
        "/diagrams/checkout/diff.md?from=x&to=2",
    ],
)
def test_invalid_query_is_a_problem(client: FlaskClient, path: str):
    answer = client.get(path)
    assert (answer.status_code, answer.content_type) == (400, "application/problem+json")


def test_gallery_shows_every_version_and_has_no_script(client: FlaskClient, registry: Registry):
    answer = client.get("/diagrams/")
    assert answer.content_type == "text/html; charset=utf-8"
    for saga in registry:
        assert f'src="{saga.name}.svg?version={saga.version}"' in answer.text
    assert "checkout/diff.svg?from=1&amp;to=2" in answer.text
    assert "<script" not in answer.text
    policy = answer.headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'; img-src 'self'; style-src 'sha256-")
    assert "unsafe" not in policy


def test_every_link_of_the_gallery_works(client: FlaskClient):
    links = set(re.findall(r'(?:href|src)="([^"#]+)"', client.get("/diagrams/").text))
    assert len(links) > 50
    assert {client.get(f"/diagrams/{unescape(link)}").status_code for link in links} == {200}


def test_the_path_of_a_saga_whose_payment_was_refused(client: FlaskClient, walk: Any):
    saga = walk("succeeded", "succeeded", "refused", "succeeded", reason="402 <no> & never")
    answer = client.get(f"/api/v1/sagas/{saga.id}/diagram.svg")
    assert (answer.status_code, answer.content_type) == (200, "image/svg+xml")
    assert {"refused #3", "compensate #4", "succeeded #5", "402 <no> & never", "◆ it ended here"} <= set(
        words(answer.text)
    )
    assert 'class="failure failed" data-state="ECHEC_PAIEMENT"' in answer.text
    assert 'class="compensated now" data-state="ANNULEE"' in answer.text
    assert 'class="forward dim" data-state="PAIEMENT_EFFECTUE"' in answer.text


def test_path_of_a_running_saga_shows_the_remaining_steps(client: FlaskClient, walk: Any):
    saga = walk("succeeded", "retry", "succeeded", "succeeded")
    answer = client.get(f"/api/v1/sagas/{saga.id}/diagram.svg")
    assert "It is in PAIEMENT_EFFECTUE. What remains: enregistrer_vente, confirmer." in words(answer.text)
    assert "retry \N{MULTIPLICATION SIGN}1" in words(answer.text)
    assert answer.headers["Cache-Control"] == "private, no-cache"
    again = client.get(f"/api/v1/sagas/{saga.id}/diagram.svg", headers={"If-None-Match": answer.headers["ETag"]})
    assert again.status_code == 304


def test_heat_counts_present_sagas_and_their_transitions(client: FlaskClient, walk: Any):
    for outcomes in (["succeeded"] * 5, ["succeeded"] * 5, ["succeeded", "succeeded", "refused", "succeeded"]):
        walk(*outcomes)
    walk("succeeded", "succeeded", "retry")
    walk("succeeded", "succeeded", "succeeded", "exhausted")
    found = heat("checkout", 1, HOUR_S, DEADLINE_S)
    assert found.now == {"STOCK_RESERVE": 1, "STUCK_ENREGISTRER_VENTE": 1}
    assert found.moves["STOCK_RESERVE", "succeeded", "PAIEMENT_EFFECTUE"] == 3
    assert found.moves["STOCK_RESERVE", "refused", "ECHEC_PAIEMENT"] == 1
    assert found.moves["STOCK_RESERVE", "retry", "STOCK_RESERVE"] == 1
    svg = client.get("/diagrams/checkout/heat.svg?version=1&window=15m")
    assert (svg.status_code, svg.content_type) == (200, "image/svg+xml")
    assert {
        "succeeded 75 % (3)",
        "refused 25 % (1)",
        "retry \N{MULTIPLICATION SIGN}1",
        "2 arrived",
        "1 arrived",
    } <= set(words(svg.text))
    assert any(line.startswith("1 here now, oldest ") for line in words(svg.text))


def test_heat_counts_one_version_and_one_window(client: FlaskClient, walk: Any):
    saga = walk("succeeded", "succeeded")
    assert heat("checkout", 2, HOUR_S, DEADLINE_S).now == {}
    assert heat("checkout", 2, HOUR_S, DEADLINE_S).moves == {}
    shift(saga, seconds=2 * HOUR_S)
    assert heat("checkout", 1, HOUR_S, DEADLINE_S).moves == {}
    found = heat("checkout", 1, 3 * HOUR_S, DEADLINE_S)
    assert sum(found.moves.values()) == 2
    assert 2 * HOUR_S <= found.oldest_s["STOCK_RESERVE"] < 2 * HOUR_S + 60


def test_age_counts_from_the_entry_and_not_from_the_last_attempt(client: FlaskClient, walk: Any):
    saga = walk("succeeded", "retry")
    shift(saga, seconds=600, upto=2)
    assert 600 <= heat("checkout", 1, HOUR_S, DEADLINE_S).oldest_s["PANIER_RECUPERE"] < 660


def test_p95_of_the_time_in_a_state(client: FlaskClient, walk: Any):
    for seconds in range(1, 21):
        shift(walk("succeeded", "succeeded"), seconds=seconds, upto=1)
    assert heat("checkout", 1, HOUR_S, DEADLINE_S).p95_s["INITIEE"] == pytest.approx(19, abs=0.9)


def test_a_later_start_does_not_count_from_its_creation(client: FlaskClient, registry: Registry):
    """A saga was created an hour before its start. Then it starts, and leaves its first state."""
    store = SagaStore(Connections(db.engine), registry, "test")
    saga = Instance.new(registry.get("checkout", 1), {"client_id": 1, "magasin_id": 1}, actor="test")
    saga.pending, saga.start_at = True, datetime.now(UTC) + timedelta(seconds=30)
    store.insert(saga, None, owner=None)
    assert heat("checkout", 1, HOUR_S, DEADLINE_S).oldest_s == {"INITIEE": 0.0}
    shift_journal(saga, seconds=HOUR_S)
    saga.start_pending()
    store.save(saga, HOUR_S, owner="test")
    assert heat("checkout", 1, HOUR_S, DEADLINE_S).oldest_s["INITIEE"] < 60
    make_move(saga, "succeeded")
    store.save(saga, HOUR_S, owner="test")
    assert heat("checkout", 1, HOUR_S, DEADLINE_S).p95_s["INITIEE"] < 60


def test_heat_takes_four_queries_however_many_states_there_are(client: FlaskClient, walk: Any):
    walk("succeeded")
    statements: list[str] = []
    event.listen(db.engine, "before_cursor_execute", lambda _c, _u, sql, *_: statements.append(sql))
    heat("checkout", 1, HOUR_S, DEADLINE_S)
    assert [sql.split()[0] for sql in statements].count("SELECT") == 4


def test_diff_counts_the_sagas_in_changed_states(client: FlaskClient, walk: Any):
    walk("succeeded", "succeeded")
    walk("succeeded", "succeeded")
    walk("succeeded")
    walk(*["succeeded"] * 5)
    answer = client.get("/diagrams/checkout/diff.svg?from=1&to=2")
    assert answer.status_code == 200
    said = words(answer.text)
    assert any(line.endswith("2 running sagas of checkout v1 are in a changed state") for line in said)
    assert {"2 running of checkout v1 here", "succeeded + new", "succeeded ~ changed"} <= set(said)
    assert 'class="forward added" data-state="POINTS_DONNES"' in answer.text
    table = client.get("/diagrams/checkout/diff.md?from=1&to=2")
    assert table.content_type == KINDS["md"]
    assert "| `STOCK_RESERVE` | 2 |" in table.text


def shift(saga: Instance, *, seconds: float, upto: int | None = None) -> None:
    """Make a saga, and the first `upto` rows of its journal, `seconds` older. Without `upto`, all rows."""
    shift_journal(saga, seconds=seconds, upto=upto)
    for column in ("entered_at", "deadline_at"):
        sql = f"UPDATE saga SET {column} = {earlier(column, seconds)} WHERE id = :id"
        db.session.execute(text(sql), keys(saga))
    db.session.commit()


def shift_journal(saga: Instance, *, seconds: float, upto: int | None = None) -> None:
    rows = db.session.execute(text("SELECT seq FROM journal WHERE saga_id = :id ORDER BY seq"), keys(saga)).all()
    for row in itertools.islice(rows, upto):
        sql = f"UPDATE journal SET at = {earlier('at', seconds)} WHERE saga_id = :id AND seq = :seq"
        db.session.execute(text(sql), keys(saga) | {"seq": row.seq})
    db.session.commit()


def earlier(column: str, seconds: float) -> str:
    if db.engine.dialect.name == "sqlite":
        return f"strftime('%Y-%m-%d %H:%M:%f', {column}, '-{seconds} seconds') || '000'"
    return f"{column} - make_interval(secs => {seconds})"


def keys(saga: Instance) -> dict[str, Any]:
    return {"id": saga.id.hex if db.engine.dialect.name == "sqlite" else saga.id}
