"""A small federated shop with everything that execution can meet, and errors that its data provoke on purpose."""

import enum
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, ClassVar

import strawberry
from strawberry.federation.schema_directives import Requires
from strawberry.permission import BasePermission

from schema.supergraph import Subgraph, Supergraph, Typed, attribute, bulk, computed

Number = Annotated[int, strawberry.argument(name="id")]


class Refused(Exception):
    pass


@dataclass
class Context:
    """The operation's context; it counts the calls of bulk functions."""

    staff: bool = True
    calls: list[tuple[str, list[Any]]] = field(default_factory=list)
    names: dict[int, str] = field(default_factory=dict)

    def note(self, name: str, keys: Sequence[Any]) -> None:
        self.calls.append((name, list(keys)))


def staff_only(context: Context, parent: Any) -> None:
    if not context.staff:
        raise Refused("Staff only.")


def not_the_third(context: Context, parent: Any) -> None:
    if parent is not None and getattr(parent, "id", 0) % 3 == 0:
        raise Refused("Not the third.")


not_the_third.per_object = True


@dataclass
class ProductRow:
    id: int
    sku: str
    name: str | None
    grams: int
    category_id: int | None


@dataclass
class BookRow(ProductRow):
    pages: int = 100


PRODUCTS = {
    n: (BookRow if n % 4 == 0 else ProductRow)(
        n, f"sku-{n}", None if n % 7 == 0 else f"Product {n}", n * 10, None if n % 5 == 0 else n % 3 + 1
    )
    for n in range(1, 13)
}
BY_SKU = {row.sku: row for row in PRODUCTS.values()}


@strawberry.enum
class Shape(enum.Enum):
    ROUND = "round"
    SQUARE = "square"


# --- accounts -------------------------------------------------------------------------------------------------------


async def users_by_id(context: Context, ids: Sequence[int]) -> list[Any]:
    context.note("users_by_id", ids)
    return [{"id": n, "name": context.names.get(n, f"User {n}"), "email": f"u{n}@x.io"} if n < 9 else None for n in ids]


async def users_by_email(context: Context, emails: Sequence[str]) -> list[Any]:
    context.note("users_by_email", emails)
    return await users_by_id(context, [int(email[1:].split("@")[0]) for email in emails])


async def secrets_of(context: Context, ids: Sequence[int]) -> list[Any]:
    context.note("secrets_of", ids)
    return [{"no": "string"} if n == 3 else f"Secret {n}" for n in ids]


async def friends_of(context: Context, ids: Sequence[int], *, first: int = 2) -> list[Any]:
    context.note("friends_of", ids)
    return [
        Refused("No friends.")
        if n == 4
        else [{"id": m, "name": f"User {m}", "email": f"u{m}@x.io"} for m in range(n + 1, n + 1 + first)]
        for n in ids
    ]


@strawberry.interface
class Named:
    name: str | None


@strawberry.federation.type(keys=["id", "email"], name="User")
class AccountUser(Named):
    __references__: ClassVar = {"id": users_by_id, "email": users_by_email}
    id: int
    name: str | None
    email: str
    friends: list["AccountUser"] | None = bulk(friends_of, key="id")
    secret: str | None = bulk(secrets_of, key="id", guard=staff_only, name="secretName")

    @strawberry.field
    def shout(self, times: int = 1) -> str:
        if self["id"] == 3:
            raise Refused("User 3 does not shout.")
        return self["name"].upper() + "!" * times


@strawberry.type
class AccountQuery:
    @strawberry.field
    async def users(self, info: strawberry.Info, first: int = 4) -> list[AccountUser | None]:
        return await users_by_id(info.context, range(1, first + 1))

    @strawberry.field
    async def user(self, info: strawberry.Info, number: Number) -> AccountUser | None:
        return (await users_by_id(info.context, [number]))[0]

    @strawberry.field
    def strict_user(self, info: strawberry.Info, number: Number) -> AccountUser:
        return {"id": number, "name": "Strict", "email": "u1@x.io"} if number < 9 else None


@strawberry.input
class Rename:
    id: int
    name: str = "Anonymous"


@strawberry.type(name="Mutation")
class AccountMutation:
    @strawberry.mutation
    async def rename(
        self, info: strawberry.Info, rename: Annotated[Rename, strawberry.argument(name="input")]
    ) -> AccountUser | None:
        info.context.names[rename.id] = rename.name
        return (await users_by_id(info.context, [rename.id]))[0]

    @strawberry.mutation
    async def fail(self, info: strawberry.Info) -> AccountUser:
        info.context.note("fail", [])
        raise Refused("Always fails.")


@strawberry.type(name="Subscription")
class AccountSubscription:
    @strawberry.subscription
    async def user_changes(self, info: strawberry.Info, count: int = 2) -> AsyncIterator[AccountUser]:
        for n in range(1, count + 1):
            yield {"id": n, "name": f"Event {n}", "email": f"u{n}@x.io"}


# --- catalog --------------------------------------------------------------------------------------------------------


async def products_by_id(context: Context, ids: Sequence[int]) -> list[Any]:
    context.note("products_by_id", ids)
    return [Refused("Product 11 is broken.") if n == 11 else PRODUCTS.get(n) for n in ids]


async def products_by_sku(context: Context, skus: Sequence[str]) -> list[Any]:
    context.note("products_by_sku", skus)
    return [BY_SKU.get(sku) for sku in skus]


async def categories_by_id(context: Context, ids: Sequence[int]) -> list[Any]:
    context.note("categories_by_id", ids)
    return [{"id": n, "name": f"Category {n}", "parent_id": n - 1 or None} for n in ids]


async def products_of_categories(context: Context, ids: Sequence[int], *, shape: Shape | None = None) -> list[Any]:
    context.note("products_of_categories", ids)
    return [[p for p in PRODUCTS.values() if p.category_id == n and (shape is None or p.id % 2)] for n in ids]


@strawberry.type
class Category(Named):
    __item_reads__ = True
    id: int
    name: str | None
    parent: "Category | None" = bulk(categories_by_id, key="parent_id")
    products: list["CatalogItem"] = bulk(products_of_categories, key="id")


@strawberry.type
class Image:
    url: str
    width: int


@strawberry.type
class Video:
    url: str
    seconds: float | None

    @strawberry.field
    async def frames(self) -> list[list[int]]:
        return [[1, 2], [], [3]]


Media = Annotated[Image | Video, strawberry.union("Media")]


async def media_of(context: Context, ids: Sequence[int]) -> list[Any]:
    context.note("media_of", ids)
    return [
        [Image(url=f"i{n}", width=n), None if n % 4 == 1 else Typed({"url": f"v{n}", "seconds": n / 2}, "Video")]
        if n % 6
        else [object()]
        for n in ids
    ]


async def media_of_video(context: Context, ids: Sequence[int]) -> list[Any]:
    return [Video(url="", seconds=float(n)) for n in ids]


def label_of(item: Any, context: Context, *, upper: bool = False) -> str | None:
    if item.id % 4 == 3:
        raise Refused("no label")
    return None if item.id % 4 == 2 else str(item.name).upper() if upper else str(item.name)


def captions_of(_context: Context, keys: Sequence[tuple[int, str]], *, upper: bool = False) -> list[Any]:
    if any(id_ % 5 == 4 for id_, _ in keys):
        raise Refused("no caption")
    texts = [f"{id_} {name}" for id_, name in keys]
    return [
        Refused("never") if id_ % 7 == 3 else text.upper() if upper else text
        for (id_, _), text in zip(keys, texts, strict=True)
    ]


@strawberry.federation.type(keys=["id", "sku"], name="Item")
class CatalogItem(Named):
    __references__: ClassVar = {"id": products_by_id, "sku": products_by_sku}
    __reads__: ClassVar = (ProductRow,)
    id: int
    sku: str
    name: str | None
    title: str = strawberry.field(name="title", resolver=lambda root: root.name)
    grams: int
    category: Category | None = bulk(categories_by_id, key="category_id")
    media: list[Media | None] = bulk(media_of, key="id")
    shape: Shape = strawberry.field(resolver=lambda root: Shape.ROUND if root.id % 2 else Shape.SQUARE)
    cost: int | None = attribute(guard=not_the_third)
    label: str | None = computed(label_of)
    caption: str | None = computed(captions_of, key=("id", "name"))

    @strawberry.field
    async def similar(self, info: strawberry.Info, first: int | None = 2) -> list["CatalogItem | None"] | None:
        if self.id == 6:
            raise Refused("Nothing is similar to 6.")
        return await products_by_id(info.context, range(self.id + 1, self.id + 1 + (first or 0)))

    @strawberry.field
    def must(self) -> str:
        return None if self.id % 5 == 0 else "there"

    @strawberry.field
    def path(self, info: strawberry.Info) -> str:
        return "/".join(map(str, info.path.as_list() if hasattr(info.path, "as_list") else info.path))


for _row in PRODUCTS.values():
    _row.cost = _row.id * 2


class OnlyStaff(BasePermission):
    message = "Only staff."

    def has_permission(self, source: Any, info: Any, **kwargs: Any) -> bool:
        return info.context.staff


@strawberry.type
class CatalogQuery:
    @strawberry.field
    def products(self, first: int = 5, tags: list[str] | None = None) -> list[CatalogItem]:
        return list(PRODUCTS.values())[:first]

    @strawberry.field
    async def product(self, info: strawberry.Info, number: Number) -> CatalogItem | None:
        return (await products_by_id(info.context, [number]))[0]

    @strawberry.field(permission_classes=[OnlyStaff])
    def hidden(self) -> CatalogItem | None:
        return PRODUCTS[1]

    @strawberry.field
    def named(self) -> list[Named | None]:
        return [PRODUCTS[1], Typed({"id": 1, "name": "Cat", "parent_id": None}, "Category"), None, PRODUCTS[4]]

    @strawberry.field
    async def later(self) -> list[int]:
        async def one() -> int:
            return 1

        return [one(), 2]

    @strawberry.field
    def numbers(self, big: bool = False) -> list[int | None]:
        return [1, None, 2**40 if big else 2, True]

    @strawberry.field
    def matrix(self, hole: bool = False) -> list[list[int] | None]:
        return [[1, 2], [3, None] if hole else None, []]


@strawberry.type(name="Mutation")
class CatalogMutation:
    @strawberry.mutation
    async def touch(self, info: strawberry.Info, number: Number) -> CatalogItem:
        return (await products_by_id(info.context, [number]))[0]


# --- reviews --------------------------------------------------------------------------------------------------------


async def reviews_of_products(context: Context, ids: Sequence[int], *, first: int = 2) -> list[Any]:
    context.note("reviews_of_products", ids)
    return [[{"id": n * 10 + i, "item_id": n, "author_id": n + i, "stars": i} for i in range(first)] for n in ids]


async def reviews_of_users(context: Context, ids: Sequence[int]) -> list[Any]:
    context.note("reviews_of_users", ids)
    return [[{"id": n * 100, "item_id": n, "author_id": n, "stars": n}] for n in ids]


@strawberry.federation.type(keys=["id"], name="User")
class ReviewUser:
    id: int
    reviews: list["Review"] = bulk(reviews_of_users, key="id")

    @strawberry.field
    def initials(self) -> str:
        return f"U{self.id}"


@strawberry.federation.type(keys=["id"], name="Item")
class ReviewItem:
    id: int
    reviews: list["Review"] = bulk(reviews_of_products, key="id")

    @strawberry.field
    async def review_count(self) -> int:
        return 2


@strawberry.type
class Review:
    id: int
    stars: int

    @strawberry.field
    def item(self) -> ReviewItem:
        return ReviewItem(id=self["item_id"])

    @strawberry.field
    def author(self) -> ReviewUser | None:
        return ReviewUser(id=self["author_id"]) if self["author_id"] != 5 else None

    @strawberry.field
    def body(self) -> str:
        if self["stars"] == 1:
            raise Refused("Unreadable.")
        return f"Body {self['id']}"


@strawberry.type
class ReviewQuery:
    @strawberry.field
    def latest(self, first: int = 3) -> list[Review]:
        return [{"id": n, "item_id": n, "author_id": n, "stars": n % 3} for n in range(1, first + 1)]


# --- inventory: knows items by sku alone ------------------------------------------------------------------------------


async def stock_by_sku(context: Context, skus: Sequence[str]) -> list[Any]:
    context.note("stock_by_sku", skus)
    return [{"sku": sku, "level": len(sku)} if sku != "sku-2" else None for sku in skus]


async def fee_of(context: Context, keys: Sequence[tuple[str, int]]) -> list[Any]:
    context.note("fee_of", keys)
    return [Refused("Too heavy.") if grams > 90 else grams * 2 for _, grams in keys]


@strawberry.federation.type(keys=["sku"], name="Item")
class StockItem:
    __references__: ClassVar = {"sku": stock_by_sku}
    sku: str
    grams: int = strawberry.federation.field(external=True)
    level: int | None
    fee: int | None = bulk(fee_of, key=("sku", "grams"), directives=[Requires(fields="grams")])

    @strawberry.federation.field(requires=["grams"])
    def freight(self) -> str:
        return f"{self.sku} weighs {self.grams}"


@strawberry.type
class StockQuery:
    @strawberry.field
    async def scarce(self, info: strawberry.Info) -> list[StockItem | None]:
        return await stock_by_sku(info.context, ["sku-1", "sku-2", "sku-3", "sku-10"])


# --- search ---------------------------------------------------------------------------------------------------------


@strawberry.federation.type(keys=["id"], name="Item")
class FoundItem:
    id: int


@strawberry.federation.type(keys=["email"], name="User")
class FoundUser:
    email: str


@strawberry.type
class Page:
    url: str
    item: FoundItem | None


Hit = Annotated[FoundItem | FoundUser | Page, strawberry.union("Hit")]


@strawberry.type
class SearchQuery:
    @strawberry.field
    def search(self, text: str | None = None, first: int = 6) -> list[Hit]:
        hits = [
            FoundItem(id=1),
            FoundUser(email="u2@x.io"),
            Page(url="/p", item=FoundItem(id=11)),
            FoundItem(id=99),
            Page(url="/q", item=None),
            FoundItem(id=8),
        ]
        return hits[:first]


def subgraphs() -> dict[str, Subgraph]:
    return {
        "accounts": Subgraph(AccountQuery, mutation=AccountMutation, subscription=AccountSubscription),
        "catalog": Subgraph(CatalogQuery, mutation=CatalogMutation),
        "reviews": Subgraph(ReviewQuery, types=[ReviewItem, ReviewUser]),
        "inventory": Subgraph(StockQuery),
        "search": Subgraph(SearchQuery),
    }


def supergraph() -> Supergraph:
    return Supergraph(subgraphs())
