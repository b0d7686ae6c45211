"""Topics: which events of the log can be followed under which names."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

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
    op.add_column("event_log", sa.Column("topics", postgresql.ARRAY(sa.Text)), schema="platform")
    op.execute(_INDEX)
    # Most events belong to no topic, and then the function is not even called.
    op.execute(
        "CREATE TRIGGER index_topics AFTER INSERT ON platform.event_log FOR EACH ROW WHEN (NEW.topics IS NOT NULL) "
        "EXECUTE FUNCTION platform.index_topics()"
    )


_INDEX = """
CREATE FUNCTION platform.index_topics() RETURNS trigger LANGUAGE plpgsql SET search_path = platform, pg_temp AS $$
BEGIN
  INSERT INTO platform.topic_entry (tenant_id, topic, sequence)
  SELECT NEW.tenant_id, topic, NEW.sequence FROM unnest(NEW.topics) AS topic;
  RETURN NULL;
END $$
"""
