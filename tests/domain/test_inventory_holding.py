from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from domain.inventory import (
    AllProductsReserved,
    InsufficientStock,
    LowStockReached,
    MoveInventory,
    Reservation,
    ReservationEnded,
    ReservationState,
    ReserveStock,
    StockChange,
    StockChanges,
    StockClaim,
    StockConsumed,
    StockExhausted,
    StockLevel,
    StockReleased,
    StockReserved,
    StockReturned,
    carry,
    reserve,
)
from domain.kernel import InvalidInput, InvalidStateTransition, Principal, Work, uuid7

WORK = Work(
    tenant_id=uuid7(),
    actor=Principal(user_id=uuid7()),
    now=datetime(2026, 1, 1, tzinfo=UTC),
    correlation_id="test",
)
STORE, PRODUCT, ORDER = UUID(int=1), UUID(int=2), UUID(int=3)


def shelf(sku: str = "mug", on_hand: int = 10, reserved: int = 0, reorder_point: int = 3) -> StockLevel:
    return StockLevel(
        tenant_id=WORK.tenant_id,
        store_id=STORE,
        sku=sku,
        product_id=PRODUCT,
        on_hand=on_hand,
        reserved=reserved,
        reorder_point=reorder_point,
    )


def claim(quantity: int, sku: str = "mug") -> StockClaim:
    return StockClaim(store_id=STORE, sku=sku, quantity=quantity)


def held(*levels: StockLevel) -> StockChanges:
    return StockChanges({(level.store_id, level.sku): level for level in levels})


def wish(*claims: StockClaim, expires_at: datetime | None = None) -> ReserveStock:
    return ReserveStock(order_id=ORDER, claims=claims, expires_at=expires_at)


def promised(quantity: int) -> Reservation:
    made = Reservation.make(shelf(), quantity, wish(claim(quantity)), WORK)
    made.release_events()
    return made


def told(each: Reservation | StockLevel) -> list[type]:
    return [type(recorded.event) for recorded in each.release_events()]


class TestReserve:
    def test_promises_all_lines_and_says_so_once(self) -> None:
        changes = held(shelf("mug"), shelf("pot"))
        reserve(wish(claim(2, "pot"), claim(1), claim(3)), WORK, (), changes)
        assert [(each.sku, each.quantity) for each in changes.made] == [("mug", 4), ("pot", 2)]
        assert [level.available for level in changes.levels.values()] == [6, 8]
        facts = [recorded.event for _, recorded, _ in changes.facts]
        assert [type(fact) for fact in facts] == [StockReserved, StockReserved, AllProductsReserved]
        assert facts[-1] == AllProductsReserved(order_id=ORDER, purpose=facts[0].purpose, lines=2, units=6)

    @pytest.mark.parametrize(("sku", "available"), [("pot", 1), ("pan", 0)])
    def test_refuses_all_when_one_line_is_short(self, sku: str, available: int) -> None:
        changes = held(shelf("mug"), shelf("pot", on_hand=1))
        with pytest.raises(InsufficientStock) as refusal:
            reserve(wish(claim(1), claim(2, sku)), WORK, (), changes)
        assert (refusal.value.sku, refusal.value.available) == (sku, available)
        assert (changes.made, changes.journal, changes.levels[STORE, "mug"].reserved) == ([], [], 0)

    def test_leaves_an_order_that_is_known_with_what_it_has(self) -> None:
        known, changes = [promised(2)], held(shelf())
        assert reserve(wish(claim(9)), WORK, known, changes) == known
        assert changes.made == []

    def test_refuses_an_order_that_was_released(self) -> None:
        known = promised(2)
        known.release(WORK)
        with pytest.raises(ReservationEnded):
            reserve(wish(claim(2)), WORK, [known], held(shelf()))

    @pytest.mark.parametrize("hours", [0, -1, 24 * 31])
    def test_refuses_an_end_that_makes_no_sense(self, hours: int) -> None:
        changes = held(shelf())
        with pytest.raises(InvalidInput):
            reserve(wish(claim(1), expires_at=WORK.now + timedelta(hours=hours)), WORK, (), changes)
        assert changes.made == []

    def test_writes_promised_units_into_the_journal_beside_those_on_hand(self) -> None:
        changes = held(shelf())
        reserve(wish(claim(4)), WORK, (), changes)
        [line] = changes.journal
        assert (line.kind, line.quantity_change, line.reserved_change, line.balance_after, line.reference_id) == (
            "reservation",
            0,
            4,
            10,
            ORDER,
        )


class TestReserveStock:
    @pytest.mark.parametrize(
        "make",
        [
            lambda: claim(0),
            lambda: claim(-1),
            lambda: claim(10**10),
            wish,
            lambda: wish(*(claim(1) for _ in range(201))),
            lambda: wish(claim(10**9), claim(1)),
        ],
    )
    def test_refuses_what_nobody_can_mean(self, make: Callable[[], object]) -> None:
        with pytest.raises(InvalidInput):
            make()


class TestReservation:
    def test_gives_back_what_it_holds_once(self) -> None:
        reservation = promised(3)
        assert reservation.release(WORK) == 3
        assert (reservation.state, reservation.ended_at, reservation.remaining) == ("released", WORK.now, 0)
        assert told(reservation) == [StockReleased]
        with pytest.raises(InvalidStateTransition):
            reservation.expire(WORK)

    def test_is_consumed_when_the_last_unit_has_left(self) -> None:
        reservation = promised(3)
        assert [reservation.consume(total, WORK) for total in (1, 1, 3, 2)] == [1, 0, 2, 0]
        assert reservation.state is ReservationState.CONSUMED
        assert told(reservation) == [StockConsumed, StockConsumed]

    def test_gives_back_only_what_has_not_left(self) -> None:
        reservation = promised(3)
        reservation.consume(1, WORK)
        assert reservation.expire(WORK) == 2

    def test_refuses_to_let_more_leave_than_it_holds(self) -> None:
        reservation = promised(3)
        with pytest.raises(InvalidInput):
            reservation.consume(4, WORK)
        assert (reservation.consumed, reservation.remaining) == (0, 3)

    def test_lets_nothing_leave_after_it_ended(self) -> None:
        reservation = promised(3)
        reservation.expire(WORK)
        with pytest.raises(ReservationEnded):
            reservation.consume(1, WORK)
        assert reservation.consumed == 0


class TestStockLevel:
    def test_warns_when_promises_cross_the_mark(self) -> None:
        level = shelf(on_hand=5, reorder_point=3)
        level.reserve(1, ORDER, WORK)
        assert told(level) == []
        level.reserve(1, ORDER, WORK)
        level.reserve(1, ORDER, WORK)
        assert told(level) == [LowStockReached]
        level.reserve(2, ORDER, WORK)
        assert told(level) == [StockExhausted]

    def test_tells_that_there_is_something_again(self) -> None:
        level = shelf(on_hand=2, reserved=2)
        level.release(1, ORDER, WORK)
        level.release(1, ORDER, WORK)
        assert told(level) == [StockReturned]

    def test_refuses_to_promise_what_is_promised(self) -> None:
        level = shelf(on_hand=5, reserved=4)
        with pytest.raises(InsufficientStock):
            level.reserve(2, ORDER, WORK)
        assert level.reserved == 4

    @pytest.mark.parametrize("kind", [StockChange.RESERVATION, StockChange.RELEASE, StockChange.TRANSFER])
    def test_books_by_hand_nothing_that_follows_from_rules(self, kind: StockChange) -> None:
        level = shelf()
        with pytest.raises(InvalidInput):
            level.adjust(1, kind, None, WORK)
        assert level.on_hand == 10


class TestCarry:
    def test_puts_there_what_it_takes_here(self) -> None:
        source, target = shelf(on_hand=5, reserved=2), replace(shelf(on_hand=1), store_id=UUID(int=9))
        command = MoveInventory(from_store_id=STORE, to_store_id=UUID(int=9), sku="mug", quantity=3)
        movement, taken, put = carry(command, source, target, WORK)
        assert (source.on_hand, source.available, target.on_hand) == (2, 0, 4)
        assert (taken.quantity_change, put.quantity_change) == (-3, 3)
        assert taken.reference_id == put.reference_id == movement.id

    def test_refuses_to_carry_what_is_promised(self) -> None:
        source, target = shelf(on_hand=5, reserved=2), shelf(on_hand=1)
        command = MoveInventory(from_store_id=STORE, to_store_id=UUID(int=9), sku="mug", quantity=4)
        with pytest.raises(InsufficientStock):
            carry(command, source, target, WORK)
        assert (source.on_hand, target.on_hand) == (5, 1)

    @pytest.mark.parametrize(("target", "quantity"), [(STORE, 1), (UUID(int=9), 0)])
    def test_refuses_a_way_to_nowhere(self, target: UUID, quantity: int) -> None:
        with pytest.raises(InvalidInput):
            MoveInventory(from_store_id=STORE, to_store_id=target, sku="mug", quantity=quantity)
