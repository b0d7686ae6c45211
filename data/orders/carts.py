"""Carts in PostgreSQL: one row each, lines and all."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import (
    CheckConstraint,
    Column,
    ColumnElement,
    ForeignKeyConstraint,
    Index,
    LargeBinary,
    Table,
    UniqueConstraint,
    Uuid,
    bindparam,
    func,
    insert,
    select,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.types import TypeDecorator

from data.database import Reads
from data.kernel import Choice, implements, map_aggregate, refuses, tenant_table, timestamp
from data.loading import loaded
from data.saving import given
from data.statements import Statement
from domain.codec import from_json, to_json
from domain.kernel import ConcurrentModification
from domain.orders.cart_checkout import CheckoutPlan
from domain.orders.cart_parts import CartAccess, CartLine, CartShare, CartState, digest
from domain.orders.carts import Cart, CartReads, Carts

CONVERTED_KEPT = timedelta(days=30)
# Written out, not bound: only so does PostgreSQL see that the partial indexes hold the answer.
OPEN = text("state IN ('active', 'abandoned')")
WATCHED = text("state = 'active' AND lines <> '[]'::jsonb")


class _Tuple(TypeDecorator[Any]):
    """A tuple of domain values kept as JSONB."""

    impl = JSONB
    cache_ok = True

    def __init__(self, member: type) -> None:
        super().__init__()
        self.member = member

    def process_bind_param(self, value: Any, dialect: Any) -> Any:  # noqa: ARG002 — SQLAlchemy's signature.
        return to_json(value)

    def process_result_value(self, value: Any, dialect: Any) -> Any:  # noqa: ARG002 — see above.
        return from_json(value, tuple[self.member, ...])  # type: ignore[name-defined]


class _Value(TypeDecorator[Any]):
    """One domain value kept as JSONB."""

    impl = JSONB
    cache_ok = True

    def __init__(self, kind: type) -> None:
        super().__init__()
        self.kind = kind

    def process_bind_param(self, value: Any, dialect: Any) -> Any:  # noqa: ARG002 — SQLAlchemy's signature.
        return to_json(value)

    def process_result_value(self, value: Any, dialect: Any) -> Any:  # noqa: ARG002 — see above.
        return from_json(value, self.kind)


cart = tenant_table(
    "orders",
    "cart",
    Column("customer_id", Uuid),
    Column("token_hash", LargeBinary),
    Column("state", Choice(CartState), nullable=False),
    Column("lines", _Tuple(CartLine), nullable=False, server_default="[]"),
    Column("codes", _Tuple(str), nullable=False, server_default="[]"),
    Column("checkout", _Value(CheckoutPlan), nullable=False, server_default="{}"),
    timestamp("touched_at"),
    timestamp("expires_at"),
    timestamp("abandoned_at", nullable=True),
    Column("order_id", Uuid),
    Column("merged_into", Uuid),
    CheckConstraint("(state = 'converted') = (order_id IS NOT NULL)", name="converted_has_an_order"),
    CheckConstraint("customer_id IS NOT NULL OR token_hash IS NOT NULL", name="has_an_owner"),
    UniqueConstraint("tenant_id", "token_hash"),
    Index("ux_cart_customer_id", "tenant_id", "customer_id", unique=True, postgresql_where=OPEN),
    Index("ix_cart_touched_at", "tenant_id", "touched_at", postgresql_where=WATCHED),
    Index("ix_cart_expires_at", "expires_at"),
)

cart_share = tenant_table(
    "orders",
    "cart_share",
    Column("cart_id", Uuid, nullable=False),
    Column("token_hash", LargeBinary, nullable=False),
    Column("access", Choice(CartAccess), nullable=False),
    timestamp("expires_at"),
    ForeignKeyConstraint(["tenant_id", "cart_id"], ["orders.cart.tenant_id", "orders.cart.id"], ondelete="CASCADE"),
    UniqueConstraint("tenant_id", "token_hash"),
    Index("ix_cart_share_cart_id", "cart_id"),
    root=False,
)

map_aggregate(Cart, cart)

# Two carts of one customer would be one too many; whoever comes second finds the first when asking again.
refuses("ux_cart_customer_id", lambda _: ConcurrentModification(kind="Cart", id="of yours"))

_KEPT = [column for column in cart.c if column.name not in {"created_at", "updated_at"}]
_HASH = bindparam("token_hash", type_=LargeBinary)
_BY_ID = Statement(select(*_KEPT).where(cart.c.id == func.any(bindparam("keys", type_=ARRAY(Uuid)))))
_OF_USER = Statement(select(*_KEPT).where(cart.c.customer_id == bindparam("customer_id", type_=Uuid), OPEN))
_BY_TOKEN = Statement(select(*_KEPT).where(cart.c.token_hash == _HASH))
_SHARED = Statement(
    select(
        *_KEPT,
        cart_share.c.id.label("share_id"),
        cart_share.c.access,
        cart_share.c.expires_at.label("shared_until"),
    )
    .join(cart_share, cart_share.c.cart_id == cart.c.id)
    .where(cart_share.c.token_hash == _HASH, cart_share.c.expires_at > bindparam("now", type_=cart.c.touched_at.type))
)

_LOCK_BY_ID = Statement(select(*_KEPT).where(cart.c.id == bindparam("id", type_=Uuid)).with_for_update())
_LOCK_OF_USER = Statement(
    select(*_KEPT).where(cart.c.customer_id == bindparam("customer_id", type_=Uuid), OPEN).with_for_update()
)
_LOCK_BY_TOKEN = Statement(select(*_KEPT).where(cart.c.token_hash == _HASH).with_for_update())
# An update that changes nothing locks the row that is there and gives it, in the statement that would make it.
_OPEN = Statement(
    upsert(cart)
    .values({column.name: bindparam(column.name, type_=column.type) for column in _KEPT})
    .on_conflict_do_update(
        index_elements=[cart.c.tenant_id, cart.c.customer_id], index_where=OPEN, set_={"id": cart.c.id}
    )
    .returning(*_KEPT)
)


@implements(Carts)
class SqlCarts:
    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def lock(self, cart_id: UUID) -> Cart | None:
        return await self._one(_LOCK_BY_ID, id=cart_id)

    async def of_user(self, user_id: UUID) -> Cart | None:
        return await self._one(_LOCK_OF_USER, customer_id=user_id)

    async def by_token(self, token: str) -> Cart | None:
        return await self._one(_LOCK_BY_TOKEN, token_hash=digest(token))

    async def shared(self, token: str, now: datetime) -> tuple[Cart, CartAccess] | None:
        wanted = (
            select(Cart, cart_share.c.access)
            .join(cart_share, cart_share.c.cart_id == cart.c.id)
            .where(cart_share.c.token_hash == digest(token), cart_share.c.expires_at > now)
        )
        row = (await self._session.execute(wanted.with_for_update(of=cart))).one_or_none()
        return None if row is None else (row[0], row[1])

    async def open(self, blank: Cart) -> Cart:
        (found,) = await loaded(self._session, Cart, _OPEN, **given(self._session, cart, vars(blank)))
        return found

    async def add(self, fresh: Cart) -> None:
        self._session.add(fresh)

    async def add_share(self, share: CartShare) -> None:
        values = {column.name: getattr(share, column.name) for column in cart_share.c}
        await self._session.execute(insert(cart_share).values(values))

    async def idle_since(self, moment: datetime, limit: int) -> Sequence[Cart]:
        wanted = select(Cart).where(WATCHED, cart.c.touched_at <= moment).order_by(cart.c.touched_at).limit(limit)
        return (await self._session.scalars(wanted.with_for_update(skip_locked=True))).all()

    async def _one(self, wanted: Statement, **parameters: Any) -> Cart | None:
        found = await loaded(self._session, Cart, wanted, **parameters)
        return found[0] if found else None


@implements(CartReads)
class SqlCartReads:
    def __init__(self, reads: Reads) -> None:
        self._reads = reads

    async def by_id(self, ids: Sequence[UUID]) -> list[Cart | None]:
        return [_cart(row) for row in await self._reads.by_key(_BY_ID, ids)]

    async def of_user(self, user_id: UUID) -> Cart | None:
        return _cart(await self._reads.row(_OF_USER, customer_id=user_id))

    async def by_token(self, token: str) -> Cart | None:
        return _cart(await self._reads.row(_BY_TOKEN, token_hash=digest(token)))

    async def shared(self, token: str, now: datetime) -> tuple[Cart, CartShare] | None:
        row = await self._reads.row(_SHARED, token_hash=digest(token), now=now)
        found = _cart(row)
        if row is None or found is None:
            return None
        share = CartShare(
            id=row.share_id,
            tenant_id=found.tenant_id,
            cart_id=found.id,
            token_hash=digest(token),
            access=CartAccess(row.access),
            expires_at=row.shared_until,
        )
        return found, share


def expired(now: datetime) -> tuple[tuple[Table, ColumnElement[bool]], ...]:
    """Give the tables with the condition that their rows have served their time."""
    kept = cart.c.state != CartState.CONVERTED
    return (
        (cart_share, cart_share.c.expires_at < now),
        (cart, (cart.c.expires_at < now) & kept),
        (cart, cart.c.expires_at < now - CONVERTED_KEPT),
    )


def _cart(row: Any) -> Cart | None:
    if row is None:
        return None
    plain = {column.name: row[column.name] for column in _KEPT}
    lines = from_json(plain.pop("lines"), tuple[CartLine, ...])
    state = CartState(plain.pop("state"))
    plan = from_json(plain.pop("checkout"), CheckoutPlan)
    return Cart(**{**plain, "codes": tuple(plain["codes"])}, lines=lines, state=state, checkout=plan)
