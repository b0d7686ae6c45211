"""A request's filters as tantivy queries, kept apart by facet so that a facet can be counted without its own."""

from collections.abc import Iterator
from decimal import Decimal
from uuid import UUID

import tantivy
from tantivy import FieldType, Occur, Query

from domain.search import AttributeFilter, AttributeRange, Facet, Filters, PriceRange
from search.analysis import attribute_key
from search.embedded.fields import SEPARATOR

Condition = tuple[str, Query]
"""The facet that a condition belongs to (`attributes` ones with their name), and the condition."""


def conditions(index: tantivy.Index, tenant_id: UUID, filters: Filters) -> list[Condition]:
    """What a product must fulfil; the tenant always comes first."""
    schema = index.schema
    return [("tenant", Query.term_query(schema, "tenant", tenant_id.hex)), *_chosen(index, schema, filters)]


def all_but(imposed: list[Condition], facet: str = "") -> list[tuple[Occur, Query]]:
    """The conditions as unscored clauses, without those of one facet."""
    return [
        (Occur.Must, Query.const_score_query(query, 0.0)) for owner, query in imposed if owner != facet or not facet
    ]


def owner_of(attribute: str) -> str:
    return f"{Facet.ATTRIBUTES}:{attribute}"


def _chosen(index: tantivy.Index, schema: tantivy.Schema, filters: Filters) -> Iterator[Condition]:
    if filters.category_path:
        yield Facet.CATEGORY, Query.term_query(schema, "category", SEPARATOR.join(filters.category_path))
    if filters.brands:
        yield Facet.BRAND, Query.term_set_query(schema, "brand", list(filters.brands))
    if filters.price:
        yield from ((Facet.PRICE, query) for query in _priced(schema, filters.price))
    if filters.in_stock is not None:
        yield Facet.IN_STOCK, Query.term_query(schema, "in_stock", int(filters.in_stock))
    if filters.minimum_rating is not None:
        yield (
            Facet.RATING,
            Query.range_query(schema, "rating", FieldType.Float, lower_bound=float(filters.minimum_rating)),
        )
    if filters.store_id:
        yield "store", Query.term_query(schema, "store", filters.store_id.hex)
    for each in filters.attributes:
        yield owner_of(each.name), _attribute(index, schema, each)


def _priced(schema: tantivy.Schema, price: PriceRange) -> Iterator[Query]:
    if price.minimum_minor is not None or price.maximum_minor is not None:
        yield Query.range_query(schema, "price", FieldType.Integer, price.minimum_minor, price.maximum_minor)
    if price.currency:
        yield Query.term_query(schema, "currency", price.currency)


def _attribute(index: tantivy.Index, schema: tantivy.Schema, wanted: AttributeFilter) -> Query:
    path = f"attributes.{attribute_key(wanted.name)}"
    if isinstance(wanted, AttributeRange):
        return _between(index, path, wanted)
    return Query.boolean_query([(Occur.Should, Query.term_query(schema, path, value)) for value in wanted.values])


def _between(index: tantivy.Index, path: str, wanted: AttributeRange) -> Query:
    """Each side is a query of its own: tantivy panics on a range whose bounds are an integer and a fraction.

    Ranges over JSON paths are offered by its query language only; path and numbers are made here, so nothing can be injected.
    """
    sides = [f"{path}:[{_bound(wanted.minimum)} TO *]"] if wanted.minimum is not None else []
    sides += [f"{path}:[* TO {_bound(wanted.maximum)}]"] if wanted.maximum is not None else []
    return Query.boolean_query([(Occur.Must, index.parse_query(side)) for side in sides or [f"{path}:*"]])


def _bound(value: float) -> str:
    return f"{Decimal(repr(float(value))):f}"
