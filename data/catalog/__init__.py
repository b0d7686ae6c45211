"""The catalogue in PostgreSQL."""

from data.catalog.categories import SqlCategoryReads
from data.catalog.commands import SqlCatalogPolicies, SqlCategories, SqlProductHistory, SqlProducts, SqlSkus
from data.catalog.offers import SqlOfferReads
from data.catalog.products import SqlProductReads
from data.catalog.tables import (
    category,
    policy,
    product,
    product_image,
    product_variant,
    product_version,
    regulated_product,
    sku,
)

__all__ = [
    "SqlCatalogPolicies",
    "SqlCategories",
    "SqlCategoryReads",
    "SqlOfferReads",
    "SqlProductHistory",
    "SqlProductReads",
    "SqlProducts",
    "SqlSkus",
    "category",
    "policy",
    "product",
    "product_image",
    "product_variant",
    "product_version",
    "regulated_product",
    "sku",
]
