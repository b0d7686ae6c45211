import asyncio
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import event, func, insert, select, text
from sqlalchemy.exc import IntegrityError

from data.catalog.tables import product, product_variant
from data.database import Database
from data.event_log import event_log
from data.inventory import stock_level
from data.inventory.tables import lot
from data.orders.carts import cart, cart_share, expired
from data.transactions import SqlTransactions
from domain.catalog import OfferReads, Skus
from domain.jobs import JobQueue
from domain.kernel import NOBODY, Envelope, Principal, Work, uuid7
from domain.money import Money
from domain.orders.cart_abandonment import abandon_carts, watch_carts
from domain.orders.cart_changing import CreateCart, MergeCart, ShareCart, create_cart, merge_cart, share_cart
from domain.orders.cart_finding import own_cart
from domain.orders.cart_parts import LIFETIME, CartAccess, CartClosed, CartState
from domain.orders.carts import Cart, CartReads, Carts
from domain.processes.allocating import Shelves, StockedStore
from domain.processes.carting import AddToCart, NewCartLine, UpdateCartItem, add_to_cart, update_cart_item
from domain.tenancy import GeoLocation, Store, StoreSetting

STORE, SELLER = uuid7(), uuid7()


@pytest.fixture
async def market(database: Database, tenant_id: UUID) -> dict[str, UUID]:
    """Two products on sale, one of them with a variant, one draft, and a hundred of each on the shelf of a store."""
    ids = {name: uuid7() for name in ("mug", "cup", "draft", "large", "store")}
    goods = {"tenant_id": tenant_id, "version": 1, "seller_id": SELLER, "store_id": ids["store"], "currency": "CAD"}
    async with database.session(tenant_id) as session:
        session.add(Store(id=ids["store"], tenant_id=tenant_id, version=1, code="corner", name="Corner"))
        for name, state, price in (("mug", "active", 1250), ("cup", "active", 333), ("draft", "draft", 5)):
            row = {"id": ids[name], "sku": name, "name": name.title(), "slug": name, "brand": "Acme"}
            await session.execute(insert(product).values(**goods, **row, state=state, price_minor=price))
        await session.execute(
            insert(product_variant).values(
                id=ids["large"],
                tenant_id=tenant_id,
                product_id=ids["mug"],
                name="Large",
                sku="mug-l",
                price_minor=1500,
            )
        )
        for sku in ("mug", "mug-l", "cup", "draft"):
            await session.execute(
                insert(stock_level).values(
                    id=uuid7(),
                    tenant_id=tenant_id,
                    version=1,
                    store_id=ids["store"],
                    sku=sku,
                    product_id=ids["mug"],
                    on_hand=100,
                    reserved=0,
                    reorder_point=0,
                    reorder_quantity=0,
                )
            )
    return ids


@contextmanager
def counted(database: Database) -> Iterator[list[str]]:
    """Take down the statements of sessions."""
    seen: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        seen.append(statement)

    engine = database.engine.sync_engine
    event.listen(engine, "before_cursor_execute", note)
    yield seen
    event.remove(engine, "before_cursor_execute", note)


def two_lines(**named: Any) -> AddToCart:
    return AddToCart(lines=(NewCartLine(sku="mug", quantity=2), NewCartLine(sku="cup")), **named)


def guest_of(work: Work) -> Work:
    return replace(work, actor=NOBODY)


async def convert(command: UUID, work: Work, carts: Carts) -> Cart:
    found = await own_cart(work, carts, command)
    found.convert(uuid7(), work.now)
    return found


async def read(database: Database, tenant_id: UUID, ask: Callable[[CartReads], Any]) -> Any:
    reads = database.reads(tenant_id)
    try:
        return await ask(reads.port(CartReads))
    finally:
        await reads.close()


class TestOffers:
    async def test_are_given_in_the_order_of_their_skus_on_sale_or_not(
        self, transactions: SqlTransactions, database: Database, work: Work, market: dict[str, UUID]
    ) -> None:
        wanted = ["mug-l", "nothing", "draft", "mug"]

        async def ask(command: list[str], skus: Skus) -> list[Any]:
            return await skus.offers(command)

        with counted(database) as statements:
            found = await transactions.run(ask, wanted, work)
        assert len(statements) == 1
        assert found[1] is None
        assert [(each.sku, each.variant_id, each.variant_name, each.price, each.active) for each in found if each] == [
            ("mug-l", market["large"], "Large", Money(1500, "CAD"), True),
            ("draft", None, None, Money(5, "CAD"), False),
            ("mug", None, None, Money(1250, "CAD"), True),
        ]
        large = found[0]
        assert (large.product_id, large.name, large.brand, large.seller_id, large.store_id, large.regulated) == (
            market["mug"],
            "Mug",
            "Acme",
            SELLER,
            market["store"],
            False,
        )
        reads = database.reads(work.tenant_id)
        assert await reads.port(OfferReads).by_sku(wanted) == found
        assert reads.statements == 1
        await reads.close()

    async def test_of_another_tenant_are_not_there(
        self, database: Database, market: dict[str, UUID], make_tenant: Callable[[], UUID]
    ) -> None:
        reads = database.reads(make_tenant())
        assert await reads.port(OfferReads).by_sku(["mug"]) == [None]
        await reads.close()


class TestAddToCart:
    async def test_takes_three_statements_for_a_guests_first_lines_and_four_for_later_ones(
        self, transactions: SqlTransactions, database: Database, work: Work, market: dict[str, UUID]
    ) -> None:
        guest = guest_of(work)
        with counted(database) as first:
            begun = await transactions.run(add_to_cart, two_lines(), guest)
        with counted(database) as later:
            grown = await transactions.run(add_to_cart, two_lines(token=begun.token), guest)
        # Offers, stock, and the cart with its events; later the cart is read before.
        assert (len(first), len(later)) == (3, 4)
        assert (begun.id, [(line.sku, line.quantity) for line in grown.lines]) == (grown.id, [("mug", 4), ("cup", 2)])
        kept = await read(database, work.tenant_id, lambda carts: carts.by_token(str(begun.token)))
        assert (kept.lines, kept.version, kept.token) == (grown.lines, 5, None)
        assert kept.lines[0].price == Money(1250, "CAD")
        assert (kept.expires_at, kept.state) == (work.now + LIFETIME, CartState.ACTIVE)

    async def test_keeps_no_token_in_clear(
        self, transactions: SqlTransactions, database: Database, work: Work, market: dict[str, UUID]
    ) -> None:
        begun = await transactions.run(add_to_cart, two_lines(), guest_of(work))
        async with database.session(work.tenant_id) as session:
            stored = (await session.execute(text("SELECT cart::text FROM orders.cart AS cart"))).scalar_one()
            facts = (await session.execute(select(event_log.c.data))).scalars().all()
        assert str(begun.token) not in stored
        assert str(begun.token) not in str(facts)

    async def test_makes_one_cart_when_a_users_first_lines_race(
        self, transactions: SqlTransactions, database: Database, work: Work, market: dict[str, UUID]
    ) -> None:
        await asyncio.gather(*(transactions.run(add_to_cart, two_lines(), work) for _ in range(12)))
        async with database.session(work.tenant_id) as session:
            (row,) = (await session.execute(select(cart))).all()
            names = (await session.execute(select(event_log.c.name).order_by(event_log.c.version))).scalars().all()
        assert [(line.sku, line.quantity) for line in row.lines] == [("mug", 24), ("cup", 12)]
        assert names == ["cart.created", *(["cart.item_added"] * 24)]
        assert row.version == 25

    async def test_changes_nothing_when_one_of_the_lines_cannot_be_had(
        self, transactions: SqlTransactions, database: Database, work: Work, market: dict[str, UUID]
    ) -> None:
        command = AddToCart(lines=(NewCartLine(sku="mug"), NewCartLine(sku="draft")))
        with pytest.raises(Exception, match="SKU draft does not exist"):
            await transactions.run(add_to_cart, command, work)
        async with database.session(work.tenant_id) as session:
            assert await session.scalar(select(func.count()).select_from(cart)) == 0
            assert await session.scalar(select(func.count()).select_from(event_log)) == 0

    async def test_finds_nothing_in_a_suspended_store(
        self, transactions: SqlTransactions, database: Database, work: Work, market: dict[str, UUID]
    ) -> None:
        async with database.session(work.tenant_id) as session:
            await session.execute(text("UPDATE tenancy.store SET status = 'suspended'"))
        with pytest.raises(Exception, match="Only 0 of mug are available"):
            await transactions.run(add_to_cart, two_lines(), work)


class TestStocked:
    async def test_says_in_one_statement_who_could_send_and_by_which_strategy(
        self, transactions: SqlTransactions, database: Database, work: Work, market: dict[str, UUID]
    ) -> None:
        owned = {"tenant_id": work.tenant_id, "version": 1}
        far = uuid7()
        day = datetime(2026, 1, 5, tzinfo=UTC)
        async with database.session(work.tenant_id) as session:
            session.add(Store(id=far, **owned, code="far", name="Far", latitude=45.4, longitude=-75.7))
            shelf = {"product_id": market["mug"], "reserved": 1, "reorder_point": 0, "reorder_quantity": 0}
            await session.execute(
                insert(stock_level).values(id=uuid7(), **owned, store_id=far, sku="mug", on_hand=3, **shelf)
            )
            for number, remaining in enumerate((0, 2)):
                await session.execute(
                    insert(lot).values(
                        id=uuid7(), tenant_id=work.tenant_id, store_id=far, sku="mug", batch_lot=f"L{number}",
                        quantity_received=5, quantity_remaining=remaining, received_at=day + timedelta(days=number),
                    )
                )  # fmt: skip

        async def stocked(sku: str, shelves: Shelves) -> Any:
            return await shelves.stocked(sku)

        with counted(database) as statements:
            strategy, found = await transactions.run(stocked, "mug", work)
        assert len([each for each in statements if "inventory.lot" in each]) == 1
        assert strategy == "fewest_parcels"
        assert {each.store_id: each for each in found} == {
            market["store"]: StockedStore(store_id=market["store"], available=100),
            far: StockedStore(
                store_id=far, available=2, oldest=day + timedelta(days=1), location=GeoLocation(45.4, -75.7)
            ),
        }
        async with database.session(work.tenant_id) as session:
            session.add(StoreSetting(**owned, store_id=None, key="allocation_strategy", value="oldest_lot_first"))
        strategy, _ = await transactions.run(stocked, "mug", work)
        assert strategy == "oldest_lot_first"


class TestCarts:
    async def test_are_converted_once_however_many_try(
        self, transactions: SqlTransactions, database: Database, work: Work, market: dict[str, UUID]
    ) -> None:
        filled = await transactions.run(add_to_cart, two_lines(), work)
        attempts = [transactions.run(convert, filled.id, work) for _ in range(16)]
        results = await asyncio.gather(*attempts, return_exceptions=True)
        assert sum(isinstance(each, Cart) for each in results) == 1
        assert sum(isinstance(each, CartClosed) for each in results) == 15
        async with database.session(work.tenant_id) as session:
            found = await session.execute(select(event_log.c.name).where(event_log.c.name == "cart.converted"))
            assert len(found.all()) == 1
        # Whoever has ordered begins anew.
        fresh = await transactions.run(add_to_cart, two_lines(), work)
        assert fresh.id != filled.id

    async def test_cannot_be_two_open_ones_of_one_customer(
        self, transactions: SqlTransactions, database: Database, work: Work
    ) -> None:
        await transactions.run(create_cart, CreateCart(), work)
        with pytest.raises(IntegrityError, match="ux_cart_customer_id"):
            async with database.session(work.tenant_id) as session:
                session.add(Cart.blank(work))
        with pytest.raises(IntegrityError, match="converted_has_an_order"):
            async with database.session(work.tenant_id) as session:
                await session.execute(text("UPDATE orders.cart SET state = 'converted'"))

    async def test_lose_no_unit_when_changes_race(
        self, transactions: SqlTransactions, database: Database, work: Work, market: dict[str, UUID]
    ) -> None:
        filled = await transactions.run(add_to_cart, two_lines(), work)
        add = AddToCart(lines=(NewCartLine(sku="mug"),))
        change = UpdateCartItem(line_id=filled.lines[1].id, quantity=9)
        await asyncio.gather(
            *(transactions.run(add_to_cart, add, work) for _ in range(8)),
            *(transactions.run(update_cart_item, change, work) for _ in range(8)),
        )
        kept = await read(database, work.tenant_id, lambda carts: carts.of_user(work.actor.user_id))
        assert [(line.sku, line.quantity) for line in kept.lines] == [("mug", 10), ("cup", 9)]

    async def test_of_another_tenant_are_not_there(
        self,
        transactions: SqlTransactions,
        database: Database,
        work: Work,
        market: dict[str, UUID],
        make_tenant: Callable[[], UUID],
    ) -> None:
        filled = await transactions.run(add_to_cart, two_lines(), work)
        token = (await transactions.run(add_to_cart, two_lines(), guest_of(work))).token
        other = make_tenant()
        assert await read(database, other, lambda carts: carts.by_id([filled.id])) == [None]
        assert await read(database, other, lambda carts: carts.by_token(str(token))) is None
        with pytest.raises(Exception, match="does not exist"):
            await transactions.run(convert, filled.id, replace(work, tenant_id=other))


class TestMergeCart:
    async def test_happens_once_however_many_try(
        self, transactions: SqlTransactions, database: Database, work: Work, market: dict[str, UUID]
    ) -> None:
        guest = await transactions.run(add_to_cart, two_lines(), guest_of(work))
        await transactions.run(add_to_cart, two_lines(), work)
        command = MergeCart(token=str(guest.token))
        await asyncio.gather(*(transactions.run(merge_cart, command, work) for _ in range(6)))
        kept = await read(database, work.tenant_id, lambda carts: carts.of_user(work.actor.user_id))
        assert [(line.sku, line.quantity) for line in kept.lines] == [("mug", 4), ("cup", 2)]
        left = await read(database, work.tenant_id, lambda carts: carts.by_token(str(guest.token)))
        assert (left.state, left.merged_into) == (CartState.MERGED, kept.id)


class TestShares:
    async def test_are_found_by_their_token_until_they_end(
        self, transactions: SqlTransactions, database: Database, work: Work, market: dict[str, UUID]
    ) -> None:
        await transactions.run(add_to_cart, two_lines(), work)
        end = work.now + timedelta(hours=1)
        share = await transactions.run(share_cart, ShareCart(access=CartAccess.EDIT, expires_at=end), work)
        friend = replace(work, actor=Principal(user_id=uuid7()))
        await transactions.run(add_to_cart, two_lines(token=share.token), friend)
        found, kept = await read(database, work.tenant_id, lambda carts: carts.shared(str(share.token), work.now))
        assert (found.customer_id, found.units) == (work.actor.user_id, 6)
        assert (kept.access, kept.expires_at) == (CartAccess.EDIT, end)
        assert await read(database, work.tenant_id, lambda carts: carts.shared(str(share.token), end)) is None


class TestAbandonment:
    async def test_marks_what_nobody_touched_for_a_day(
        self, transactions: SqlTransactions, database: Database, work: Work, market: dict[str, UUID]
    ) -> None:
        forgotten = await transactions.run(add_to_cart, two_lines(), work)
        hour_later = replace(guest_of(work), now=work.now + timedelta(hours=1))
        await transactions.run(add_to_cart, two_lines(), hour_later)
        await transactions.run(create_cart, CreateCart(), guest_of(work))
        next_day = replace(work, now=work.now + timedelta(hours=24))

        async def run(payload: Mapping[str, Any], work: Work, carts: Carts, queue: JobQueue) -> None:
            await abandon_carts(payload, work, carts, queue)

        for _ in range(2):
            await transactions.run(run, {}, next_day)
        async with database.session(work.tenant_id) as session:
            states = (await session.execute(select(cart.c.id).where(cart.c.state == CartState.ABANDONED))).scalars()
            assert list(states) == [forgotten.id]
            facts = await session.execute(select(event_log.c.data).where(event_log.c.name == "cart.abandoned"))
            (fact,) = facts.scalars().all()
        assert (fact["cart_id"], fact["units"], fact["subtotal_minor"]) == (str(forgotten.id), 3, 2833)

    async def test_is_looked_for_once_for_all_changes_of_a_quarter_of_an_hour(
        self, transactions: SqlTransactions, database: Database, database_url: str, work: Work
    ) -> None:
        def heard(minute: int) -> Envelope:
            return Envelope(
                event_id=uuid7(),
                name="cart.item_added",
                tenant_id=work.tenant_id,
                aggregate_id=uuid7(),
                aggregate_type="Cart",
                version=2,
                data={},
                occurred_at=datetime(2026, 3, 14, 15, minute, tzinfo=UTC),
                correlation_id="test",
            )

        async def listen(command: list[Envelope], work: Work, queue: JobQueue) -> None:
            await watch_carts(command, work, queue)

        await transactions.run(listen, [heard(0), heard(14), heard(16)], work)
        await transactions.run(listen, [heard(7)], work)
        async with database.session(None) as session:
            found = await session.execute(
                text(
                    "SELECT scheduled_at FROM jobs.procrastinate_jobs WHERE task_name = 'orders.abandon_carts' "
                    "AND args ->> 'tenant_id' = :tenant ORDER BY scheduled_at"
                ),
                {"tenant": str(work.tenant_id)},
            )
            due = [row.scheduled_at for row in found]
        assert due == [datetime(2026, 3, 15, 15, 15, tzinfo=UTC), datetime(2026, 3, 15, 15, 30, tzinfo=UTC)]


class TestExpired:
    async def test_names_what_has_served_its_time(
        self, transactions: SqlTransactions, database: Database, work: Work, market: dict[str, UUID]
    ) -> None:
        ordered = await transactions.run(add_to_cart, two_lines(), work)
        await transactions.run(convert, ordered.id, work)
        await transactions.run(add_to_cart, two_lines(), work)
        await transactions.run(share_cart, ShareCart(), work)

        async def due(now: datetime) -> list[int]:
            async with database.session(work.tenant_id) as session:
                return [
                    int(await session.scalar(select(func.count()).select_from(table).where(old)) or 0)
                    for table, old in expired(now)
                ]

        end = work.now + LIFETIME
        assert await due(end) == [0, 0, 0]
        assert await due(end + timedelta(seconds=1)) == [1, 1, 0]
        assert await due(end + timedelta(days=31)) == [1, 1, 2]
        assert cart_share.c.cart_id.foreign_keys
