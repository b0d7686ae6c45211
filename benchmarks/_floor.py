"""The floor: the same answers as Agora's, byte for byte, from hand-written SQL, asyncpg and orjson on a bare ASGI server.

No GraphQL, no tenants but one, no snapshot, no row-level security, no checks: what is left is what the answer costs at least.
"""

import argparse
import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any
from uuid import UUID

import asyncpg
import orjson
import uvicorn
import uvloop

from domain.paging import decode_cursor
from domain.search import Facet, Filters, SearchRequest
from search.embedded import EmbeddedSearchEngine

_CARD = """
SELECT p.id, p.sku, p.slug, p.name, p.description, p.brand, p.price_minor, p.currency, p.category_id, c.name AS category,
    t.code AS store_code, t.name AS store_name, t.timezone AS store_timezone, s.available, s.on_hand,
    r.one, r.two, r.three, r.four, r.five
FROM catalog.product p
LEFT JOIN catalog.category c ON c.tenant_id = p.tenant_id AND c.id = p.category_id
LEFT JOIN tenancy.store t ON t.tenant_id = p.tenant_id AND t.id = p.store_id
LEFT JOIN reviews.product_rating r ON r.tenant_id = p.tenant_id AND r.product_id = p.id
LEFT JOIN LATERAL (
    SELECT sum(l.on_hand - l.reserved)::int AS available, sum(l.on_hand)::int AS on_hand FROM inventory.stock_level l
    WHERE l.tenant_id = p.tenant_id AND l.product_id = p.id
) s ON true
WHERE p.tenant_id = $1 AND p.deleted_at IS NULL AND p.state = 'active' AND """
_NEWEST = _CARD + "p.id < $2 ORDER BY p.id DESC LIMIT $3"
_BY_ID = _CARD + "p.id = ANY($2::uuid[])"
_BY_SKU = _CARD + "p.sku = $2"
_VARIANTS = """
SELECT v.product_id, v.id, v.sku, v.name, v.price_minor FROM catalog.product_variant v
WHERE v.tenant_id = $1 AND v.product_id = ANY($2::uuid[]) AND v.deleted_at IS NULL ORDER BY v.product_id, v.position"""
_STOCKED_VARIANTS = """
SELECT v.product_id, v.id, v.sku, v.name, v.price_minor, s.available FROM catalog.product_variant v
LEFT JOIN LATERAL (
    SELECT sum(l.on_hand - l.reserved)::int AS available FROM inventory.stock_level l
    WHERE l.tenant_id = v.tenant_id AND l.sku = v.sku
) s ON true
WHERE v.tenant_id = $1 AND v.product_id = ANY($2::uuid[]) AND v.deleted_at IS NULL ORDER BY v.product_id, v.position"""
_REVIEWS = """
SELECT v.* FROM unnest($2::uuid[]) AS p (id) CROSS JOIN LATERAL (
    SELECT * FROM reviews.review r WHERE r.tenant_id = $1 AND r.product_id = p.id AND r.state = 'published'
    ORDER BY r.id DESC LIMIT $3
) v"""
LAST = UUID(int=2**128 - 1)

Row = dict[str, Any]


class Floor:
    """Answers the benchmark's documents, each by its own function."""

    def __init__(self, pool: asyncpg.Pool, engine: EmbeddedSearchEngine, tenant_id: UUID) -> None:
        self._pool = pool
        self._engine = engine
        self._tenant_id = tenant_id
        self._answers: dict[str, Callable[[Row], Awaitable[Row]]] = {
            "/List": self.listed,
            "/Pair": self.paired,
            "/Detail": self.detail,
            "/Search": self.searched,
            "/Deep": self.deep,
        }

    async def answer(self, path: str, body: bytes) -> bytes:
        """Give the body of an answer."""
        variables = orjson.loads(body)["variables"]
        return orjson.dumps({"data": await self._answers[path](variables)})

    async def listed(self, variables: Row) -> Row:
        """A page of products, the newest first."""
        return {"products": await self._page(variables["first"], variables.get("after"))}

    async def paired(self, variables: Row) -> Row:
        """Two pages of a hundred."""
        first, second = await asyncio.gather(self._page(100, None), self._page(100, variables["after"]))
        return {"first": first, "second": second}

    async def detail(self, variables: Row) -> Row:
        """One product with its reviews."""
        (row,) = await self._pool.fetch(_BY_SKU, self._tenant_id, variables["sku"])
        variants = await self._variants([row["id"]], _STOCKED_VARIANTS)
        reviews = await self._pool.fetch(_REVIEWS, self._tenant_id, [row["id"]], 10)
        return {"product": _detail(row, variants.get(row["id"], ()), reviews)}

    async def searched(self, variables: Row) -> Row:
        """A page of results with facets."""
        facets = frozenset({Facet.CATEGORY, Facet.BRAND, Facet.IN_STOCK, Facet.RATING})
        filters = Filters(in_stock=True)
        request = SearchRequest(
            tenant_id=self._tenant_id, query=variables["query"], filters=filters, facets=facets, language="en"
        )
        result = await self._engine.search(request)
        found = await self._by_id([hit.product_id for hit in result.hits])
        hits = [{"score": hit.score, "product": _found(found.get(hit.product_id))} for hit in result.hits]
        counts = result.facets
        facet = {
            "categories": [{"value": each.value, "count": each.count} for each in counts.categories],
            "brands": [{"value": each.value, "count": each.count} for each in counts.brands],
            "inStock": counts.in_stock,
            "outOfStock": counts.out_of_stock,
            "ratings": [{"minimum": each.minimum, "count": each.count} for each in counts.ratings],
        }
        return {"searchProducts": {"total": result.total, "hits": hits, "facets": facet}}

    async def deep(self, variables: Row) -> Row:
        """Results with what five subgraphs know of them."""
        request = SearchRequest(tenant_id=self._tenant_id, query=variables["query"], limit=10, language="en")
        result = await self._engine.search(request)
        ids = [hit.product_id for hit in result.hits]
        found = await self._by_id(ids)
        variants = await self._variants(ids, _STOCKED_VARIANTS)
        reviews: dict[UUID, list[Any]] = {}
        for row in await self._pool.fetch(_REVIEWS, self._tenant_id, ids, 2):
            reviews.setdefault(row["product_id"], []).append(row)
        hits = [
            {"score": hit.score, "product": _deep(found[each], variants.get(each, ()), reviews.get(each, ()))}
            for hit, each in zip(result.hits, ids, strict=True)
        ]
        return {"searchProducts": {"total": result.total, "hits": hits}}

    async def _page(self, size: int, after: str | None) -> Row:
        before = UUID(decode_cursor(after, 1)[0]) if after else LAST
        rows = await self._pool.fetch(_NEWEST, self._tenant_id, before, size)
        variants = await self._variants([row["id"] for row in rows], _VARIANTS)
        return {"nodes": [_card(row, variants.get(row["id"], ())) for row in rows]}

    async def _by_id(self, ids: list[UUID]) -> dict[UUID, Any]:
        return {row["id"]: row for row in await self._pool.fetch(_BY_ID, self._tenant_id, ids)}

    async def _variants(self, ids: list[UUID], statement: str) -> dict[UUID, list[Any]]:
        grouped: dict[UUID, list[Any]] = {}
        for row in await self._pool.fetch(statement, self._tenant_id, ids):
            grouped.setdefault(row["product_id"], []).append(row)
        return grouped


def _amount(minor: int) -> str:
    return f"{minor // 100}.{minor % 100:02d}"


def _money(row: Any) -> Row:
    return {"amount": _amount(row["price_minor"]), "currency": row["currency"]}


def _average(row: Any) -> str:
    total = row["one"] + row["two"] + row["three"] + row["four"] + row["five"]
    stars = row["one"] + 2 * row["two"] + 3 * row["three"] + 4 * row["four"] + 5 * row["five"]
    return _amount((stars * 200 + total) // (2 * total))


def _total(row: Any) -> int:
    return int(row["one"] + row["two"] + row["three"] + row["four"] + row["five"])


def _card(row: Any, variants: Any) -> Row:
    return {
        "id": str(row["id"]),
        "sku": row["sku"],
        "slug": row["slug"],
        "name": row["name"],
        "brand": row["brand"],
        "price": _money(row),
        "category": {"name": row["category"]},
        "stock": {"available": row["available"]},
        "rating": None if row["one"] is None else {"average": _average(row)},
        "variants": [
            {"id": str(v["id"]), "sku": v["sku"], "name": v["name"], "price": {"amount": _amount(v["price_minor"])}}
            for v in variants
        ],
    }


def _detail(row: Any, variants: Any, reviews: Any) -> Row:
    distribution = [row["one"], row["two"], row["three"], row["four"], row["five"]]
    return {
        "id": str(row["id"]),
        "sku": row["sku"],
        "name": row["name"],
        "description": row["description"],
        "brand": row["brand"],
        "price": _money(row),
        "category": {"id": str(row["category_id"]), "name": row["category"]},
        "stock": {"available": row["available"], "onHand": row["on_hand"]},
        "variants": [
            {
                "id": str(v["id"]),
                "sku": v["sku"],
                "name": v["name"],
                "price": {"amount": _amount(v["price_minor"]), "currency": row["currency"]},
                "availability": {"available": v["available"]},
            }
            for v in variants
        ],
        "rating": {"average": _average(row), "total": _total(row), "distribution": distribution},
        "reviews": {"nodes": [_review(review) for review in reviews]},
    }


def _review(row: Any) -> Row:
    return {
        "id": str(row["id"]),
        "rating": row["rating"],
        "title": row["title"],
        "content": row["content"],
        "helpfulCount": row["helpful_count"],
        "isVerifiedPurchase": row["is_verified_purchase"],
        "createdAt": row["created_at"].isoformat(),
    }


def _found(row: Any) -> Row | None:
    if row is None:
        return None
    names = ("sku", "name", "brand")
    return {"id": str(row["id"]), **{name: row[name] for name in names}, "price": _money(row)}


def _deep(row: Any, variants: Any, reviews: Any) -> Row:
    product_id, stock = str(row["id"]), {"available": row["available"]}
    reviewed = {"id": product_id, "name": row["name"], "stock": stock}
    rating = None if row["one"] is None else {"average": _average(row), "total": _total(row)}
    return {
        "id": product_id,
        "name": row["name"],
        "category": {"name": row["category"]},
        "store": {"code": row["store_code"], "name": row["store_name"], "timezone": row["store_timezone"]},
        "stock": stock,
        "variants": [{"sku": v["sku"], "availability": {"available": v["available"]}} for v in variants],
        "rating": rating,
        "reviews": {"nodes": [{"rating": r["rating"], "title": r["title"], "product": reviewed} for r in reviews]},
    }


HEADERS = [(b"content-type", b"application/json")]


def application(floor: Floor) -> Any:
    """The bare ASGI application: one path per document."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            return
        body = b""
        if scope["method"] == "POST":
            more = True
            while more:
                message = await receive()
                body += message.get("body", b"")
                more = message.get("more_body", False)
            body = await floor.answer(scope["path"], body)
        headers = [*HEADERS, (b"content-length", str(len(body)).encode())]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    return app


async def _keep(_connection: asyncpg.Connection) -> None:
    """Skip the reset on release: nothing was set."""


async def serve(url: str, home: Path, tenant_id: UUID, port: int) -> None:
    """Serve until told to stop."""
    engine = EmbeddedSearchEngine(home / "search", writable=False)
    async with asyncpg.create_pool(url, min_size=1, max_size=8, reset=_keep) as pool:
        app = application(Floor(pool, engine, tenant_id))
        config = uvicorn.Config(
            app, port=port, loop="uvloop", http="httptools", lifespan="off", access_log=False, log_level="warning"
        )
        await uvicorn.Server(config).serve()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    for option in ("--url", "--home", "--tenant", "--port"):
        parser.add_argument(option, required=True)
    given = parser.parse_args()
    uvloop.run(serve(given.url, Path(given.home), UUID(given.tenant), int(given.port)))
