"""Who may do what (users, sessions, API keys), and the audit trail, which the database itself lets nobody change."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0005"
down_revision = "0004"

JSON = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")
MOMENT = sa.DateTime(timezone=True)

SQLITE = [
    f"""
    CREATE TRIGGER audit_no_{event} BEFORE {event} ON audit BEGIN
        SELECT RAISE(ABORT, 'the audit trail is append-only');
    END
    """
    for event in ("update", "delete")
] + [
    # INSERT OR REPLACE removes a row without the trigger for a DELETE.
    """
    CREATE TRIGGER audit_no_replace BEFORE INSERT ON audit WHEN EXISTS (SELECT 1 FROM audit WHERE seq = new.seq) BEGIN
        SELECT RAISE(ABORT, 'the audit trail is append-only');
    END
    """
]

POSTGRESQL = [
    """
    CREATE FUNCTION audit_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        RAISE EXCEPTION 'the audit trail is append-only';
    END $$
    """,
    # TRUNCATE too, which is no DELETE to PostgreSQL.
    """
    CREATE TRIGGER audit_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON audit
    FOR EACH STATEMENT EXECUTE FUNCTION audit_append_only()
    """,
]


def upgrade() -> None:
    op.create_table(
        "user_account",
        sa.Column("name", sa.String(), primary_key=True),
        sa.Column("role", sa.String(), nullable=False),
        sa.Column("password", sa.String(), nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
    )
    op.create_table(
        "user_session",
        sa.Column("id", sa.String(), primary_key=True),
        sa.Column("user_name", sa.String(), sa.ForeignKey("user_account.name"), nullable=False, index=True),
        sa.Column("ends_at", MOMENT, nullable=False),
    )
    op.create_table(
        "login_attempt",
        sa.Column("id", sa.Uuid(), primary_key=True),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("address", sa.String(), nullable=False),
        sa.Column("at", MOMENT, nullable=False),
    )
    op.create_index("login_attempt_address", "login_attempt", ["address", "at"])
    op.create_table(
        "api_key",
        sa.Column("prefix", sa.String(), primary_key=True),
        sa.Column("digest", sa.String(), nullable=False, unique=True),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("scopes", JSON, nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("expires_at", MOMENT, nullable=False),
        sa.Column("revoked_at", MOMENT),
    )
    op.create_index("api_key_name", "api_key", ["name"])
    op.create_table(
        "audit",
        sa.Column("seq", sa.Integer(), primary_key=True, autoincrement=False),
        sa.Column("at", MOMENT, nullable=False),
        sa.Column("actor", sa.String(), nullable=False),
        sa.Column("action", sa.String(), nullable=False),
        sa.Column("saga_id", sa.Uuid()),
        sa.Column("target", sa.String()),
        sa.Column("reason", sa.String()),
        sa.Column("before", JSON),
        sa.Column("after", JSON),
        sa.Column("previous", sa.String(), nullable=False),
        sa.Column("hash", sa.String(), nullable=False),
    )
    op.create_index("audit_saga", "audit", ["saga_id"])
    op.create_index("audit_actor", "audit", ["actor"])
    head = op.create_table(
        "audit_head",
        sa.Column("id", sa.Integer(), primary_key=True, autoincrement=False),
        sa.Column("seq", sa.Integer(), nullable=False),
        sa.Column("hash", sa.String(), nullable=False),
    )
    op.bulk_insert(head, [{"id": 1, "seq": 0, "hash": "0" * 64}])
    for statement in SQLITE if op.get_bind().dialect.name == "sqlite" else POSTGRESQL:
        op.execute(statement)


def downgrade() -> None:
    for table in ("audit_head", "audit", "api_key", "login_attempt", "user_session", "user_account"):
        op.drop_table(table)
    if op.get_bind().dialect.name == "postgresql":
        op.execute("DROP FUNCTION audit_append_only")
