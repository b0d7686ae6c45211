"""The tables of search."""

from sqlalchemy import Column, Float, Index, Integer, PrimaryKeyConstraint, Table, Text, UniqueConstraint, Uuid

from data.kernel import TENANT_OWNED, metadata, timestamp

performed_search = Table(
    "performed_search",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("tenant_id", Uuid, primary_key=True),
    Column("user_id", Uuid),
    Column("query", Text, nullable=False),
    Column("hits", Integer, nullable=False),
    Column("latency_ms", Float, nullable=False),
    timestamp("performed_at"),
    Index("ix_performed_search_performed_at", "tenant_id", "performed_at"),
    schema="search",
    info={TENANT_OWNED: True},
)

click = Table(
    "click",
    metadata,
    Column("tenant_id", Uuid, nullable=False),
    Column("search_id", Uuid, nullable=False),
    Column("product_id", Uuid, nullable=False),
    Column("user_id", Uuid),
    timestamp("clicked_at"),
    PrimaryKeyConstraint("tenant_id", "search_id", "product_id"),
    Index("ix_click_clicked_at", "clicked_at"),
    schema="search",
    info={TENANT_OWNED: True},
)

# Who asked: a tenant, or (without one) the platform. What for: a branch of the catalogue, or (without one) everything.
index_request = Table(
    "index_request",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("tenant_id", Uuid),
    Column("category_id", Uuid),
    timestamp("requested_at"),
    UniqueConstraint("tenant_id", "category_id", postgresql_nulls_not_distinct=True),
    schema="search",
    info={TENANT_OWNED: True},
)
