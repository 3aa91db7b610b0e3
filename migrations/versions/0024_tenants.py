"""Columns for the tenant of sagas, bulk jobs, users and API keys, and the policies that keep a tenant's rows apart.

Catalogue changes. On PostgreSQL the index, which stays empty, is built outside the migration's transaction, while the
replicas go on writing; so the migration can be repeated. Replicas of the previous release keep working: without a
tenant, every policy admits every row. They know no tenant, so make the first key with a tenant when all are upgraded.
"""

import sqlalchemy as sa
from alembic import op

revision = "0024"
down_revision = "0023"

OF_TENANT = sa.text("tenant IS NOT NULL")
#: True while the statement acts for all tenants: the setting was never set, or was set in a transaction that has ended.
FOR_ALL = "coalesce(current_setting('saga.tenant', true), '') = ''"
OWNING = ("saga", "bulk_job")
WITH_TENANT = (*OWNING, "user_account", "api_key")
BELONGING = {
    name: f"EXISTS (SELECT 1 FROM saga AS owning WHERE owning.id = {name}.saga_id AND owning.tenant = "
    "current_setting('saga.tenant', true))"
    for name in ("journal", "arrival", "saga_case", "saga_tag", "outbox", "webhook_delivery", "audit")
} | {
    "bulk_item": "EXISTS (SELECT 1 FROM bulk_job AS owning WHERE owning.id = bulk_item.job_id AND owning.tenant = "
    "current_setting('saga.tenant', true))"
}


def upgrade() -> None:
    if op.get_bind().dialect.name == "sqlite":
        for table in WITH_TENANT:
            op.add_column(table, sa.Column("tenant", sa.String(), nullable=True))
        op.create_index("saga_tenant", "saga", ["tenant", "created_at"], sqlite_where=OF_TENANT)
        return
    for table in WITH_TENANT:
        op.execute(f"ALTER TABLE {table} ADD COLUMN IF NOT EXISTS tenant varchar")
    for table in OWNING:
        _admit(table, f"{FOR_ALL} OR tenant = current_setting('saga.tenant', true)")
    for table, belongs in BELONGING.items():
        # What a person does to the own account is in the audit trail, too, and belongs to no saga.
        _admit(table, f"{FOR_ALL} OR {belongs}", check="true" if table == "audit" else None)
    with op.get_context().autocommit_block():
        op.execute("DROP INDEX IF EXISTS saga_tenant")
        op.execute(f"CREATE INDEX CONCURRENTLY saga_tenant ON saga (tenant, created_at) WHERE {OF_TENANT}")


def _admit(table: str, rows: str, check: str | None = None) -> None:
    op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
    op.execute(f"DROP POLICY IF EXISTS {table}_of_tenant ON {table}")
    written = f" WITH CHECK ({check})" if check else ""
    op.execute(f"CREATE POLICY {table}_of_tenant ON {table} USING ({rows}){written}")


def downgrade() -> None:
    if op.get_bind().dialect.name == "postgresql":
        for table in (*OWNING, *BELONGING):
            op.execute(f"DROP POLICY {table}_of_tenant ON {table}")
            op.execute(f"ALTER TABLE {table} DISABLE ROW LEVEL SECURITY")
    op.drop_index("saga_tenant", "saga")
    for table in WITH_TENANT:
        op.drop_column(table, "tenant")
