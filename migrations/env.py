"""Runs the migrations on the application's own engine."""

from alembic import context
from flask import current_app

database = current_app.extensions["migrate"].db

# A migration is done as a whole or not at all, where the database can.
whole = database.engine.execution_options(
    isolation_level="SERIALIZABLE" if database.engine.dialect.name == "sqlite" else "READ COMMITTED"
)
with whole.connect() as connection:
    context.configure(connection=connection, target_metadata=database.metadata)
    with context.begin_transaction():
        context.run_migrations()
