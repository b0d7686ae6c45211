"""The tenant becomes part of every key, so that each table can be distributed by it.

What is named by a primary key stays unique by itself: ids are random. On a large table the indexes can be built beforehand without a
lock, under the names that this migration looks for: `CREATE UNIQUE INDEX CONCURRENTLY <constraint>_tenant ON …`.
"""

from collections.abc import Sequence

from alembic import op
from sqlalchemy import text

revision = "0030"
down_revision = "0029"

WHOLE = ("tenancy.tenant", "tenancy.tenant_host", "search.index_request", "identity.social_login")
"""What is copied to every node instead of being distributed: its keys hold for all tenants.

A way round by an identity provider is found before anybody knows whose it is, and its proof is good once in all tenants.
"""

_OWNED = """
    SELECT c.oid FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = 'tenant_id' AND a.attnotnull
    WHERE c.relkind IN ('r', 'p') AND c.relnamespace::regnamespace::text || '.' || c.relname <> ALL(:whole)
      AND EXISTS (SELECT FROM pg_policy WHERE polrelid = c.oid AND polname = 'tenant')
"""
_KEYS = f"""
WITH owned AS ({_OWNED})
SELECT k.conname AS name, k.contype::text AS kind, k.conrelid::regclass::text AS "table", t.relname AS own_name,
    (SELECT array_agg(a.attname::text ORDER BY p.place) FROM unnest(k.conkey) WITH ORDINALITY p (number, place)
     JOIN pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = p.number) AS columns,
    k.confrelid::regclass::text AS target,
    (SELECT array_agg(a.attname::text ORDER BY p.place) FROM unnest(k.confkey) WITH ORDINALITY p (number, place)
     JOIN pg_attribute a ON a.attrelid = k.confrelid AND a.attnum = p.number) AS target_columns,
    coalesce(i.indnullsnotdistinct, false) AS nulls_not_distinct,
    k.confdeltype = 'c' AS cascades, k.condeferrable AS is_deferrable
FROM pg_constraint k JOIN pg_class t ON t.oid = k.conrelid LEFT JOIN pg_index i ON i.indexrelid = k.conindid
WHERE k.contype IN ('p', 'u', 'f') AND k.conrelid IN (SELECT oid FROM owned)
  AND (k.contype <> 'f' OR k.confrelid IN (SELECT oid FROM owned))
  AND NOT EXISTS (SELECT FROM pg_attribute a
                  WHERE a.attrelid = k.conrelid AND a.attname = 'tenant_id' AND a.attnum = ANY(k.conkey))
ORDER BY k.conrelid, k.conname
"""  # noqa: S608 — one text within another.


def upgrade() -> None:
    found = op.get_bind().execute(text(_KEYS), {"whole": list(WHOLE)}).mappings().all()
    foreign = [key for key in found if key["kind"] == "f"]
    for key in foreign:
        op.execute(f'ALTER TABLE {key["table"]} DROP CONSTRAINT "{key["name"]}"')
    for key in found:
        if key["kind"] != "f":
            _widen(**{name: key[name] for name in ("table", "own_name", "name", "kind", "columns", "nulls_not_distinct")})
    for key in foreign:
        _refer(**{name: key[name] for name in ("table", "own_name", "columns", "target", "target_columns")}, key=key)
    op.execute(
        "ALTER TABLE identity.address DROP CONSTRAINT ex_address_one_default, ADD CONSTRAINT ex_address_one_default "
        "EXCLUDE USING btree (tenant_id WITH =, user_id WITH =, address_type WITH =) WHERE (is_default) "
        "DEFERRABLE INITIALLY DEFERRED"
    )
    # The dearest and the cheapest of a category, however many it has.
    op.create_index(
        "ix_product_category_id_price_key",
        "product",
        ["tenant_id", "category_id", "price_key", "id"],
        schema="catalog",
        postgresql_where=text("deleted_at IS NULL AND state = 'active'"),
    )


def _widen(
    *, table: str, own_name: str, name: str, kind: str, columns: Sequence[str], nulls_not_distinct: bool
) -> None:
    """Replace a key by one with the tenant: at the end of a primary key, whose index goes on finding rows by their id alone."""
    if kind == "p":
        meaning, new = f"PRIMARY KEY ({_listed([*columns, 'tenant_id'])})", name
    else:
        distinct = "NULLS NOT DISTINCT " if nulls_not_distinct else ""
        meaning, new = f"UNIQUE {distinct}({_listed(['tenant_id', *columns])})", f"uq_{own_name}_tenant_id_{'_'.join(columns)}"
    schema = table.split(".")[0]
    if op.get_bind().scalar(text("SELECT to_regclass(:name)"), {"name": f'{schema}."{name}_tenant"'}):
        meaning = f'{meaning.partition("(")[0].replace("NULLS NOT DISTINCT ", "")}USING INDEX "{name}_tenant"'
    op.execute(f'ALTER TABLE {table} DROP CONSTRAINT "{name}", ADD CONSTRAINT "{new}" {meaning}')


def _refer(
    *, table: str, own_name: str, columns: Sequence[str], target: str, target_columns: Sequence[str], key: dict[str, bool]
) -> None:
    """Let a table refer to another one within the tenant; rows are checked without a lock that keeps writers out."""
    name = f"fk_{own_name}_tenant_id_{'_'.join(columns)}"
    options = f"{' ON DELETE CASCADE' if key['cascades'] else ''}{' DEFERRABLE INITIALLY DEFERRED' if key['is_deferrable'] else ''}"
    own, theirs = _listed(["tenant_id", *columns]), _listed(["tenant_id", *target_columns])
    op.execute(
        f'ALTER TABLE {table} ADD CONSTRAINT "{name}" FOREIGN KEY ({own}) REFERENCES {target} ({theirs}){options} NOT VALID'
    )
    op.execute(f'ALTER TABLE {table} VALIDATE CONSTRAINT "{name}"')


def _listed(columns: Sequence[str]) -> str:
    return ", ".join(f'"{name}"' for name in columns)
