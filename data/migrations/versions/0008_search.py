"""Search: the log of searches and clicks, requests to the index, and an index for text search without the engine."""

import sqlalchemy as sa
from alembic import op

from data.migrations.isolation import create_schema, isolate

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    create_schema("search")
    op.create_table(
        "performed_search",
        sa.Column("id", sa.Uuid, primary_key=True),
        sa.Column("tenant_id", sa.Uuid, nullable=False),
        sa.Column("user_id", sa.Uuid),
        sa.Column("query", sa.Text, nullable=False),
        sa.Column("hits", sa.Integer, nullable=False),
        sa.Column("latency_ms", sa.Float, nullable=False),
        sa.Column("performed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Index("ix_performed_search_performed_at", "tenant_id", "performed_at"),
        schema="search",
    )
    op.create_table(
        "click",
        sa.Column("tenant_id", sa.Uuid, nullable=False),
        sa.Column("search_id", sa.Uuid, nullable=False),
        sa.Column("product_id", sa.Uuid, nullable=False),
        sa.Column("user_id", sa.Uuid),
        sa.Column("clicked_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "search_id", "product_id", name="pk_click"),
        sa.Index("ix_click_clicked_at", "clicked_at"),
        schema="search",
    )
    op.create_table(
        "index_request",
        sa.Column("id", sa.Uuid, primary_key=True),
        sa.Column("tenant_id", sa.Uuid),
        sa.Column("category_id", sa.Uuid),
        sa.Column("requested_at", sa.DateTime(timezone=True), nullable=False),
        sa.UniqueConstraint(
            "tenant_id",
            "category_id",
            name="uq_index_request_tenant_id_category_id",
            postgresql_nulls_not_distinct=True,
        ),
        schema="search",
    )
    for table in ("performed_search", "click", "index_request"):
        isolate(f"search.{table}")
    op.execute(
        "CREATE INDEX ix_product_words ON catalog.product USING gin (to_tsvector('simple', name || ' ' || brand)) "
        "WHERE state = 'active' AND deleted_at IS NULL"
    )
