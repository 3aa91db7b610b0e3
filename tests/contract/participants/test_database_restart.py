"""A participant continues after its database was restarted."""

import psycopg2

from participants.database import driver_url
from participants.flask_app import create_service


def test_requests_succeed_after_a_database_restart(postgres_url):
    client = create_service("stock", driver_url(postgres_url)).test_client()
    assert client.get("/produits").status_code == 200
    with psycopg2.connect(postgres_url) as admin, admin.cursor() as cursor:
        others = "datname = current_database() AND pid <> pg_backend_pid()"
        cursor.execute(f"SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE {others}")
        assert cursor.fetchone()[0] >= 1
    admin.close()
    assert client.get("/produits").status_code == 200
