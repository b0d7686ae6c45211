"""The index's fields, and how a document is laid out in them."""

import math
from base64 import b64encode
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

import orjson
import tantivy

from domain.kernel import InvalidInput
from domain.search import AttributeValue, SearchDocument
from search.analysis import attribute_key, fold, measures, sounds, words
from search.settings import ACCESSORIES, LONGEST_FACET_VALUE

LAYOUT = "1"
"""Names the shape of the index; an index of another shape has to be rebuilt."""

SEPARATOR = "\x1f"
POPULARITY_WORTH = 0.1
"""Every tenfold of popularity adds this share to the score; tantivy multiplies by log2(2 + boost), so 0 is neutral."""

SAMPLE = 8
"""One product in so many stands for all when the commonest attributes of a large result are looked for."""
TEXT = "agora_text"
_SEARCHED = ("name", "brand_text", "category_text", "translations", "description", "attribute_text")
_EXACT = ("key", "tenant", "store", "currency", "measures", "sounds", "kind", "sample")
_COUNTED = ("words", "brand", "category", "attribute_names")


def build_schema() -> tantivy.Schema:
    builder = tantivy.SchemaBuilder()
    for name in _SEARCHED:
        builder.add_text_field(name, tokenizer_name=TEXT, index_option="position")
    for name in _EXACT:
        builder.add_text_field(name, tokenizer_name="raw", index_option="basic")
    for name in _COUNTED:
        builder.add_text_field(name, tokenizer_name="raw", index_option="basic", fast=True)
    for name in ("id_high", "id_low"):
        builder.add_integer_field(name, fast=True)
    for name in ("price", "created", "in_stock"):
        builder.add_integer_field(name, indexed=True, fast=True)
    for name in ("rating", "popularity", "boost"):
        builder.add_float_field(name, fast=True, indexed=True)
    builder.add_json_field("attributes", fast=True, tokenizer_name="raw", index_option="basic")
    builder.add_bytes_field("source", stored=True)
    return builder.build()


def text_analyzer() -> tantivy.TextAnalyzer:
    kinds = tantivy.Filter
    builder = tantivy.TextAnalyzerBuilder(tantivy.Tokenizer.simple())
    for each in (
        kinds.remove_long(41),
        kinds.lowercase(),
        kinds.ascii_fold(),
        kinds.stemmer("english"),
        kinds.stemmer("russian"),
    ):
        builder = builder.filter(each)
    return builder.build()


def key_of(tenant_id: UUID, product_id: UUID) -> str:
    return f"{tenant_id.hex}:{product_id.hex}"


def encode(document: SearchDocument) -> str:
    """The document as the JSON text that tantivy reads without holding the GIL.

    Raises:
        InvalidInput: half a surrogate pair.
    """
    try:
        return orjson.dumps(_laid_out(document), default=str).decode()
    except (TypeError, ValueError) as problem:
        raise InvalidInput("document", f"product {document.product_id} cannot be indexed: {problem}") from problem


def _laid_out(document: SearchDocument) -> dict[str, Any]:
    attributes = {
        attribute_key(name): _storable(value) for name, value in document.attributes.items() if _is_counted(value)
    }
    category_text, translations = _category_text(document), " ".join(document.names.values())
    named = _named(document)
    high, low = _halves(document.product_id)
    laid_out: dict[str, Any] = {
        "key": key_of(document.tenant_id, document.product_id),
        "tenant": document.tenant_id.hex,
        "id_high": high,
        "id_low": low,
        "store": [store_id.hex for store_id in document.store_ids],
        "name": _indexable(document.name),
        "brand": document.brand,
        "brand_text": _indexable(document.brand),
        "category": list(_ancestors(document.category_path)),
        "category_text": _indexable(category_text),
        "translations": _indexable(translations),
        "description": _indexable(document.description),
        "attribute_text": _indexable(" ".join(_texts(document.attributes))),
        "words": list(dict.fromkeys(words(named))),
        "measures": list(measures(f"{named} {document.description}")),
        "sounds": list(sounds(named)),
        "attributes": attributes,
        "attribute_names": list(document.attributes),
        "currency": document.currency,
        "created": int(document.created_at.timestamp() * 1000),
        "in_stock": int(document.in_stock),
        "popularity": float(document.popularity),
        "boost": 2 ** (1 + math.log10(1 + document.popularity) * POPULARITY_WORTH) - 2,
        "kind": "main" if ACCESSORIES.isdisjoint(words(document.name)) else "accessory",
        "sample": "1" if document.product_id.int % SAMPLE == 0 else "0",
        "source": b64encode(to_source(document)).decode(),
    }
    if document.price_minor is not None:
        laid_out["price"] = document.price_minor
    if document.rating is not None:
        laid_out["rating"] = float(document.rating)
    return laid_out


def named_words(source: bytes) -> set[str]:
    """The words in a stored document's names, brand and categories."""
    return set(words(_named(from_source(source))))


def _category_text(document: SearchDocument) -> str:
    return " ".join((document.category, *document.category_path, *document.categories.values()))


def _named(document: SearchDocument) -> str:
    return f"{document.name} {document.brand} {_category_text(document)} {' '.join(document.names.values())}"


def product_id_of(high: int, low: int) -> UUID:
    return UUID(int=(high & (2**64 - 1)) << 64 | (low & (2**64 - 1)))


def _halves(product_id: UUID) -> tuple[int, int]:
    high, low = product_id.int >> 64, product_id.int & (2**64 - 1)
    return high - (high >> 63 << 64), low - (low >> 63 << 64)


def _indexable(text: str) -> str:
    return text if text.isascii() else fold(text)


def _ancestors(path: tuple[str, ...]) -> Iterator[str]:
    for depth in range(len(path)):
        yield SEPARATOR.join(path[: depth + 1])


def _is_counted(value: AttributeValue) -> bool:
    return not isinstance(value, str) or len(value) <= LONGEST_FACET_VALUE


def _texts(attributes: Mapping[str, AttributeValue]) -> Iterator[str]:
    for value in attributes.values():
        if isinstance(value, str):
            yield value
        elif isinstance(value, tuple):
            yield from (each for each in value if isinstance(each, str))


def to_source(document: SearchDocument) -> bytes:
    values = {name: getattr(document, name) for name in document.__slots__}
    values["attributes"] = {name: _storable(value) for name, value in document.attributes.items()}
    # The driver's own kind of UUID is a subclass, which orjson leaves to us.
    return orjson.dumps(values, default=str)


def _storable(value: AttributeValue) -> AttributeValue | None:
    """JSON in Rust has integers of 64 bits; a larger one is as good as its nearest float, and none is better than infinity."""
    if not isinstance(value, int) or -(2**63) <= value < 2**63:
        return value
    return float(value) if abs(value) < 10**300 else None


def from_source(source: bytes) -> SearchDocument:
    values = orjson.loads(source)
    values["product_id"] = UUID(values["product_id"])
    values["tenant_id"] = UUID(values["tenant_id"])
    values["created_at"] = datetime.fromisoformat(values["created_at"])
    values["store_ids"] = tuple(UUID(each) for each in values["store_ids"])
    values["category_path"] = tuple(values["category_path"])
    values["attributes"] = {
        name: tuple(value) if isinstance(value, list) else value for name, value in values["attributes"].items()
    }
    return SearchDocument(**values)
