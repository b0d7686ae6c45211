"""Pricing in PostgreSQL."""

from data.pricing.allowances import SqlAllowances
from data.pricing.facts import SqlPriceFacts, SqlPriceFactsReads
from data.pricing.reads import SqlPricingReads
from data.pricing.repositories import SqlDiscountCodes, SqlFlashSales, SqlLoyalty, SqlPriceLists, SqlPromotions

__all__ = [
    "SqlAllowances",
    "SqlDiscountCodes",
    "SqlFlashSales",
    "SqlLoyalty",
    "SqlPriceFacts",
    "SqlPriceFactsReads",
    "SqlPriceLists",
    "SqlPricingReads",
    "SqlPromotions",
]
