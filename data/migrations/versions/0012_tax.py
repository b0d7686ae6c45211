"""Tax: a tenant's own rates and holidays, and the records of verified ages."""

import sqlalchemy as sa
from alembic import op

from data.migrations.isolation import create_schema, isolate

revision = "0012"
down_revision = "0011"


def _root() -> list[sa.Column]:
    return [
        sa.Column("id", sa.Uuid, primary_key=True),
        sa.Column("tenant_id", sa.Uuid, nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now()),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now()),
    ]


def upgrade() -> None:
    # An exclusion constraint that compares plain values beside ranges needs it.
    op.execute("CREATE EXTENSION IF NOT EXISTS btree_gist")
    create_schema("tax")
    op.create_table(
        "tax_rate",
        *_root(),
        sa.Column("country", sa.Text, nullable=False),
        sa.Column("province", sa.Text),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("category", sa.Text),
        sa.Column("rate", sa.Numeric, nullable=False),
        sa.Column("valid_from", sa.Date, nullable=False),
        sa.Column("valid_to", sa.Date),
        sa.CheckConstraint("rate BETWEEN 0 AND 1 AND scale(rate) <= 6", name="rate_is_fraction"),
        sa.CheckConstraint("valid_to >= valid_from", name="days_in_order"),
        sa.Index("ix_tax_rate_country", "tenant_id", "country"),
        schema="tax",
    )
    op.execute(
        """
        ALTER TABLE tax.tax_rate ADD CONSTRAINT ex_tax_rate_no_overlap EXCLUDE USING gist (
            tenant_id WITH =, country WITH =, coalesce(province, '') WITH =, kind WITH =, coalesce(category, '') WITH =,
            daterange(valid_from, valid_to, '[]') WITH &&
        )
        """
    )
    op.create_table(
        "holiday",
        *_root(),
        sa.Column("country", sa.Text, nullable=False),
        sa.Column("province", sa.Text),
        sa.Column("day", sa.Date, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("affects_delivery", sa.Boolean, nullable=False),
        sa.Column("affects_payout", sa.Boolean, nullable=False),
        sa.UniqueConstraint(
            "tenant_id",
            "day",
            "country",
            "province",
            name="uq_holiday_tenant_id_day_country_province",
            postgresql_nulls_not_distinct=True,
        ),
        schema="tax",
    )
    op.create_table(
        "age_verification",
        *_root(),
        sa.Column("user_id", sa.Uuid, nullable=False),
        sa.Column("order_id", sa.Uuid),
        sa.Column("minimum_age", sa.Integer, nullable=False),
        sa.Column("method", sa.Text, nullable=False),
        sa.Column("passed", sa.Boolean, nullable=False),
        sa.Column("verified_by", sa.Uuid),
        sa.Column("verified_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_on", sa.Date),
        sa.CheckConstraint("minimum_age BETWEEN 1 AND 99", name="minimum_age_in_years"),
        sa.Index("ix_age_verification_user_id", "tenant_id", "user_id"),
        sa.Index("ix_age_verification_order_id", "tenant_id", "order_id"),
        schema="tax",
    )
    op.execute("REVOKE UPDATE, DELETE ON tax.age_verification FROM agora_app, agora_system")
    for table in ("tax_rate", "holiday", "age_verification"):
        isolate(f"tax.{table}")
