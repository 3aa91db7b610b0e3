from sqlalchemy import text

from app import create_app
from app.config import from_environment
from app.store.database import db


def test_a_migrated_service_is_live_and_ready(client):
    for path in ("/health", "/api/saga/health/"):
        assert client.get(path).get_json()["status"] == "healthy"
    assert (client.get("/ready").status_code, client.get("/ready").get_json()) == (200, {"status": "ready"})


def test_a_database_of_an_earlier_release_is_not_ready(client):
    db.session.execute(text("UPDATE alembic_version SET version_num = '0000'"))
    db.session.commit()
    answer = client.get("/ready")
    assert (answer.status_code, answer.content_type) == (503, "application/problem+json")
    assert "flask --app app db upgrade" in answer.get_json(force=True)["detail"]


def test_a_replica_serves_on_while_a_later_release_migrates(client):
    db.session.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    db.session.commit()
    assert client.get("/ready").status_code == 200


def test_a_database_that_was_never_migrated_is_live_but_not_ready(database_url):
    app = create_app(from_environment({"DATABASE_URL": database_url}))
    with app.app_context():
        client = app.test_client()
        assert client.get("/health").status_code == 200
        assert client.get("/ready").status_code == 503
        db.session.remove()
        db.engine.dispose()


def test_metrics_count_by_route_and_never_by_saga(client):
    saga_id = "00000000-0000-4000-8000-000000000000"
    client.get(f"/api/commande/{saga_id}")
    exposed = client.get("/metrics").get_data(as_text=True)
    assert 'url_rule="/api/commande/<uuid:saga_id>"' in exposed
    assert saga_id not in exposed
