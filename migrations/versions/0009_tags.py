"""A table for the tags of sagas: the values by which lists of sagas can be filtered.

Only catalogue changes. Replicas of the previous release keep working: they start sagas without tags.
"""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"

#: SQLite does not enforce foreign keys here, so a trigger deletes the tags of a deleted saga.
SQLITE = """
    CREATE TRIGGER saga_tags AFTER DELETE ON saga BEGIN
        DELETE FROM saga_tag WHERE saga_id = old.id;
    END
"""


def upgrade() -> None:
    op.create_table(
        "saga_tag",
        sa.Column("saga_id", sa.Uuid(), sa.ForeignKey("saga.id", ondelete="CASCADE"), primary_key=True),
        sa.Column("name", sa.String(), primary_key=True),
        sa.Column("value", sa.String(), nullable=False),
        sa.Column("definition", sa.String(), nullable=False),
    )
    op.create_index("saga_tag_value", "saga_tag", ["name", "value", "definition"])
    if op.get_bind().dialect.name == "sqlite":
        op.execute(SQLITE)


def downgrade() -> None:
    if op.get_bind().dialect.name == "sqlite":
        op.execute("DROP TRIGGER saga_tags")
    op.drop_table("saga_tag")
