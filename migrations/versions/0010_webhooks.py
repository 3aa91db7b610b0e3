"""Messages to webhooks: a table for them, a column for the webhook that a start names, and a trigger that writes them.

The trigger writes a message together with the move that it is about, for a saga that has ended or is stuck. Only
catalogue changes. Replicas of the previous release keep working: they name no webhooks.
"""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"

MOMENT = sa.DateTime(timezone=True)
COUNTED = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
#: No commit of a saga passes such a status: the moves to it are the last ones of their commit.
SETTLED = "new.status IN ('completed', 'compensated', 'stuck')"
COLUMNS = "saga_id, seq, event, webhook, url, at, attempts, due_at"

SQLITE = [
    f"""
    CREATE TRIGGER saga_webhooks_{event} AFTER {when} ON saga
    WHEN {SETTLED} AND instr(new.moves, '"webhooks"') BEGIN
        INSERT INTO webhook_delivery ({COLUMNS})
        SELECT new.id, move.value ->> 'seq', target.value ->> 'event', target.value ->> 'webhook',
               target.value ->> 'url', new.updated_at, 0, new.updated_at
        FROM json_each(new.moves) AS move, json_each(move.value -> 'webhooks') AS target
        ORDER BY move.value ->> 'seq';
    END
    """
    for event, when in (("insert", "INSERT"), ("update", "UPDATE OF moves"))
] + [
    # SQLite does not enforce foreign keys here.
    """
    CREATE TRIGGER saga_deliveries AFTER DELETE ON saga BEGIN
        DELETE FROM webhook_delivery WHERE saga_id = old.id;
    END
    """
]
POSTGRESQL = [
    f"""
    CREATE FUNCTION saga_webhooks() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        IF {SETTLED} AND jsonb_path_exists(new.moves, '$[*].webhooks') THEN
            INSERT INTO webhook_delivery ({COLUMNS})
            SELECT new.id, seq, target ->> 'event', target ->> 'webhook', target ->> 'url', new.updated_at, 0,
                   new.updated_at
            FROM jsonb_to_recordset(new.moves) AS move (seq int, webhooks jsonb),
                 jsonb_array_elements(move.webhooks) AS target
            ORDER BY seq;
        END IF;
        RETURN NULL;
    END $$
    """,
    # The trigger has no WHEN: PostgreSQL parses it for each statement, which takes 50 µs. The IF is parsed once.
    """
    CREATE TRIGGER saga_webhooks AFTER INSERT OR UPDATE OF moves ON saga FOR EACH ROW
    EXECUTE FUNCTION saga_webhooks()
    """,
]


def upgrade() -> None:
    op.add_column("saga", sa.Column("webhook", sa.String(), nullable=True))
    op.create_table(
        "webhook_delivery",
        sa.Column("id", COUNTED, primary_key=True),
        sa.Column("saga_id", sa.Uuid(), sa.ForeignKey("saga.id", ondelete="CASCADE"), nullable=False),
        sa.Column("seq", sa.Integer(), nullable=False),
        sa.Column("event", sa.String(), nullable=False),
        sa.Column("webhook", sa.String(), nullable=False),
        sa.Column("url", sa.String(), nullable=False),
        sa.Column("at", MOMENT, nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("owner", sa.String(), nullable=True),
        sa.Column("due_at", MOMENT, nullable=True),
        sa.Column("delivered_at", MOMENT, nullable=True),
        sa.Column("error", sa.String(), nullable=True),
    )
    due, dead = sa.text("due_at IS NOT NULL"), sa.text("due_at IS NULL AND delivered_at IS NULL")
    for name, columns, where in (
        ("due", ["webhook", "due_at"], due),
        ("dead", ["id"], dead),
        ("saga", ["saga_id"], None),
    ):
        op.create_index(
            f"webhook_delivery_{name}", "webhook_delivery", columns, sqlite_where=where, postgresql_where=where
        )
    for statement in SQLITE if op.get_bind().dialect.name == "sqlite" else POSTGRESQL:
        op.execute(statement)


def downgrade() -> None:
    if op.get_bind().dialect.name == "sqlite":
        for trigger in ("saga_webhooks_insert", "saga_webhooks_update", "saga_deliveries"):
            op.execute(f"DROP TRIGGER {trigger}")
    else:
        op.execute("DROP TRIGGER saga_webhooks ON saga")
        op.execute("DROP FUNCTION saga_webhooks")
    op.drop_table("webhook_delivery")
    op.drop_column("saga", "webhook")
