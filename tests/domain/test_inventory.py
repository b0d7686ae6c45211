from datetime import UTC, datetime
from uuid import uuid4

import pytest

from domain.inventory import InsufficientStock, LowStockReached, StockAdjusted, StockChange, StockExhausted, StockLevel
from domain.kernel import InvalidInput, Principal, Work, uuid7

WORK = Work(
    tenant_id=uuid7(),
    actor=Principal(user_id=uuid7()),
    now=datetime(2026, 1, 1, tzinfo=UTC),
    correlation_id="test",
)


def level(on_hand: int = 10, reserved: int = 0, reorder_point: int = 3) -> StockLevel:
    return StockLevel(
        tenant_id=WORK.tenant_id,
        store_id=uuid4(),
        sku="mug",
        product_id=uuid4(),
        on_hand=on_hand,
        reserved=reserved,
        reorder_point=reorder_point,
    )


def adjust(stock: StockLevel, change: int) -> list[type]:
    stock.adjust(change, StockChange.ADJUSTMENT, None, WORK)
    return [type(recorded.event) for recorded in stock.release_events()]


class TestAdjust:
    def test_writes_one_journal_line_with_the_balance_it_left(self) -> None:
        entry = level(10).adjust(-4, StockChange.DAMAGE, "fell", WORK)
        assert (entry.quantity_change, entry.balance_after, entry.kind, entry.reason) == (-4, 6, "damage", "fell")

    def test_refuses_to_take_what_is_reserved(self) -> None:
        stock = level(10, reserved=8)
        with pytest.raises(InsufficientStock) as refusal:
            stock.adjust(-3, StockChange.SALE, None, WORK)
        assert (refusal.value.requested, refusal.value.available) == (3, 2)
        assert (stock.on_hand, stock.version) == (10, 0)

    @pytest.mark.parametrize("change", [0, 10**10])
    def test_refuses_a_change_that_makes_no_sense(self, change: int) -> None:
        with pytest.raises(InvalidInput):
            level().adjust(change, StockChange.COUNT, None, WORK)

    def test_warns_of_low_stock_once_per_crossing(self) -> None:
        stock = level(5, reorder_point=3)
        assert adjust(stock, -1) == [StockAdjusted]
        assert adjust(stock, -1) == [StockAdjusted, LowStockReached]
        assert adjust(stock, -1) == [StockAdjusted]
        assert adjust(stock, 5) == [StockAdjusted]
        assert adjust(stock, -5) == [StockAdjusted, LowStockReached]

    def test_tells_that_the_last_unit_went(self) -> None:
        assert adjust(level(1, reorder_point=0), -1) == [StockAdjusted, LowStockReached, StockExhausted]


class TestSetThresholds:
    def test_refuses_a_negative_reorder_point(self) -> None:
        stock = level()
        with pytest.raises(InvalidInput):
            stock.set_thresholds(-1, 0)
        assert stock.reorder_point == 3
