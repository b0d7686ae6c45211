"""Loading one marketplace: each step looks for what is there already, so a load that was cut short goes on."""

from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from random import Random
from typing import Any, Concatenate, ParamSpec, TypeVar
from uuid import UUID

from data.database import Reads
from domain.catalog import AttributeDefinition, CategoryReads, ProductReads, Viewer
from domain.delivery.ports import DeliveryFilter, DeliveryReads
from domain.identity.passwords import PasswordHasher
from domain.identity.roles import Role
from domain.identity.users import UserReads
from domain.inventory import StockReads
from domain.kernel import SYSTEM, Work
from domain.live import LiveReads
from domain.localization import LanguageReads, SetSupportedLanguage, set_supported_language
from domain.paging import PageRequest
from domain.reviews import ReviewFilter, ReviewReads
from domain.tenancy import (
    ActivateStore,
    ChangeTenantSubscription,
    Platform,
    StoreReads,
    StoreStatus,
    TenantReads,
    activate_store,
    change_tenant_subscription,
    create_store,
    create_tenant,
)
from server.demo.delivering import DemoDelivery
from server.demo.goods import TRANSLATED, Goods, tree
from server.demo.handlers import (
    Announce,
    Employ,
    Enrol,
    Offer,
    PlantTree,
    Shelf,
    Verdict,
    announce_session,
    employ,
    enrol,
    offer_goods,
    plant_tree,
    publish_opinions,
    remember_wishes,
)
from server.demo.markets import Market, Opinion, Person
from server.services import Services

T = TypeVar("T")
C = TypeVar("C")
R = TypeVar("R")
P = ParamSpec("P")

GOODS_AT_ONCE = 100
EVERYTHING = Viewer(sees_all=True, sees_inactive=True)
REORDER_POINT = 5
SHOWN = 6
SHOWN_FROM = 8


@dataclass(frozen=True)
class Place:
    """A category that is there, with the attributes of its goods."""

    id: UUID
    schema: Sequence[AttributeDefinition]


class MarketLoader:
    """Loads one market; `password_of` gives the password of an e-mail address."""

    def __init__(self, services: Services, market: Market, password_of: Callable[[str], str]) -> None:
        self._services = services
        self._market = market
        self._password_of = password_of
        self._tenant_id = UUID(int=0)

    async def run(self) -> None:
        """Load what is missing; the subscription comes last, for it marks the marketplace as complete."""
        self._tenant_id = await self._tenant()
        await self._languages()
        stores = await self._stores()
        staff, crowd = self._market.staff(), self._market.crowd()
        people = await self._enrol(staff, crowd)
        await self._employ(staff, people, stores)
        goods = self._market.goods()
        await self._offer(goods, self._sellers(staff, people, stores), await self._tree())
        reviewers = [people[each.email] for each in crowd]
        await self._review(goods, reviewers)
        buyers = [people[each.email] for each in staff if each.role is Role.BUYER]
        await self._wish(goods, [*buyers, *reviewers])
        await self._announce(goods, next(people[each.email] for each in staff if each.role is Role.SELLER))
        await self._deliver(goods, staff, people, stores)
        await self._open()

    async def _tenant(self) -> UUID:
        wanted, platform = self._market.tenant, self._services.by_port[Platform]
        reads = platform.read(TenantReads)
        (known,) = await reads.by_code([wanted.code])
        if known is None:
            owners = await reads.by_host(wanted.hosts)
            free = tuple(host for host, owner in zip(wanted.hosts, owners, strict=True) if owner is None)
            known = await platform.transactions.run(create_tenant, replace(wanted, hosts=free), self._work())
        tenant_id: UUID = known.id
        return tenant_id

    async def _open(self) -> None:
        command = ChangeTenantSubscription(id=self._tenant_id, tier=self._market.tenant.tier)
        await self._services.by_port[Platform].transactions.run(change_tenant_subscription, command, self._work())

    async def _languages(self) -> None:
        async with self._reads() as reads:
            known = {row.code for row in await reads.port(LanguageReads).all(active_only=False)}
        for code in (str(self._market.tenant.locale), *TRANSLATED):
            if code not in known:
                await self._run(set_supported_language, SetSupportedLanguage(code=code))

    async def _stores(self) -> dict[str, UUID]:
        codes = [each.code for each in self._market.stores]
        async with self._reads() as reads:
            known = await reads.port(StoreReads).by_code(codes)
        ids = {}
        for command, found in zip(self._market.stores, known, strict=True):
            store: Any = found or await self._run(create_store, command)
            if store.status == StoreStatus.INACTIVE:
                await self._run(activate_store, ActivateStore(id=store.id))
            ids[command.code] = store.id
        return ids

    async def _enrol(self, staff: Sequence[Person], crowd: Sequence[Person]) -> dict[str, UUID]:
        hasher = self._services.by_port[PasswordHasher]
        # Hashing is slow on purpose, and nobody logs in as one of the crowd: they share one hash, of a password unknown.
        shared = await hasher.hash(self._password_of(f"crowd of {self._market.code}"))
        hashes = dict.fromkeys((each.email for each in crowd), shared)
        hashes |= {each.email: await hasher.hash(self._password_of(each.email)) for each in staff}
        return await self._run(enrol, Enrol(people=[*staff, *crowd], password_hashes=hashes))

    async def _employ(self, staff: Sequence[Person], people: Mapping[str, UUID], stores: Mapping[str, UUID]) -> None:
        async with self._reads() as reads:
            held = await reads.port(UserReads).assignments([people[each.email] for each in staff])
        for each, assignments in zip(staff, held, strict=True):
            if each.role is not Role.BUYER and not assignments:
                store_id = stores[each.store] if each.store else None
                await self._run(employ, Employ(user_id=people[each.email], role=each.role, store_id=store_id))

    async def _tree(self) -> dict[str, Place]:
        branches = tree(regulated=self._market.regulated)
        rows = await self._categories([each.slug for each in branches])
        if rows[0] is None:
            await self._run(plant_tree, PlantTree(branches=branches))
            rows = await self._categories([each.slug for each in branches])
        async with self._reads() as reads:
            schemas = await reads.port(CategoryReads).schemas([row.id for row in rows])
        return {branch.path: Place(row.id, schema) for branch, row, schema in zip(branches, rows, schemas, strict=True)}

    async def _categories(self, slugs: Sequence[str]) -> list[Any]:
        async with self._reads() as reads:
            return await reads.port(CategoryReads).by_slug(slugs, EVERYTHING)

    async def _offer(
        self, goods: Sequence[Goods], sellers: Sequence[tuple[UUID, UUID]], places: Mapping[str, Place]
    ) -> None:
        known = await self._products(goods)
        for portion in _portions([each for each in goods if known[each.sku] is None]):
            await self._run(offer_goods, [_offer(each, sellers, places[each.path]) for each in portion])

    @staticmethod
    def _sellers(
        staff: Sequence[Person], people: Mapping[str, UUID], stores: Mapping[str, UUID]
    ) -> list[tuple[UUID, UUID]]:
        """Pair each seller with the store that they sell in."""
        return [(people[each.email], stores[each.store]) for each in staff if each.role is Role.SELLER and each.store]

    async def _review(self, goods: Sequence[Goods], reviewers: Sequence[UUID]) -> None:
        opinions = self._market.opinions(goods)
        async with self._reads() as reads:
            own = ReviewFilter(author_id=reviewers[opinions[0].reviewer], state=None)
            if (await reads.port(ReviewReads).matching(own, PageRequest(first=1))).nodes:
                return
        known = await self._products(goods)
        by_sku: dict[str, list[tuple[UUID, Opinion]]] = defaultdict(list)
        for opinion in opinions:
            by_sku[opinion.sku].append((reviewers[opinion.reviewer], opinion))
        verdicts = [
            Verdict(product_id=known[sku].id, store_id=known[sku].store_id, opinions=given)
            for sku, given in by_sku.items()
        ]
        await self._run(publish_opinions, verdicts)

    async def _wish(self, goods: Sequence[Goods], users: Sequence[UUID]) -> None:
        known = await self._products(goods)
        async with self._reads() as reads:
            if (await reads.port(ReviewReads).wishlist(users[0], PageRequest(first=1))).nodes:
                return
        chance = Random(f"wishes of {self._market.prefix}")
        wishes = [
            (user_id, known[each.sku].id)
            for user_id in users
            for each in chance.sample(list(goods), 6 if user_id == users[0] else chance.randrange(4))
        ]
        await self._run(remember_wishes, wishes)

    async def _announce(self, goods: Sequence[Goods], host_id: UUID) -> None:
        """Build a studio, and have a seller announce a session there with goods that are in stock."""
        skus = [each.sku for each in goods if each.sku in each.shelved_skus]
        async with self._reads() as reads:
            if await reads.port(LiveReads).all_studios():
                return
            rows = await reads.port(ProductReads).by_sku(skus, EVERYTHING)
            stock = await reads.port(StockReads).by_sku(skus, None)
        own = [
            row.sku
            for row, shelf in zip(rows, stock, strict=True)
            if row is not None and row.seller_id == host_id and shelf is not None and shelf.available > SHOWN_FROM
        ]
        await self._run(announce_session, Announce(market=self._market.tenant.name, host_id=host_id, skus=own[:SHOWN]))

    async def _deliver(
        self, goods: Sequence[Goods], staff: Sequence[Person], people: Mapping[str, UUID], stores: Mapping[str, UUID]
    ) -> None:
        """Have something on its way to the demo's buyer, where the market has a driver."""
        by_role = {each.role: people[each.email] for each in staff}
        if Role.DRIVER not in by_role or await self.tracking_number() is not None:
            return
        store_id = stores[self._market.stores[0].code]
        known = await self._products(goods)
        skus = [sku for sku, row in known.items() if row is not None and row.store_id == store_id]
        demo = DemoDelivery(self._services, self._work())
        await demo.run(store_id, skus, by_role[Role.BUYER], by_role[Role.DRIVER])

    async def tracking_number(self) -> str | None:
        """Give the number of the delivery that can be followed."""
        async with self._reads() as reads:
            page = await reads.port(DeliveryReads).matching(DeliveryFilter(), None, PageRequest(last=1))
        return page.nodes[0].tracking_number if page.nodes else None

    async def _products(self, goods: Sequence[Goods]) -> dict[str, Any]:
        skus = [each.sku for each in goods]
        async with self._reads() as reads:
            return dict(zip(skus, await reads.port(ProductReads).by_sku(skus, EVERYTHING), strict=True))

    @asynccontextmanager
    async def _reads(self) -> AsyncIterator[Reads]:
        reads = self._services.database.reads(self._tenant_id)
        try:
            yield reads
        finally:
            await reads.close()

    async def _run(self, handler: Callable[Concatenate[C, P], Awaitable[R]], command: C) -> R:
        return await self._services.transactions.run(handler, command, self._work())

    def _work(self) -> Work:
        correlation_id = f"demo {self._market.code}"
        return Work(tenant_id=self._tenant_id, actor=SYSTEM, now=datetime.now(UTC), correlation_id=correlation_id)


def _portions(items: Sequence[T]) -> Iterator[Sequence[T]]:
    for start in range(0, len(items), GOODS_AT_ONCE):
        yield items[start : start + GOODS_AT_ONCE]


def _offer(goods: Goods, sellers: Sequence[tuple[UUID, UUID]], place: Place) -> Offer:
    # The SKU decides, not the position: goods that are offered after a restart get the same seller and stock.
    chance = Random(goods.sku)
    seller_id, store_id = chance.choice(sellers)
    stores = dict.fromkeys([store_id, *([chance.choice(sellers)[1]] if chance.random() < 0.3 else [])])
    shelves = [
        Shelf(store_id=store, sku=sku, units=_units(chance), reorder_point=REORDER_POINT)
        for store in stores
        for sku in goods.shelved_skus
    ]
    return Offer(
        goods=goods,
        category_id=place.id,
        schema=place.schema,
        seller_id=seller_id,
        store_id=store_id,
        shelves=shelves,
        is_translated=chance.random() < 0.5,
    )


def _units(chance: Random) -> int:
    draw = chance.random()
    if draw < 0.07:
        return 0
    return chance.randint(1, REORDER_POINT) if draw < 0.18 else chance.randint(6, 180)
