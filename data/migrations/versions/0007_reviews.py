"""Reviews: reviews, votes, rating summaries, wishlists."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from data.migrations.isolation import create_schema, isolate

revision = "0007"
down_revision = "0006"


def _root() -> list[sa.Column]:
    return [
        sa.Column("id", sa.Uuid, primary_key=True),
        sa.Column("tenant_id", sa.Uuid, nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now()),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now()),
    ]


def upgrade() -> None:
    create_schema("reviews")
    op.create_table(
        "review",
        *_root(),
        sa.Column("product_id", sa.Uuid, nullable=False),
        sa.Column("author_id", sa.Uuid, nullable=False),
        sa.Column("store_id", sa.Uuid),
        sa.Column("rating", sa.SmallInteger, nullable=False),
        sa.Column("title", sa.Text),
        sa.Column("content", sa.Text),
        sa.Column("attributes", postgresql.JSONB, nullable=False, server_default="{}"),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("is_verified_purchase", sa.Boolean, nullable=False),
        sa.Column("helpful_count", sa.Integer, nullable=False),
        sa.Column("unhelpful_count", sa.Integer, nullable=False),
        sa.Column("response", sa.Text),
        sa.Column("responded_at", sa.DateTime(timezone=True)),
        sa.Column("edited_at", sa.DateTime(timezone=True)),
        sa.CheckConstraint("rating BETWEEN 1 AND 5", name="rating_range"),
        sa.CheckConstraint("helpful_count >= 0 AND unhelpful_count >= 0", name="votes_not_negative"),
        sa.UniqueConstraint("tenant_id", "product_id", "author_id", name="uq_review_tenant_id_product_id_author_id"),
        sa.Index("ix_review_product_id_newest", "tenant_id", "product_id", "state", "id"),
        sa.Index("ix_review_product_id_helpful", "tenant_id", "product_id", "state", "helpful_count", "id"),
        sa.Index("ix_review_author_id", "tenant_id", "author_id", "id"),
        schema="reviews",
    )
    op.create_table(
        "vote",
        sa.Column("tenant_id", sa.Uuid, nullable=False),
        sa.Column("review_id", sa.Uuid, primary_key=True),
        sa.Column("voter_id", sa.Uuid, primary_key=True),
        sa.Column("kind", sa.Text, nullable=False),
        schema="reviews",
    )
    counts = ("one", "two", "three", "four", "five")
    op.create_table(
        "product_rating",
        *_root(),
        sa.Column("product_id", sa.Uuid, nullable=False),
        *(sa.Column(name, sa.Integer, nullable=False) for name in counts),
        sa.CheckConstraint(" AND ".join(f"{name} >= 0" for name in counts), name="counts_not_negative"),
        sa.UniqueConstraint("tenant_id", "product_id", name="uq_product_rating_tenant_id_product_id"),
        schema="reviews",
    )
    op.create_table(
        "wishlist_item",
        *_root(),
        sa.Column("user_id", sa.Uuid, nullable=False),
        sa.Column("product_id", sa.Uuid, nullable=False),
        sa.Column("notes", sa.Text),
        sa.Column("added_at", sa.DateTime(timezone=True), nullable=False),
        sa.UniqueConstraint(
            "tenant_id", "user_id", "product_id", name="uq_wishlist_item_tenant_id_user_id_product_id"
        ),
        schema="reviews",
    )
    for table in ("review", "vote", "product_rating", "wishlist_item"):
        isolate(f"reviews.{table}")
