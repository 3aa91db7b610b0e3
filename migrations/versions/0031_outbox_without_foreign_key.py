"""The outbox has no foreign key to the journal, so that the journal can be partitioned.

The trigger of `saga` writes the move and its event together, so the key protected against nothing but a deletion. It
cost a look into the journal for each event, and for each deleted move a look through the whole outbox. Replicas of the
previous release keep working: `saga prune` never selects a saga that has events. The processes of this release also look
again when they have locked it.
"""

import sqlalchemy as sa
from alembic import op

revision = "0031"
down_revision = "0030"

# SQLite cannot drop a foreign key, so the table is made again. In legacy mode a table can get the name that triggers use.
SQLITE = [
    "PRAGMA legacy_alter_table = ON",
    """
    CREATE TABLE new_outbox (
        id INTEGER NOT NULL PRIMARY KEY, saga_id CHAR(32) NOT NULL, seq INTEGER NOT NULL, at DATETIME NOT NULL{key}
    )
    """,
    "INSERT INTO new_outbox (id, saga_id, seq, at) SELECT id, saga_id, seq, at FROM outbox",
    "DROP TABLE outbox",
    "ALTER TABLE new_outbox RENAME TO outbox",
    "PRAGMA legacy_alter_table = OFF",
]
KEY = ["saga_id", "seq"]
#: The name of the key, whatever it is. It names the journal, so its lock comes before that of the outbox, as in a commit.
NAMED = "SELECT conname FROM pg_constraint WHERE conrelid = 'outbox'::regclass AND confrelid = 'journal'::regclass"


def upgrade() -> None:
    if op.get_bind().dialect.name == "sqlite":
        _make_again("")
        return
    for name in op.get_bind().execute(sa.text(NAMED)).scalars().all():
        op.drop_constraint(name, "outbox", type_="foreignkey")


def downgrade() -> None:
    orphans = "NOT EXISTS (SELECT 1 FROM journal WHERE journal.saga_id = outbox.saga_id AND journal.seq = outbox.seq)"
    op.execute(f"DELETE FROM outbox WHERE {orphans}")
    if op.get_bind().dialect.name == "sqlite":
        _make_again(", FOREIGN KEY(saga_id, seq) REFERENCES journal (saga_id, seq)")
    else:
        op.create_foreign_key("outbox_saga_id_seq_fkey", "outbox", "journal", KEY, KEY)


def _make_again(key: str) -> None:
    for statement in SQLITE:
        op.execute(statement.replace("{key}", key))
