"""The generator of operations, taught what the arguments of our schema mean."""

import json
from dataclasses import dataclass
from random import Random
from types import SimpleNamespace
from typing import Any

from graphql import GraphQLSchema, get_named_type, is_leaf_type, is_union_type

from tests.schema.fuzz.shop import Shop, email_of, password_of
from tests.schema.supergraph.operations import Generator

UNKNOWN = "01890000-0000-7000-8000-00000000dead"
MEASURED = {
    ("SearchResult", "searchId"): "made anew by every search",
    ("SearchResult", "processingMs"): "how long this one search took",
    ("PartHealth", "milliseconds"): "how long this one check took",
    ("PartHealth", "figures"): "counts what other tests do at the same time",
    ("PartHealth", "reason"): "depends on what other tests do at the same time",
    ("Authentication", "accessToken"): "signed anew, with a random id inside",
    ("Authentication", "refreshToken"): "random",
    ("Authentication", "deviceToken"): "random",
    ("SecondFactorRequired", "challenge"): "random",
    ("PasskeyOptions", "challenge"): "random",
    ("PasskeyOptions", "options"): "holds random bytes to be signed",
    ("AuthenticatorSecret", "secret"): "random",
    ("AuthenticatorSecret", "otpauthUrl"): "holds the secret",
    ("TwoFactor", "recoveryCodes"): "random",
    ("IssuedApiKey", "key"): "random",
    ("ApiKey", "beginsWith"): "holds the id in another spelling",
    ("Cart", "token"): "random",
    ("CartShare", "token"): "random",
    ("Payment", "reference"): "the bank's own, random",
    ("Refund", "reference"): "the bank's own, random",
    ("AttachmentUpload", "url"): "signed, with the moment of it inside",
    ("SocialLoginStart", "authorizationUrl"): "has the state inside",
    ("SocialLoginStart", "state"): "random",
    ("SocialLoginStart", "binding"): "random",
}
"""What differs between any two executions, and why; everything else is compared."""
FINDING = ({"id", "slug", "sku"}, {"id", "slug"}, {"id", "code"}, {"id", "number"}, {"id", "token"})
"""Arguments of which one must be given, and not two."""
PAGING = frozenset({"first", "last", "after", "before"})
MEANT_BY_ARGUMENT = {
    "storeId": ("store",),
    "productId": ("product",),
    "variantId": ("variant",),
    "imageId": ("image",),
    "imageIds": ("image",),
    "userId": ("user",),
    "sellerId": ("user",),
    "categoryId": ("category",),
    "parentId": ("category",),
    "entityId": ("product", "category"),
    "entityIds": ("product", "category"),
    "aggregateId": ("product", "store", "review"),
    "jobId": ("import",),
    "customerId": ("user",),
    "orderId": ("order",),
    "subOrderId": ("part",),
    "subOrderIds": ("part",),
    "cartId": ("cart",),
    "lineId": ("line", "cartLine"),
    "paymentId": ("payment",),
    "payoutId": ("payout",),
    "runId": ("run",),
    "listId": ("prices",),
    "fromStoreId": ("store",),
    "toStoreId": ("store",),
    "storeIds": ("store",),
    "productIds": ("product",),
    "categoryIds": ("category",),
    "customerIds": ("user",),
    "hours": (),
    "conversationId": ("conversation",),
    "upTo": ("message",),
    "attachmentIds": ("attachment",),
}
MEANT_BY_FIELD = (
    ("paymentmethod", "method"),
    ("payment", "payment"),
    ("discrepancy", "discrepancy"),
    ("discountcode", "code"),
    ("promotion", "promotion"),
    ("flashsale", "flash"),
    ("pricelist", "prices"),
    ("pricingrule", "rule"),
    ("taxrate", "rate"),
    ("holiday", "holiday"),
    ("cart", "cart"),
    ("return", "order"),
    ("order", "order"),
    ("saga", "order"),
    ("variant", "variant"),
    ("category", "category"),
    ("image", "image"),
    ("product", "product"),
    ("accessory", "product"),
    ("store", "store"),
    ("tenant", "tenant"),
    ("livesession", "live"),
    ("live", "live"),
    ("studio", "studio"),
    ("session", "session"),
    ("address", "address"),
    ("review", "review"),
    ("batch", "batch"),
    ("import", "import"),
    ("letter", "letter"),
    ("message", "message"),
    ("conversation", "conversation"),
    ("user", "user"),
)
STRINGS: dict[str, list[Any]] = {
    "skuPrefix": ["FH-", "FH-HP", "QB-", ""],
    "code": ["FH-ONE", "FH-TWO", "QB-ONE", "fernhill", "quarrybank", "shelf", "de", "FERN"],
    "provinceCode": ["CA-ON", "CA-QC", "CA-XX"],
    "province": ["ON", "QC"],
    "country": ["CA", "US", "XX"],
    "currency": ["CAD", "EUR", "nonsense"],
    "language": ["ru", "fr", "en", "de", "zz zz"],
    "locale": ["en", "fr"],
    "timezone": ["America/Toronto", "Mars/Olympus"],
    "query": ["headphones", "hedphones", "наушники", "", "lamp"],
    "paymentToken": ["sbx_card_ok", "sbx_card_declined", "nonsense"],
    "codes": ["FERN", "NONE"],
    "prefix": ["he", "На", "", "Fer"],
    "text": ["buyer", "Le texte", ""],
    "role": ["buyer", "admin", "shelf_filler", "nobody"],
    "handler": ["search.index", "none"],
    "projection": ["search", "none"],
    "field": ["name", "description", "colour"],
    "name": ["Lamp", "catalog.product_created", "Лампа", ""],
    "context": ["catalog", "tenancy"],
    "category": ["general", "till"],
    "opens": ["09:00"],
    "closes": ["17:30"],
    "accessToken": ["nonsense"],
    "provider": ["telegram", "sandbox", "sso.acme", "nobody"],
    "redirectUri": ["http://127.0.0.1/back", "https://elsewhere.example/"],
    "issuer": ["https://id.example", "nonsense"],
    "domains": ["acme.example", "nonsense"],
    "currentPassword": [password_of(email_of("buyer")), "wrong password"],
    "region": ["CA", "CA-ON", "XX"],
    "idempotencyKey": [f"key {number}" for number in range(300)],
    "permissions": ["inventory.read", "catalog.*", "nonsense"],
    "facetAttributes": ["warranty_months", "season", "none"],
}
NUMBERS = {
    "Float": [0.5, 25.0],
    "BigInt": [0, 1, 990, 12_000, -5, 10**9],
    "Decimal": ["0.13", "1.5", "-1"],
    "DateTime": ["2026-01-01T00:00:00+00:00", "2026-12-01T12:00:00+00:00", "2026-11-03T14:00:00Z"],
    "Date": ["2026-12-31", "2020-02-29"],
    "Time": ["09:00:00", "17:30:00"],
    "JSON": [{"theme": "dark"}, ["a", 1, None], "text", 3],
    "Boolean": [True, False],
}
INTEGERS = {
    "first": [1, 2, 3, 5, 20, 100],
    "last": [1, 2, 3, 5],
    "depth": [1, 2, 3],
    "rating": [1, 3, 4, 5],
    "expectedVersion": [1, 1, 1, 2],
    "offset": [0, 1, 10],
    "limit": [1, 3, 10],
    "quantity": [1, 2, 40],
}
COORDINATES = {"latitude": [43.65, 45.5, 0.0], "longitude": [-79.38, -73.6], "radiusKm": [25.0, 4000.0]}
REFUSED = {"Int": [0, 101, -1], "Float": [-1.0, 1000.0]}
"""Numbers that most arguments refuse, or that lie just inside of what they accept."""
SELDOM = 0.04


@dataclass
class ShopGenerator(Generator):
    """Makes operations whose arguments are mostly real: ids, SKUs, slugs and cursors of the shop, or of its neighbour."""

    field: str = ""
    distinct: bool = False
    """Gives every field an alias, so that no response name is asked for twice outside of repeated fragments."""

    def _selection(self, type_: Any, depth: int, *, single: bool = False) -> str:
        body = super()._selection(type_, depth, single=single)
        # Which member of a union was answered is what matters most, and few selections would ask for it.
        return f"{{ __typename {body[1:]}" if is_union_type(type_) else body

    def _chosen(self, type_: Any, count: int) -> list[str]:
        # One refused root field of those that are not null takes all the others with it.
        return super()._chosen(type_, min(count, 2) if type_.name == "Query" else count)

    def _field(self, type_: Any, name: str, definition: Any, depth: int) -> str:
        self.field = name
        made = super()._field(type_, name, definition, depth)
        if made.startswith(name) and self.distinct:
            self._aliases += 1
            return f"a{self._aliases}: {made}"
        return made

    def _arguments(self, definition: Any) -> str:
        names = set(definition.args)
        if names >= {"first", "after"} and self.random.random() < 0.93:
            names -= PAGING - self._page(definition)
        if names >= {"limit", "offset", "first"}:
            names -= self.random.choice([{"limit", "offset"}, {"first", "after"}])
        if names in FINDING and self.random.random() < 0.9:
            name = self.random.choice(sorted(names))
            return f"({name}: {self._argument(name, definition.args[name])})"
        return super()._arguments(SimpleNamespace(args={n: a for n, a in definition.args.items() if n in names}))

    def _literal(self, type_: Any, value: Any) -> str:
        if isinstance(value, dict) and is_leaf_type(get_named_type(type_)):
            return "{" + ", ".join(f"{name}: {json.dumps(item)}" for name, item in value.items()) + "}"
        return super()._literal(type_, value)

    def _page(self, definition: Any) -> set[str]:
        forward = self.random.random() < 0.75 or "last" not in definition.args
        size, cursor = ("first", "after") if forward else ("last", "before")
        return {size, cursor} if self.random.random() < 0.4 else {size}


CURSORS = """query($product: ID!, $store: ID!, $sku: String!) {
  ProductConnection: products(first: 9) { edges { cursor } }
  byName: products(first: 9, sort: NAME) { edges { cursor } }
  ReviewConnection: reviews(productId: $product, first: 5) { edges { cursor } }
  StoreConnection: stores(first: 2) { edges { cursor } }
  UserConnection: users(first: 5) { edges { cursor } }
  StockLevelConnection: stockLevels(storeId: $store, first: 9) { edges { cursor } }
  StockJournalEntryConnection: inventoryTransactions(storeId: $store, sku: $sku, first: 3) { edges { cursor } }
  ProductVersionConnection: productVersions(productId: $product, first: 3) { edges { cursor } }
  MissingTranslationConnection: missingTranslations(language: "fr", first: 9) { edges { cursor } }
  AuditEntryConnection: auditLog(first: 9) { edges { cursor } }
  OrderConnection: orders(first: 2) { edges { cursor } }
  PaymentConnection: payments(first: 2) { edges { cursor } }
  LedgerPostingConnection: ledgerPostings(first: 3) { edges { cursor } }
  PriceHistoryEntryConnection: priceHistory(sku: $sku, first: 3) { edges { cursor } }
}"""


def cursor_variables(shop: Shop) -> dict[str, str]:
    """Give the variables of `CURSORS`."""
    return {"product": str(shop.ids["product"][3]), "store": str(shop.ids["store"][0]), "sku": shop.texts["sku"][5]}


def cursors_in(data: dict[str, Any]) -> dict[str, list[str]]:
    """Give the cursors that `CURSORS` answered, by name of the connection type."""
    found = {name: [edge["cursor"] for edge in page["edges"]] for name, page in data.items()}
    return found | {"ProductConnection": found["ProductConnection"] + found.pop("byName")}


def generator(
    schema: GraphQLSchema, shop: Shop, neighbour: Shop, cursors: dict[str, list[str]], random: Random, **options: Any
) -> ShopGenerator:
    """Make a generator for a shop; `cursors` by name of the connection type."""
    made = ShopGenerator(schema, random, **options)
    values = Palette(schema, shop, neighbour, cursors)
    made.values = lambda scalar, name, chance: values.value(made.field, scalar, name, chance)
    return made


class Palette:
    """Values for arguments, by what they mean."""

    def __init__(self, schema: GraphQLSchema, shop: Shop, neighbour: Shop, cursors: dict[str, list[str]]) -> None:
        self._shop, self._neighbour, self._cursors = shop, neighbour, cursors
        self._connection_of = {
            name: get_named_type(field.type).name
            for type_ in schema.type_map.values()
            for name, field in getattr(type_, "fields", {}).items()
            if "after" in getattr(field, "args", {})
        }
        texts = shop.texts
        self._strings = STRINGS | {
            "sku": [*texts["sku"], *neighbour.texts["sku"][:2], "none"],
            "number": [*texts["number"], "ORD-20260314-000009"],
            "slug": [*texts["productSlug"], *texts["categorySlug"]],
            "brand": texts["brand"],
            "brands": texts["brand"],
            "email": [email_of("buyer"), *texts["email"][:3], "new@fernhill.example", "no address"],
            "password": [password_of(email_of("buyer")), "wrong password", "short"],
        }

    def value(self, field: str, scalar: str, name: str, random: Random) -> Any:
        """Give a value for an argument or an input field.

        Raises: KeyError for a scalar of which there is nothing.
        """
        if scalar == "ID":
            return self._id(field, name, random)
        if scalar in REFUSED:
            known = {**INTEGERS, **COORDINATES}.get(name, [1, 2, 7])
            return random.choice(REFUSED[scalar] if random.random() < SELDOM else known)
        if scalar == "String":
            return self._string(field, name, random)
        return random.choice(NUMBERS[scalar])

    def _id(self, field: str, name: str, random: Random) -> str:
        if random.random() < SELDOM:
            return UNKNOWN
        kinds = MEANT_BY_ARGUMENT.get(name) or self._meant(field)
        kind = random.choice(kinds)
        # A suspended or cancelled shop would refuse all that comes after; it is the neighbour who is.
        neighbourly = field in {"suspendTenant", "cancelTenant"} or random.random() < 0.08
        found = (self._neighbour if neighbourly else self._shop).ids[kind]
        return str(random.choice(found)) if found else UNKNOWN

    def _meant(self, field: str) -> tuple[str, ...]:
        lowered = field.lower()
        return next(((kind,) for word, kind in MEANT_BY_FIELD if word in lowered), ("product", "store", "user"))

    def _string(self, field: str, name: str, random: Random) -> str:
        if name in {"after", "before"}:
            known = self._cursors.get(self._connection_of.get(field, ""), [])
            return (
                random.choice(known) if known and random.random() > SELDOM else random.choice(["bm9uc2Vuc2U", "WzNd"])
            )
        if name == "slug" and field in {"product", "category"}:
            return random.choice(self._shop.texts[f"{field}Slug"])
        return random.choice(self._strings.get(name, ["lamp", "a b c", "Ünïcødé"]))
