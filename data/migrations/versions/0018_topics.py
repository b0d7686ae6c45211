"""Topics: which events of the log can be followed under which names."""

import sqlalchemy as sa
from alembic import op

from data.migrations.isolation import isolate

revision = "0018"
down_revision = "0017"


def upgrade() -> None:
    op.create_table(
        "topic_entry",
        sa.Column("tenant_id", sa.Uuid, nullable=False),
        sa.Column("topic", sa.Text, nullable=False),
        sa.Column("sequence", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "topic", "sequence", name="pk_topic_entry"),
        sa.Index("ix_topic_entry_sequence", "sequence"),
        schema="platform",
    )
    isolate("platform.topic_entry")
