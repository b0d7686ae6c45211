"""Holding stock for orders: reserving, releasing, consuming and expiring, each of them once however often it is asked."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from domain.inventory.book import HeldStock, Reservations, StockChanges
from domain.inventory.levels import InsufficientStock
from domain.inventory.reservations import (
    AllProductsReserved,
    Reservation,
    ReservationEnded,
    ReserveStock,
    Shelf,
    StockClaim,
)
from domain.jobs import JobQueue, Jobs
from domain.kernel import NotFound, Work

EXPIRY = "inventory.expire_reservations"
ORDERS_AT_ONCE = 200

jobs = Jobs()


@dataclass(frozen=True, kw_only=True)
class ReleaseStock:
    """Give back what an order holds."""

    order_id: UUID


@dataclass(frozen=True, kw_only=True)
class CommitStock:
    """Hold what an order has reserved until it is shipped or released: it was paid."""

    order_id: UUID


@dataclass(frozen=True, kw_only=True)
class ConsumeStock:
    """Let reserved units leave the shelves: all of an order, or as many in all as the claims say."""

    order_id: UUID
    claims: tuple[StockClaim, ...] | None = None


def reserve(
    command: ReserveStock, work: Work, known: Sequence[Reservation], changes: StockChanges
) -> Sequence[Reservation]:
    """Reserve on locked shelves, all or nothing; an order that is known keeps what it has.

    Raises: InsufficientStock, ReservationEnded, InvalidInput.
    """
    if known:
        _require_held(known)
        return known
    command.deadline(work.now)
    wanted = command.units
    for shelf, units in wanted.items():
        level = changes.levels.get(shelf)
        if level is None or level.available < units:
            raise InsufficientStock(sku=shelf[1], requested=units, available=level.available if level else 0)
    levels = [changes.levels[shelf] for shelf in wanted]
    made = [Reservation.make(level, wanted[level.store_id, level.sku], command, work) for level in levels]
    entries = [level.reserve(each.quantity, command.order_id, work) for level, each in zip(levels, made, strict=True)]
    made[-1].record(
        AllProductsReserved(
            order_id=command.order_id, purpose=command.purpose, lines=len(made), units=sum(wanted.values())
        )
    )
    changes.made += made
    changes.note(work, entries, [*made, *levels])
    return made


async def reserve_stock(command: ReserveStock, work: Work, reservations: Reservations, queue: JobQueue) -> HeldStock:
    """Reserve within the transaction at hand.

    Raises: InsufficientStock, ReservationEnded, InvalidInput.
    """
    changes = StockChanges(await reservations.lock_shelves(command.units))
    known = (await reservations.of_orders([command.order_id])).get(command.order_id, ())
    held = reserve(command, work, known, changes)
    if changes.made:
        await reservations.write(changes)
        # Every order has a timer of its own here; those who reserve at the desk share one.
        await queue.defer(EXPIRY, {}, at=command.deadline(work.now), key=str(command.order_id))
    return HeldStock(order_id=command.order_id, reservations=tuple(held))


async def release_stock(command: ReleaseStock, work: Work, reservations: Reservations) -> HeldStock:
    """Give back whatever the order still holds; nothing where it holds nothing."""
    changes, held = await reservations.lock_order(command.order_id)
    for each in held:
        if each.remaining:
            level = changes.levels[each.shelf]
            entry = level.release(each.release(work), command.order_id, work)
            changes.changed.append(each)
            changes.note(work, [entry], [each, level])
    await _write(reservations, changes)
    return HeldStock(order_id=command.order_id, reservations=tuple(held))


async def commit_stock(command: CommitStock, work: Work, reservations: Reservations) -> None:  # noqa: ARG001 — a handler's signature.
    """Let an order's reservations end no more by themselves.

    Raises: ReservationEnded, NotFound.
    """
    if not await reservations.keep(command.order_id):
        known = (await reservations.of_orders([command.order_id])).get(command.order_id, ())
        _require_held(_found(known, command.order_id))


async def consume_stock(command: ConsumeStock, work: Work, reservations: Reservations) -> HeldStock:
    """Let what is shipped leave the shelves, oldest lots first; what has left before does not leave again.

    Raises: ReservationEnded, NotFound, InvalidInput.
    """
    changes, held = await reservations.lock_order(command.order_id)
    by_shelf = {each.shelf: each for each in _found(held, command.order_id)}
    totals = _totals(command.claims, by_shelf)
    for shelf, total in totals.items():
        reservation, level = by_shelf[shelf], changes.levels[shelf]
        units = reservation.consume(total, work)
        if units:
            entry = level.consume(units, command.order_id, work)
            changes.changed.append(reservation)
            changes.shipped[shelf] = units
            changes.note(work, [entry], [reservation, level])
    await _write(reservations, changes)
    return HeldStock(order_id=command.order_id, reservations=tuple(held))


@jobs.on(EXPIRY)
async def expire_reservations(
    _payload: Mapping[str, Any], work: Work, reservations: Reservations, queue: JobQueue
) -> None:
    """Give back what was held for too long; in portions, so that no shelf is locked for long."""
    changes, held = await reservations.lock_overdue(work.now, ORDERS_AT_ONCE)
    for each in held:
        level = changes.levels[each.shelf]
        entry = level.release(each.expire(work), each.order_id, work)
        changes.changed.append(each)
        changes.note(work, [entry], [each, level])
    await _write(reservations, changes)
    if len({each.order_id for each in held}) >= ORDERS_AT_ONCE:
        await queue.defer(EXPIRY, {})


def _require_held(known: Iterable[Reservation]) -> None:
    for each in known:
        if each.is_given_back:
            raise ReservationEnded(order_id=each.order_id, state=each.state)


def _found(known: Sequence[Reservation], order_id: UUID) -> Sequence[Reservation]:
    if not known:
        raise NotFound(kind="Reservation", id=str(order_id))
    return known


def _totals(claims: Sequence[StockClaim] | None, held: Mapping[Shelf, Reservation]) -> dict[Shelf, int]:
    if claims is None:
        return {shelf: each.quantity for shelf, each in held.items()}
    for claim in claims:
        if claim.shelf not in held:
            raise NotFound(kind="Reservation", id=claim.sku)
    return {claim.shelf: claim.quantity for claim in claims}


async def _write(reservations: Reservations, changes: StockChanges) -> None:
    if changes.journal:
        await reservations.write(changes)
