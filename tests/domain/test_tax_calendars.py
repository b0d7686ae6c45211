from datetime import UTC, date, datetime

import pytest

from domain.kernel import InvalidInput, Principal, Work, uuid7
from domain.tax import (
    AddHoliday,
    Business,
    BusinessCalendar,
    Holiday,
    HolidayAdded,
    NoBusinessDay,
    PublicHoliday,
    TaxPlace,
    public_holidays,
)

WORK = Work(
    tenant_id=uuid7(), actor=Principal(user_id=uuid7()), now=datetime(2026, 1, 1, tzinfo=UTC), correlation_id="test"
)


def own(day: date, *, province: str | None = "CA-ON", affects: bool = True) -> PublicHoliday:
    return PublicHoliday(
        country="CA", province=province, day=day, name="Ours", affects_delivery=affects, affects_payout=affects
    )


class TestPublicHolidays:
    def test_differ_by_province(self) -> None:
        quebec = {each.day: each.name for each in public_holidays(TaxPlace("CA", "CA-QC"), 2026)}
        ontario = {each.day for each in public_holidays(TaxPlace("CA", "CA-ON"), 2026)}
        assert quebec[date(2026, 6, 24)] == "Saint John the Baptist Day"
        assert date(2026, 6, 24) not in ontario
        assert date(2026, 2, 16) in ontario

    def test_of_a_part_that_the_library_does_not_know_are_the_countrys(self) -> None:
        assert date(2026, 3, 17) in {each.day for each in public_holidays(TaxPlace("IE", "IE-D"), 2026)}


class TestNextBusinessDay:
    @pytest.mark.parametrize(
        ("province", "day", "expected"),
        [
            ("CA-ON", date(2026, 3, 13), date(2026, 3, 13)),
            ("CA-ON", date(2026, 3, 14), date(2026, 3, 16)),
            ("CA-ON", date(2026, 4, 3), date(2026, 4, 6)),
            ("CA-QC", date(2026, 6, 24), date(2026, 6, 25)),
            ("CA-ON", date(2026, 6, 24), date(2026, 6, 24)),
            ("DE-BY", date(2026, 1, 6), date(2026, 1, 7)),
            ("DE-BE", date(2026, 1, 6), date(2026, 1, 6)),
        ],
    )
    def test_skips_weekends_and_holidays(self, province: str, day: date, expected: date) -> None:
        assert BusinessCalendar().next_business_day(province, day) == expected

    def test_knows_that_parcels_come_at_weekends(self) -> None:
        saturday = date(2026, 3, 14)
        assert BusinessCalendar().next_business_day("CA-ON", saturday, Business.DELIVERY) == saturday

    def test_counts_business_days(self) -> None:
        assert BusinessCalendar().business_days_after("CA-ON", date(2026, 4, 1), 3) == date(2026, 4, 7)

    def test_hears_a_tenants_own_holiday_and_the_one_it_struck_out(self) -> None:
        closed, open_ = date(2026, 3, 16), date(2026, 7, 1)
        calendar = BusinessCalendar([own(closed), own(open_, affects=False)])
        assert calendar.next_business_day("CA-ON", closed) == date(2026, 3, 17)
        assert calendar.next_business_day("CA-ON", open_) == open_
        assert calendar.next_business_day("CA-QC", closed) == closed
        assert [each.day for each in calendar.year(TaxPlace("CA", "CA-ON"), 2026)].count(open_) == 0

    def test_takes_a_provinces_entry_before_its_countrys(self) -> None:
        day = date(2026, 3, 16)
        calendar = BusinessCalendar([own(day, affects=False), own(day, province=None)])
        assert calendar.is_business_day("CA-ON", day)
        assert not calendar.is_business_day("CA-AB", day)

    def test_gives_up_after_a_year_of_holidays(self) -> None:
        always = [own(date.fromordinal(date(2026, 1, 1).toordinal() + each)) for each in range(400)]
        with pytest.raises(NoBusinessDay):
            BusinessCalendar(always).next_business_day("CA-ON", date(2026, 1, 1))

    @pytest.mark.parametrize("day", [date(1989, 12, 31), date(9999, 12, 31)])
    def test_refuses_years_that_nobody_worked_out(self, day: date) -> None:
        with pytest.raises(InvalidInput):
            BusinessCalendar().next_business_day("CA-ON", day)


class TestHoliday:
    def test_is_told_when_it_is_added(self) -> None:
        command = AddHoliday(country="CA", province="CA-ON", day=date(2026, 3, 16), name=" Stocktaking ")
        holiday = Holiday.add(command, WORK)
        assert holiday.name == "Stocktaking"
        assert [type(each.event) for each in holiday.release_events()] == [HolidayAdded]

    @pytest.mark.parametrize("name", ["", "x" * 256])
    def test_has_a_name_that_can_be_read(self, name: str) -> None:
        with pytest.raises(InvalidInput):
            Holiday.add(AddHoliday(country="CA", day=date(2026, 3, 16), name=name), WORK)
