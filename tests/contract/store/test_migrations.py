import flask_migrate
import pytest
from sqlalchemy import inspect

from app import create_app
from app.cli.migrate import enable_migrations
from app.config import from_environment
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
