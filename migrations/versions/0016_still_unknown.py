"""An index of the few moves that can leave an effect unknown at the end of a saga, for the list of such sagas.

A catalogue change, and a read of the journal while the index is built. Writers of the journal wait for this read on
PostgreSQL; replicas of the previous release keep working.
"""

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"

#: A person has compensated a saga that was stuck, or a probe found nothing to undo.
LEAVES_UNKNOWN = sa.text(
    "(\"trigger\" = 'compensate' AND substr(source, 1, 6) = 'STUCK_'"
    " OR substr(reason, 1, 31) = 'the probe found nothing to undo')"
)


def upgrade() -> None:
    op.create_index(
        "journal_leaves_unknown", "journal", ["saga_id"],
        sqlite_where=LEAVES_UNKNOWN, postgresql_where=LEAVES_UNKNOWN,
    )  # fmt: skip


def downgrade() -> None:
    op.drop_index("journal_leaves_unknown", "journal")
