import json

import flask_migrate
import pytest
from sqlalchemy import inspect

from app import create_app
from app.cli.migrate import enable_migrations
from app.config import from_environment
from app.readiness import MIGRATIONS
from app.store.database import db


@pytest.fixture
def app(database_url):
    app = create_app(from_environment({"DATABASE_URL": database_url}))
    enable_migrations(app)
    with app.app_context():
        yield app
        db.engine.dispose()


def test_downgrade_leaves_no_tables_and_upgrade_restores_them(app):
    flask_migrate.upgrade()
    assert {"saga", "journal"} <= set(inspect(db.engine).get_table_names())
    flask_migrate.downgrade(revision="base")
    assert inspect(db.engine).get_table_names() == ["alembic_version"]
    flask_migrate.upgrade()
    assert {"saga", "journal"} <= set(inspect(db.engine).get_table_names())


# SQLAlchemy does not read back the indexes of an expression on SQLite.
@pytest.mark.filterwarnings("ignore:Skipped unsupported reflection of expression-based index")
def test_migrations_match_the_models(app):
    flask_migrate.upgrade()
    flask_migrate.check()  # exits with an error when a migration is missing


def test_upgrade_logs_from_where_to_where_when_it_changed_something(database_url):
    logged = []
    for arguments in (["upgrade"], ["upgrade"], ["downgrade"]):
        # An application for each: its command is replaced at its first use.
        app = create_app(from_environment({"DATABASE_URL": database_url}))
        ended = app.test_cli_runner().invoke(args=["db", *arguments])
        assert ended.exit_code == 0, ended.output
        logged.append([json.loads(line) for line in ended.stdout.splitlines()])
    first, again, back = logged
    newest = max(int(file.name[:4]) for file in MIGRATIONS.glob("versions/[0-9]*.py"))
    assert [line["event"] for line in first] == ["database.migrated"]
    assert (first[0]["from_migration"], int(first[0]["to_migration"])) == (None, newest)
    assert again == []
    assert int(back[0]["to_migration"]) == newest - 1
