"""Documents, requests and answers in Meilisearch's shapes; pure functions."""

from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC
from typing import Any
from uuid import UUID

from domain.search import (
    AttributeFacet,
    AttributeFilter,
    AttributeRange,
    Facet,
    FacetCount,
    FacetCounts,
    Filters,
    Hit,
    PriceBand,
    PriceRange,
    ProductChange,
    RatingBand,
    Scalar,
    SearchDocument,
    SearchRequest,
    Sort,
)
from domain.transliteration import to_latin
from search.analysis import attribute_key, sounds, words
from search.settings import COMMON_ATTRIBUTES, LONGEST_FACET_VALUE, PRICE_BOUNDS

SEPARATOR = " > "
_SORTS = {
    Sort.PRICE_ASC: "price:asc",
    Sort.PRICE_DESC: "price:desc",
    Sort.RATING: "rating:desc",
    Sort.NEWEST: "created:desc",
    Sort.POPULARITY: "popularity:desc",
}
_FACETS = {
    Facet.CATEGORY: "category",
    Facet.BRAND: "brand",
    Facet.PRICE: "price_band",
    Facet.IN_STOCK: "in_stock",
    Facet.RATING: "rating_band",
}


def document_id(tenant_id: UUID, product_id: UUID) -> str:
    return f"{tenant_id.hex}-{product_id.hex}"


def to_document(document: SearchDocument) -> dict[str, Any]:
    category_name = " ".join((document.category, *document.categories.values()))
    translations = " ".join(document.names.values())
    named = f"{document.name} {document.brand} {category_name} {translations}"
    return {
        "id": document_id(document.tenant_id, document.product_id),
        "tenant": document.tenant_id.hex,
        "product_id": document.product_id.hex,
        "store_ids": [store_id.hex for store_id in document.store_ids],
        "name": document.name,
        "names": dict(document.names),
        "brand": document.brand,
        "category": [SEPARATOR.join(document.category_path[: depth + 1]) for depth in range(len(document.category_path))],
        "category_name": category_name,
        "translations": translations,
        "latin": _latin(named),
        "description": document.description,
        "attribute_text": " ".join(value for value in document.attributes.values() if isinstance(value, str)),
        "attributes": {attribute_key(name): value for name, value in document.attributes.items() if _is_counted(value)},
        "attribute_names": list(document.attributes),
        "currency": document.currency,
        "in_stock": document.in_stock,
        "popularity": document.popularity,
        "created": int(document.created_at.astimezone(UTC).timestamp()),
    } | priced(document.price_minor) | rated(document.rating)  # fmt: skip


def priced(price_minor: int | None) -> dict[str, Any]:
    return {} if price_minor is None else {"price": price_minor, "price_band": band_of(price_minor)}


def rated(rating: float | None) -> dict[str, Any]:
    return {} if rating is None else {"rating": rating, "rating_band": int(rating)}


def to_update(tenant_id: UUID, change: ProductChange) -> dict[str, Any]:
    """A partial document: what it leaves out stays as it is."""
    update = {"id": document_id(tenant_id, change.product_id)} | priced(change.price_minor) | rated(change.rating)
    plain = {"in_stock": change.in_stock, "popularity": change.popularity}
    return update | {name: value for name, value in plain.items() if value is not None}


def band_of(price_minor: int) -> int:
    """The lower bound of the price band; 0 is the band below the first bound."""
    place = bisect_right(PRICE_BOUNDS, price_minor)
    return PRICE_BOUNDS[place - 1] if place else 0


def to_filter(tenant_id: UUID, filters: Filters) -> list[str]:
    """Conditions that all have to hold; the tenant always comes first."""
    return [f'tenant = "{tenant_id.hex}"', *_conditions(filters)]


def to_sort(sort: Sort) -> list[str] | None:
    return [_SORTS[sort]] if sort in _SORTS else None


def to_facets(request: SearchRequest) -> list[str]:
    wanted = [field for facet, field in _FACETS.items() if facet in request.facets]
    if Facet.ATTRIBUTES in request.facets:
        names = [attribute_path(name) for name in dict.fromkeys(request.facet_attributes)]
        wanted += names or ["attribute_names"]
    return wanted


def attribute_path(name: str) -> str:
    return f"attributes.{attribute_key(name)}"


def common_attributes(distribution: Mapping[str, Mapping[str, int]]) -> list[str]:
    return [name for name, _ in Counter(distribution.get("attribute_names", {})).most_common(COMMON_ATTRIBUTES)]


def to_hits(found: Iterable[Mapping[str, Any]]) -> tuple[Hit, ...]:
    return tuple(Hit(UUID(each["product_id"]), float(each.get("_rankingScore", 0.0))) for each in found)


def to_facet_counts(
    distribution: Mapping[str, Mapping[str, int]],
    stats: Mapping[str, Mapping[str, float]],
    attributes: Iterable[str],
    size: int,
) -> FacetCounts:
    stock = distribution.get("in_stock")
    return FacetCounts(
        categories=tuple(_categories(distribution.get("category", {}), size)),
        brands=_counts(distribution.get("brand", {}), size),
        prices=tuple(_price_bands(distribution.get("price_band", {}))),
        attributes=tuple(
            _attribute(name, distribution.get(attribute_path(name), {}), stats.get(attribute_path(name), {}), size)
            for name in attributes
        ),
        in_stock=None if stock is None else stock.get("true", 0),
        out_of_stock=None if stock is None else stock.get("false", 0),
        ratings=_rating_bands(distribution["rating_band"]) if "rating_band" in distribution else (),
    )


def _latin(text: str) -> str:
    cyrillic = sounds(text)
    return " ".join((to_latin(text), *sorted(cyrillic))) if cyrillic else ""


def _is_counted(value: object) -> bool:
    return not isinstance(value, str) or len(value) <= LONGEST_FACET_VALUE


def _conditions(filters: Filters) -> Iterator[str]:
    if filters.category_path:
        yield f"category = {_quoted(SEPARATOR.join(filters.category_path))}"
    if filters.brands:
        yield _one_of("brand", filters.brands)
    if filters.price:
        yield from _priced(filters.price)
    if filters.in_stock is not None:
        yield f"in_stock = {_quoted(filters.in_stock)}"
    if filters.minimum_rating is not None:
        yield f"rating >= {filters.minimum_rating}"
    if filters.store_id:
        yield f'store_ids = "{filters.store_id.hex}"'
    for each in filters.attributes:
        yield from _attribute_conditions(each)


def _priced(price: PriceRange) -> Iterator[str]:
    if price.minimum_minor is not None:
        yield f"price >= {price.minimum_minor}"
    if price.maximum_minor is not None:
        yield f"price <= {price.maximum_minor}"
    if price.currency:
        yield f"currency = {_quoted(price.currency)}"


def _attribute_conditions(wanted: AttributeFilter) -> Iterator[str]:
    path = attribute_path(wanted.name)
    if not isinstance(wanted, AttributeRange):
        yield _one_of(path, wanted.values)
        return
    if wanted.minimum is None and wanted.maximum is None:
        yield f"{path} EXISTS"
    if wanted.minimum is not None:
        yield f"{path} >= {wanted.minimum}"
    if wanted.maximum is not None:
        yield f"{path} <= {wanted.maximum}"


def _one_of(path: str, values: Iterable[Scalar]) -> str:
    return f"{path} IN [{', '.join(_quoted(value) for value in values)}]"


def _quoted(value: Scalar) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if not isinstance(value, str):
        return repr(value)
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _counts(values: Mapping[str, int], size: int) -> tuple[FacetCount, ...]:
    return tuple(FacetCount(value, count) for value, count in Counter(values).most_common(size))


def _categories(values: Mapping[str, int], size: int) -> Iterator[FacetCount]:
    for joined, count in Counter(values).most_common(size):
        path = tuple(joined.split(SEPARATOR))
        yield FacetCount(path[-1], count, path)


def _price_bands(values: Mapping[str, int]) -> Iterator[PriceBand]:
    for low, count in sorted((int(float(low)), count) for low, count in values.items()):
        above = [bound for bound in PRICE_BOUNDS if bound > low]
        yield PriceBand(low or None, above[0] if above else None, count)


def _rating_bands(values: Mapping[str, int]) -> tuple[RatingBand, ...]:
    counts = {int(float(star)): count for star, count in values.items()}
    return tuple(RatingBand(star, sum(count for at, count in counts.items() if at >= star)) for star in range(5, 0, -1))


def _attribute(name: str, values: Mapping[str, int], stats: Mapping[str, float], size: int) -> AttributeFacet:
    return AttributeFacet(name, _counts(values, size), stats.get("min"), stats.get("max"))


def words_going_on(typed: list[str], names: Iterable[str]) -> Counter[str]:
    """How often words that begin like the last one typed occur in names."""
    return Counter(word for name in names for word in set(words(name)) if word.startswith(typed[-1]))
