"""The loader's statements. They work on whole chunks, which is what makes an import fast."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Text, func, literal
from sqlalchemy.dialects.postgresql import ARRAY

_PARAMETER = re.compile(r"(?<!:):([a-z]+)")
_TYPES = {
    **dict.fromkeys(("tenant", "job", "store", "seller"), "uuid"),
    "state": "text",
    "now": "timestamptz",
    "metadata": "text::jsonb",
}


@dataclass(frozen=True)
class Named:
    """A statement with named parameters, `:name`, as PostgreSQL's numbered ones in `order`."""

    text: str
    order: tuple[str, ...]

    @classmethod
    def of(cls, text: str) -> "Named":
        order = tuple(dict.fromkeys(_PARAMETER.findall(text)))
        return cls(_PARAMETER.sub(lambda match: f"${order.index(match[1]) + 1}::{_TYPES[match[1]]}", text), order)


def any_text(values: Iterable[str]) -> Any:
    """Make `ANY(array)` of some texts."""
    return func.any(literal(list(values), ARRAY(Text)))


STAGED = (
    *("line", "sku", "name", "slug", "description", "brand", "gtin", "category_id", "price_minor", "compare_at_minor"),
    *("currency", "attributes", "stock", "image", "variant_of", "product_id", "event_id"),
)

CREATE_STAGE = """
CREATE TEMP TABLE IF NOT EXISTS import_row (
    line integer NOT NULL, sku text NOT NULL, name text NOT NULL, slug text NOT NULL, description text NOT NULL,
    brand text NOT NULL, gtin text, category_id uuid, price_minor bigint, compare_at_minor bigint, currency text,
    attributes jsonb NOT NULL, stock integer, image text, variant_of text, product_id uuid NOT NULL,
    event_id uuid NOT NULL, is_new boolean NOT NULL DEFAULT true, changed text[] NOT NULL DEFAULT '{}'
) ON COMMIT DELETE ROWS
"""

# The first line with a SKU keeps it; the register of seen SKUs makes that hold across chunks and restarts.
REFUSE_REPEATED = Named.of("""
WITH firsts AS (
    INSERT INTO importing.seen_sku (tenant_id, job_id, sku, line)
    SELECT DISTINCT ON (sku) :tenant, :job, sku, line FROM import_row ORDER BY sku, line
    ON CONFLICT DO NOTHING RETURNING sku, line
)
DELETE FROM import_row r WHERE NOT EXISTS (SELECT FROM firsts f WHERE f.sku = r.sku AND f.line = r.line)
RETURNING r.line, 'sku', 'SKU ' || r.sku || ' stands on an earlier line already'
""")

# Looking up the register by an array uses its index even before PostgreSQL has statistics of a new tenant.
_STAGED_SKUS = "ANY(ARRAY(SELECT sku FROM import_row))"

REFUSE_TAKEN = Named.of(f"""
WITH taken AS MATERIALIZED (
    SELECT s.sku, CASE WHEN s.variant_id IS NOT NULL THEN p.sku END AS parent
    FROM catalog.sku s JOIN catalog.product p ON p.tenant_id = s.tenant_id AND p.id = s.product_id
    WHERE s.tenant_id = :tenant AND s.sku = {_STAGED_SKUS}
)
DELETE FROM import_row r USING taken t WHERE t.sku = r.sku AND r.variant_of IS DISTINCT FROM t.parent
RETURNING r.line, 'sku', 'SKU ' || r.sku || ' is used by another product'
""")

REFUSE_ORPHANS = Named.of("""
DELETE FROM import_row r WHERE r.variant_of IS NOT NULL
  AND NOT EXISTS (SELECT FROM catalog.product p WHERE p.tenant_id = :tenant AND p.sku = r.variant_of AND p.deleted_at IS NULL)
  AND NOT EXISTS (SELECT FROM import_row parent WHERE parent.sku = r.variant_of AND parent.variant_of IS NULL)
RETURNING r.line, 'variant_of', 'no product has the SKU ' || r.variant_of
""")

FIND_EXISTING = Named.of(f"""
WITH registered AS MATERIALIZED (
    SELECT product_id FROM catalog.sku WHERE tenant_id = :tenant AND sku = {_STAGED_SKUS} AND variant_id IS NULL
), known AS MATERIALIZED (
    SELECT p.* FROM registered JOIN catalog.product p ON p.id = registered.product_id
)
UPDATE import_row r SET is_new = false, product_id = p.id, changed = array_remove(ARRAY[
    CASE WHEN p.name <> r.name THEN 'name' END,
    CASE WHEN p.description <> r.description THEN 'description' END,
    CASE WHEN p.brand <> r.brand THEN 'brand' END,
    CASE WHEN p.gtin IS DISTINCT FROM r.gtin THEN 'gtin' END,
    CASE WHEN r.category_id IS NOT NULL AND p.category_id IS DISTINCT FROM r.category_id THEN 'category_id' END,
    CASE WHEN (p.price_minor, p.currency) IS DISTINCT FROM (r.price_minor, r.currency) THEN 'price' END,
    CASE WHEN p.compare_at_minor IS DISTINCT FROM r.compare_at_minor THEN 'compare_at_price' END,
    CASE WHEN p.attributes <> r.attributes THEN 'attributes' END], NULL)
FROM known p WHERE p.sku = r.sku AND r.variant_of IS NULL
""")

REFUSE_FOREIGN = Named.of("""
DELETE FROM import_row r USING catalog.product p
WHERE p.tenant_id = :tenant AND p.id = r.product_id AND NOT r.is_new AND p.seller_id <> :seller
RETURNING r.line, 'sku', 'SKU ' || r.sku || ' is used by another product'
""")

_FACT = """jsonb_build_object('product_id', {row}.id, 'sku', {row}.sku, 'variant_skus', coalesce((
    SELECT jsonb_agg(v.sku ORDER BY v.position) FROM catalog.product_variant v
    WHERE v.product_id = {row}.id AND v.deleted_at IS NULL), '[]'), 'seller_id', {row}.seller_id,
    'category_id', {row}.category_id, 'product_type', {row}.product_type, 'state', {row}.state"""

_LOG = """INSERT INTO platform.event_log
    (event_id, tenant_id, aggregate_id, aggregate_type, version, name, data, metadata, occurred_at)"""

INSERT_PRODUCTS = Named.of(f"""
WITH fresh AS (
    INSERT INTO catalog.product AS p (id, tenant_id, version, seller_id, store_id, category_id, state, name, slug, sku,
        description, brand, gtin, price_minor, compare_at_minor, currency, attributes, published_at)
    SELECT product_id, :tenant, 1, :seller, :store, category_id, :state, name, slug, sku, description, brand, gtin,
        price_minor, compare_at_minor, currency, attributes,
        CASE WHEN :state = 'active' THEN :now END
    FROM import_row WHERE is_new AND variant_of IS NULL ORDER BY line
    RETURNING p.*
), logged AS (
    {_LOG}
    SELECT r.event_id, :tenant, p.id, 'Product', 1, 'product.created',
        jsonb_build_object('product_id', p.id, 'sku', p.sku, 'variant_skus', '[]'::jsonb, 'seller_id', p.seller_id,
            'category_id', p.category_id, 'product_type', p.product_type, 'state', p.state, 'title', p.name,
            'price_minor', p.price_minor,
            'currency', p.currency),
        :metadata, :now
    FROM fresh p JOIN import_row r ON r.product_id = p.id ORDER BY r.line
)
SELECT count(*) FROM fresh
""")

UPDATE_PRODUCTS = Named.of(f"""
WITH revised AS (
    UPDATE catalog.product p SET name = r.name, description = r.description, brand = r.brand, gtin = r.gtin,
        category_id = coalesce(r.category_id, p.category_id), price_minor = r.price_minor,
        compare_at_minor = r.compare_at_minor, currency = r.currency, attributes = r.attributes,
        version = p.version + 1, updated_at = :now
    FROM import_row r
    WHERE p.tenant_id = :tenant AND p.id = r.product_id AND NOT r.is_new AND r.variant_of IS NULL
        AND cardinality(r.changed) > 0
    RETURNING p.*, r.event_id, r.changed
), logged AS (
    {_LOG}
    SELECT p.event_id, :tenant, p.id, 'Product', p.version, 'product.updated',
        {_FACT.format(row="p")}, 'changed', to_jsonb(p.changed)), :metadata, :now
    FROM revised p
)
SELECT count(*) FROM revised
""")

UPSERT_VARIANTS = Named.of(f"""
WITH wanted AS (
    SELECT r.*, p.id AS parent_id FROM import_row r
    JOIN catalog.product p ON p.tenant_id = :tenant AND p.sku = r.variant_of AND p.deleted_at IS NULL
    WHERE r.variant_of IS NOT NULL
), revised AS (
    UPDATE catalog.product_variant v SET name = w.name, price_minor = w.price_minor, barcode = w.gtin
    FROM wanted w WHERE v.tenant_id = :tenant AND v.sku = w.sku AND v.deleted_at IS NULL
        AND (v.name, v.price_minor, v.barcode) IS DISTINCT FROM (w.name, w.price_minor, w.gtin)
    RETURNING v.product_id
), fresh AS (
    INSERT INTO catalog.product_variant (id, tenant_id, product_id, name, sku, price_minor, barcode, position)
    SELECT w.product_id, :tenant, w.parent_id, w.name, w.sku, w.price_minor, w.gtin, w.line FROM wanted w
    WHERE NOT EXISTS (SELECT FROM catalog.sku s WHERE s.tenant_id = :tenant AND s.sku = w.sku)
    RETURNING product_id
), touched AS (
    UPDATE catalog.product p SET version = p.version + 1, updated_at = :now
    WHERE p.tenant_id = :tenant AND p.id IN (SELECT product_id FROM revised UNION SELECT product_id FROM fresh)
    RETURNING p.*
), logged AS (
    {_LOG}
    SELECT platform.new_id(), :tenant, p.id, 'Product', p.version, 'product.updated',
        {_FACT.format(row="p")}, 'changed', '["variants"]'::jsonb), :metadata, :now
    FROM touched p
)
SELECT (SELECT count(*) FROM revised) + (SELECT count(*) FROM fresh)
""")

INSERT_IMAGES = Named.of("""
INSERT INTO catalog.product_image (id, tenant_id, product_id, url, alt_text)
SELECT platform.new_id(), :tenant, r.product_id, r.image, r.name FROM import_row r
WHERE r.image IS NOT NULL AND r.variant_of IS NULL
    AND (r.is_new OR NOT EXISTS (SELECT FROM catalog.product_image i WHERE i.product_id = r.product_id))
""")

INSERT_LEVELS = Named.of(f"""
WITH fresh AS (
    INSERT INTO inventory.stock_level AS l
        (id, tenant_id, version, store_id, sku, product_id, variant_id, on_hand, reserved, reorder_point, reorder_quantity)
    SELECT platform.new_id(), :tenant, 1, :store, r.sku, s.product_id, s.variant_id, r.stock, 0, 0, 0
    FROM import_row r JOIN catalog.sku s ON s.tenant_id = :tenant AND s.sku = r.sku
    WHERE r.stock IS NOT NULL
    ON CONFLICT DO NOTHING RETURNING l.*
), journaled AS (
    INSERT INTO inventory.journal (id, tenant_id, store_id, sku, quantity_change, kind, balance_after, performed_by, performed_at)
    SELECT platform.new_id(), :tenant, :store, sku, on_hand, 'import', on_hand, :seller, :now FROM fresh WHERE on_hand > 0
)
{_LOG}
SELECT platform.new_id(), :tenant, id, 'StockLevel', 1, 'inventory.stock_adjusted',
    jsonb_build_object('store_id', store_id, 'sku', sku, 'product_id', product_id, 'change', on_hand,
        'on_hand', on_hand, 'available', on_hand, 'reason', NULL), :metadata, :now
FROM fresh
""")

CHANGED_LEVELS = Named.of("""
SELECT r.sku, r.stock, r.line FROM import_row r
JOIN inventory.stock_level l ON l.tenant_id = :tenant AND l.store_id = :store AND l.sku = r.sku
WHERE r.stock IS NOT NULL AND r.stock <> l.on_hand
""")
