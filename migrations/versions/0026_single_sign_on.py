"""Columns for the provider at which a person signs in (OpenID Connect), and the person's id there.

Catalogue changes. Replicas of the previous release keep working: they let nobody in without a password.
"""

import sqlalchemy as sa
from alembic import op

revision = "0026"
down_revision = "0025"


def upgrade() -> None:
    op.add_column("user_account", sa.Column("issuer", sa.String(), nullable=True))
    op.add_column("user_account", sa.Column("subject", sa.String(), nullable=True))
    op.create_index("user_account_subject", "user_account", ["issuer", "subject"], unique=True)


def downgrade() -> None:
    op.drop_index("user_account_subject", "user_account")
    op.drop_column("user_account", "subject")
    op.drop_column("user_account", "issuer")
