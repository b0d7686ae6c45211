from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.inventory import (
    AllocationStrategy,
    InsufficientStock,
    Lot,
    Site,
    StockClaim,
    Wanted,
    allocate,
    suggest_lots,
)
from domain.kernel import InvalidInput

NEAREST, FEWEST, OLDEST = AllocationStrategy
DAY = datetime(2026, 1, 1, tzinfo=UTC)


def site(number: int, distance_km: float | None = None, age_days: int | None = None, **available: int) -> Site:
    received = {} if age_days is None else dict.fromkeys(available, DAY - timedelta(days=age_days))
    return Site(store_id=UUID(int=number), available=available, oldest=received, distance_km=distance_km)


def want(**units: int) -> list[Wanted]:
    return [Wanted(sku=sku, quantity=quantity) for sku, quantity in units.items()]


def short(claims: tuple[StockClaim, ...]) -> list[tuple[int, str, int]]:
    return [(each.store_id.int, each.sku, each.quantity) for each in claims]


class TestAllocate:
    def test_takes_from_the_nearest_store_first(self) -> None:
        sites = [site(1, 90, mug=9), site(2, 5, mug=2), site(3, None, mug=9)]
        assert short(allocate(want(mug=4), sites, NEAREST)) == [(2, "mug", 2), (1, "mug", 2)]

    def test_sends_as_few_parcels_as_possible_however_far(self) -> None:
        sites = [site(1, 1, mug=2), site(2, 2, pot=1), site(3, 800, mug=2, pot=1)]
        assert short(allocate(want(mug=2, pot=1), sites, FEWEST)) == [(3, "mug", 2), (3, "pot", 1)]

    def test_chooses_the_nearer_of_equally_few_stores(self) -> None:
        sites = [site(1, 50, mug=2), site(2, 20, mug=2), site(3, 90, mug=2)]
        assert short(allocate(want(mug=3), sites, FEWEST)) == [(2, "mug", 2), (1, "mug", 1)]

    def test_covers_many_stores_one_after_the_other(self) -> None:
        sites = [site(number, number, mug=1) for number in range(1, 20)] + [site(99, 500, mug=5)]
        assert short(allocate(want(mug=6), sites, FEWEST)) == [(1, "mug", 1), (99, "mug", 5)]

    def test_takes_the_oldest_lots_first_and_what_came_without_lot_last(self) -> None:
        sites = [site(1, 1, mug=9), site(2, 50, age_days=3, mug=1), site(3, 90, age_days=30, mug=1)]
        assert short(allocate(want(mug=3), sites, OLDEST)) == [(3, "mug", 1), (2, "mug", 1), (1, "mug", 1)]

    @pytest.mark.parametrize("strategy", AllocationStrategy)
    def test_refuses_what_all_stores_together_do_not_have(self, strategy: AllocationStrategy) -> None:
        with pytest.raises(InsufficientStock) as refusal:
            allocate(want(mug=1, pot=4), [site(1, mug=1, pot=2), site(2, pot=1)], strategy)
        assert (refusal.value.sku, refusal.value.requested, refusal.value.available) == ("pot", 4, 3)

    def test_adds_up_what_is_wanted_twice(self) -> None:
        wanted = [*want(mug=1), *want(mug=2)]
        assert short(allocate(wanted, [site(1, mug=3)])) == [(1, "mug", 3)]

    @given(
        stock=st.lists(st.dictionaries(st.sampled_from("abc"), st.integers(0, 5)), max_size=12),
        wanted=st.dictionaries(st.sampled_from("abc"), st.integers(1, 9), min_size=1),
        strategy=st.sampled_from(AllocationStrategy),
    )
    def test_gives_exactly_what_is_wanted_from_what_there_is(
        self, stock: list[dict[str, int]], wanted: dict[str, int], strategy: AllocationStrategy
    ) -> None:
        sites = [site(at, at, **units) for at, units in enumerate(stock)]
        enough = all(sum(units.get(sku, 0) for units in stock) >= quantity for sku, quantity in wanted.items())
        if not enough:
            with pytest.raises(InsufficientStock):
                allocate(want(**wanted), sites, strategy)
            return
        claims = allocate(want(**wanted), sites, strategy)
        got: dict[str, int] = {}
        for each in claims:
            assert each.quantity <= stock[each.store_id.int][each.sku]
            got[each.sku] = got.get(each.sku, 0) + each.quantity
        assert got == wanted
        assert len({(each.store_id, each.sku) for each in claims}) == len(claims)


def lot(name: str, remaining: int, age_days: int) -> Lot:
    return Lot(
        tenant_id=UUID(int=1),
        store_id=UUID(int=2),
        sku="mug",
        batch_lot=name,
        quantity_received=9,
        quantity_remaining=remaining,
        received_at=DAY - timedelta(days=age_days),
    )


class TestSuggestLots:
    def test_takes_first_what_came_first(self) -> None:
        picks = suggest_lots([lot("new", 5, 1), lot("old", 2, 9), lot("empty", 0, 20)], "mug", 4)
        assert [(pick.batch_lot, pick.quantity) for pick in picks] == [("old", 2), ("new", 2)]

    def test_refuses_more_than_the_lots_hold(self) -> None:
        with pytest.raises(InsufficientStock) as refusal:
            suggest_lots([lot("old", 2, 9)], "mug", 3)
        assert refusal.value.available == 2

    @pytest.mark.parametrize("quantity", [0, -1])
    def test_refuses_a_number_that_is_none(self, quantity: int) -> None:
        with pytest.raises(InvalidInput):
            suggest_lots([lot("old", 2, 9)], "mug", quantity)
