"""Restorations: which backups this database came from, and whether what reaches outside is held back since."""

import sqlalchemy as sa
from alembic import op

from data.migrations.isolation import APP_ROLE

revision = "0029"
down_revision = "0028"


def upgrade() -> None:
    op.create_table(
        "restoration",
        sa.Column("id", sa.Uuid, primary_key=True),
        sa.Column("taken_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("position", sa.BigInteger, nullable=False),
        sa.Column("restored_at", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now()),
        sa.Column("released_at", sa.DateTime(timezone=True)),
        schema="platform",
    )
    op.execute(f"REVOKE INSERT, UPDATE, DELETE ON platform.restoration FROM {APP_ROLE}")
