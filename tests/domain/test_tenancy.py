from datetime import UTC, date, datetime, time
from decimal import Decimal
from math import isclose

import pytest

from domain.identity.roles import Role
from domain.kernel import (
    ConcurrentModification,
    Forbidden,
    InvalidInput,
    InvalidStateTransition,
    NotFound,
    Principal,
    Work,
    uuid7,
)
from domain.tenancy import (
    STORES_OF_TIER,
    ActivateStore,
    CreateStore,
    CreateTenant,
    GeoLocation,
    LicenceExpired,
    OpeningSpan,
    Store,
    StoreLimitReached,
    StoreSetting,
    StoreStatus,
    SubscriptionPeriod,
    SubscriptionTier,
    SuspensionCause,
    Tenant,
    TenantStatus,
    UpdateStore,
    UpdateTenant,
    activate_store,
    bounding_box,
    check_hours,
    create_tenant,
    distance_km,
    is_open,
    rules,
)
from domain.tenancy.staff import StaffRole

NOW = datetime(2026, 3, 14, 15, 9, 26, tzinfo=UTC)
TORONTO = GeoLocation(43.6532, -79.3832)
VANCOUVER = GeoLocation(49.2827, -123.1207)
OTTAWA = GeoLocation(45.4215, -75.6972)
NINE, SEVENTEEN = time(9), time(17)


def tenant(**details: object) -> Tenant:
    return Tenant.create("maple", SubscriptionTier.STANDARD, CreateTenant(code="maple", name="Maple Goods", **details))


def store(**details: object) -> Store:
    command = CreateStore(code="S001", name="Queen Street", **details)
    made = Store.create(uuid7(), command.code, command, {"timezone": "America/Toronto"})
    made.release_events()
    return made


def names(aggregate) -> list[str]:
    return [recorded.event.name for recorded in aggregate.release_events()]


class TestTenant:
    def test_begins_on_trial_and_owns_itself(self):
        made = tenant()
        assert (made.status, made.tenant_id, made.max_stores, made.currency) == (TenantStatus.TRIAL, made.id, 5, "CAD")
        assert names(made) == ["tenancy.tenant_created"]

    def test_becomes_active_by_subscribing(self):
        made = tenant()
        made.subscribe(SubscriptionTier.PROFESSIONAL, SubscriptionPeriod.YEAR, None, None)
        assert (made.status, made.max_stores) == (TenantStatus.ACTIVE, STORES_OF_TIER[SubscriptionTier.PROFESSIONAL])

    def test_stays_suspended_when_it_subscribes(self):
        made = tenant()
        made.suspend("unpaid")
        made.subscribe(SubscriptionTier.STARTER, SubscriptionPeriod.MONTH, None, 3)
        assert (made.status, made.max_stores) == (TenantStatus.SUSPENDED, 3)

    def test_is_writable_only_on_trial_and_while_active(self):
        made = tenant()
        assert made.is_writable
        made.suspend("unpaid")
        assert not made.is_writable
        made.reactivate()
        assert made.is_writable
        made.cancel("moved away")
        assert not made.is_writable

    @pytest.mark.parametrize("change", ["suspend", "cancel"])
    def test_leaves_the_cancelled_state_never(self, change):
        made = tenant()
        made.cancel("moved away")
        version = made.version
        with pytest.raises(InvalidStateTransition):
            getattr(made, change)("again")
        with pytest.raises(InvalidStateTransition):
            made.reactivate()
        with pytest.raises(InvalidStateTransition):
            made.subscribe(SubscriptionTier.STARTER, SubscriptionPeriod.MONTH, None, None)
        assert (made.status, made.version) == (TenantStatus.CANCELLED, version)

    def test_is_not_reactivated_on_trial(self):
        made = tenant()
        with pytest.raises(InvalidStateTransition):
            made.reactivate()
        assert made.status is TenantStatus.TRIAL

    def test_needs_a_reason_to_be_suspended(self):
        made = tenant()
        with pytest.raises(InvalidInput) as refusal:
            made.suspend("  ")
        assert (refusal.value.field, made.status) == ("reason", TenantStatus.TRIAL)

    def test_has_room_up_to_its_limit(self):
        made = tenant()
        made.require_room(4)
        with pytest.raises(StoreLimitReached) as refusal:
            made.require_room(5)
        assert refusal.value.max_stores == 5

    def test_changes_what_is_mentioned_and_clears_what_is_null(self):
        made = tenant(website="https://maple.example", company_name="Maple Inc.")
        made.update(UpdateTenant(id=made.id, name="Maple", website=None))
        assert (made.name, made.website, made.company_name) == ("Maple", None, "Maple Inc.")
        assert made.release_events()[-1].event.fields == ("name", "website")

    @pytest.mark.parametrize(
        ("field", "value"),
        [
            ("name", ""),
            ("name", None),
            ("name", "a\x00b"),
            ("name", "\ud800"),
            ("name", "x" * 256),
            ("currency", "XYZ"),
            ("currency", None),
            ("locale", "english"),
            ("timezone", "Mars/Olympus"),
            ("contact_email", "nobody"),
            ("website", "javascript:alert(1)"),
        ],
    )
    def test_refuses_a_value_that_no_rule_accepts(self, field, value):
        made = tenant()
        before = (made.name, made.currency, made.version)
        with pytest.raises(InvalidInput) as refusal:
            made.update(UpdateTenant(id=made.id, **{field: value}))
        assert refusal.value.field == rules.camel(field)
        assert (made.name, made.currency, made.version) == before

    @pytest.mark.parametrize("code", ["", "Maple", "-maple", "maple_goods", "m" * 51, "ма́пл"])
    def test_refuses_a_code_that_no_header_could_carry(self, code):
        with pytest.raises(InvalidInput):
            Tenant.create(code, SubscriptionTier.STARTER, CreateTenant(code=code, name="Maple"))


class TestStore:
    def test_begins_inactive(self):
        made = store()
        assert (made.status, made.tax_rate, made.ecommerce_enabled) == (StoreStatus.INACTIVE, Decimal(0), True)

    def test_opens_with_a_licence_that_runs_out_today(self):
        made = store(licence_expiry=date(2026, 3, 14))
        made.activate(date(2026, 3, 14))
        assert made.status is StoreStatus.ACTIVE

    def test_refuses_to_open_the_day_after(self):
        made = store(licence_expiry=date(2026, 3, 14))
        with pytest.raises(LicenceExpired) as refusal:
            made.activate(date(2026, 3, 15))
        assert (refusal.value.store_code, made.status, made.version) == ("S001", StoreStatus.INACTIVE, 1)

    def test_counts_days_where_it_is(self):
        assert store().today(datetime(2026, 3, 15, 3, 0, tzinfo=UTC)) == date(2026, 3, 14)

    def test_refuses_to_open_twice(self):
        made = store()
        made.activate(NOW.date())
        with pytest.raises(InvalidStateTransition):
            made.activate(NOW.date())
        assert made.status is StoreStatus.ACTIVE

    def test_opens_again_when_its_tenant_does(self):
        made = store()
        made.activate(NOW.date())
        made.suspend(SuspensionCause.TENANT)
        made.lift_tenant_suspension(NOW)
        assert (made.status, made.suspended_for) == (StoreStatus.ACTIVE, None)

    def test_stays_closed_when_the_licence_ran_out_meanwhile(self):
        made = store(licence_expiry=date(2026, 3, 13))
        made.activate(date(2026, 3, 1))
        made.suspend(SuspensionCause.TENANT)
        made.lift_tenant_suspension(NOW)
        assert (made.status, made.suspended_for) == (StoreStatus.SUSPENDED, SuspensionCause.LICENCE)

    def test_is_not_opened_by_its_tenant_when_the_licence_stopped_it(self):
        made = store()
        made.activate(NOW.date())
        made.suspend(SuspensionCause.LICENCE)
        made.lift_tenant_suspension(NOW)
        assert made.status is StoreStatus.SUSPENDED

    def test_moves_and_loses_its_place(self):
        made = store(location=TORONTO)
        assert made.location == TORONTO
        made.update(UpdateStore(id=made.id, location=None))
        assert (made.location, made.latitude) == (None, None)

    @pytest.mark.parametrize(
        ("field", "value"),
        [
            ("tax_rate", Decimal(1)),
            ("tax_rate", Decimal("-0.01")),
            ("tax_rate", Decimal("NaN")),
            ("tax_rate", Decimal("0.1234567")),
            ("delivery_radius_km", 1_001),
            ("delivery_radius_km", None),
            ("pickup_enabled", None),
            ("timezone", "../etc/passwd"),
        ],
    )
    def test_refuses_a_value_that_no_rule_accepts(self, field, value):
        made = store()
        with pytest.raises(InvalidInput) as refusal:
            made.update(UpdateStore(id=made.id, **{field: value}))
        assert (refusal.value.field, made.version) == (rules.camel(field), 1)


class TestHours:
    def test_are_local_across_a_change_of_the_clocks(self):
        week = check_hours([OpeningSpan(7, NINE, SEVENTEEN)])
        # In Toronto 2026-03-08 is the Sunday on which clocks go from UTC-5 to UTC-4.
        assert not is_open(week, "America/Toronto", datetime(2026, 3, 8, 12, 59, tzinfo=UTC))
        assert is_open(week, "America/Toronto", datetime(2026, 3, 8, 13, 0, tzinfo=UTC))
        assert is_open(week, "America/Toronto", datetime(2026, 3, 1, 21, 59, tzinfo=UTC))
        assert not is_open(week, "America/Toronto", datetime(2026, 3, 1, 22, 0, tzinfo=UTC))

    def test_run_past_midnight_into_the_next_week(self):
        week = check_hours([OpeningSpan(7, time(20), time(2))])
        assert is_open(week, "UTC", datetime(2026, 3, 9, 1, 59, tzinfo=UTC))
        assert not is_open(week, "UTC", datetime(2026, 3, 9, 2, 0, tzinfo=UTC))

    def test_may_meet_but_not_overlap(self):
        check_hours([OpeningSpan(1, NINE, SEVENTEEN), OpeningSpan(1, SEVENTEEN, time(20))])
        with pytest.raises(InvalidInput):
            check_hours([OpeningSpan(1, NINE, SEVENTEEN), OpeningSpan(1, time(16), time(20))])
        with pytest.raises(InvalidInput):
            check_hours([OpeningSpan(7, time(20), time(2)), OpeningSpan(1, time(1), time(3))])

    def test_refuse_a_day_that_no_week_has(self):
        with pytest.raises(InvalidInput):
            OpeningSpan(8, NINE, SEVENTEEN)

    def test_may_be_round_the_clock(self):
        assert is_open(check_hours([OpeningSpan(1, time(), time())]), "UTC", datetime(2026, 3, 9, 23, 59, tzinfo=UTC))


class TestDistance:
    def test_agrees_with_published_great_circles(self):
        assert isclose(distance_km(TORONTO, VANCOUVER), 3_358, abs_tol=5)
        assert isclose(distance_km(TORONTO, OTTAWA), 352, abs_tol=2)
        assert distance_km(TORONTO, TORONTO) == 0

    def test_of_antipodes_is_half_the_globe(self):
        assert isclose(distance_km(GeoLocation(0, 0), GeoLocation(0, 180)), 20_015.1, abs_tol=0.1)

    def test_box_holds_the_circle(self):
        box = bounding_box(TORONTO, 360)
        assert box.south < OTTAWA.latitude < box.north
        assert box.west < OTTAWA.longitude < box.east

    def test_box_wraps_round_the_date_line(self):
        box = bounding_box(GeoLocation(0, 179.9), 50)
        assert box.crosses_date_line
        assert isclose(box.east, -179.65, abs_tol=0.01)

    def test_box_at_a_pole_meets_every_meridian(self):
        box = bounding_box(GeoLocation(89.9, 10), 100)
        assert (box.north, box.west, box.east) == (90.0, -180.0, 180.0)

    @pytest.mark.parametrize("radius", [0, -1, float("nan"), 1_001])
    def test_refuses_a_radius_that_makes_no_circle(self, radius):
        with pytest.raises(InvalidInput):
            bounding_box(TORONTO, radius)

    @pytest.mark.parametrize("point", [(91, 0), (0, 181), (float("nan"), 0), (float("inf"), 0)])
    def test_refuses_a_point_off_the_globe(self, point):
        with pytest.raises(InvalidInput):
            GeoLocation(*point)


class TestHost:
    @pytest.mark.parametrize(
        ("typed", "kept"),
        [
            ("Shop.Example.COM.", "shop.example.com"),
            ("магазин.рф", "xn--80aairftm.xn--p1ai"),
            ("localhost", "localhost"),
        ],
    )
    def test_is_compared_in_one_form(self, typed, kept):
        assert rules.host("hosts", typed) == kept

    @pytest.mark.parametrize(
        "typed", ["", "a b", "shop.example.com:8000", "-shop.example", "x" * 64 + ".example", "a..b"]
    )
    def test_refuses_what_names_no_host(self, typed):
        with pytest.raises(InvalidInput):
            rules.host("hosts", typed)


class Backwards:
    def encrypt(self, text: str, place: str) -> str:
        return f"{place}|{text[::-1]}"

    def decrypt(self, sealed: str, place: str) -> str:
        return sealed.removeprefix(f"{place}|")[::-1]

    def rotate(self, sealed: str, place: str) -> str:
        return sealed


class TestStoreSetting:
    def test_keeps_a_secret_only_sealed(self):
        setting = StoreSetting.blank(uuid7(), uuid7(), "stripe.secret_key")
        setting.put("sk_live_1", "payments", Backwards())
        assert (setting.value, setting.is_encrypted) == (None, True)
        assert setting.reveal(Backwards()) == "sk_live_1"
        assert "sk_live_1" not in repr(setting.release_events())

    def test_forgets_the_secret_when_it_becomes_plain(self):
        setting = StoreSetting.blank(uuid7(), None, "greeting")
        setting.put("hidden", "general", Backwards())
        setting.put("Hello", "general", None)
        assert (setting.value, setting.sealed, setting.is_encrypted) == ("Hello", None, False)


class FakeStores:
    def __init__(self, *stores: Store) -> None:
        self.kept = {each.id: each for each in stores}

    async def get(self, store_id):
        return self.kept.get(store_id)


class FakeTenants:
    def __init__(self) -> None:
        self.kept, self.hosts = {}, {}

    async def add(self, new):
        self.kept[new.id] = new

    async def code_exists(self, code):
        return any(each.code == code for each in self.kept.values())

    async def hosts_of_others(self, new, hosts):
        return []

    async def replace_hosts(self, new, hosts):
        self.hosts[new.id] = hosts


def work_of(**principal: object) -> Work:
    return Work(tenant_id=uuid7(), actor=Principal(user_id=uuid7(), **principal), now=NOW, correlation_id="test")


class TestHandlers:
    async def test_store_of_others_answers_like_none(self):
        mine = store()
        stores = FakeStores(mine)
        with pytest.raises(NotFound) as elsewhere:
            await activate_store(ActivateStore(id=mine.id), work_of(permissions=frozenset({"tenancy.manage"})), stores)
        assert elsewhere.value.message == f"Store {mine.id} does not exist."
        assert mine.status is StoreStatus.INACTIVE

    async def test_stale_version_is_refused(self):
        mine = store()
        work = work_of(store_ids=frozenset({mine.id}))
        with pytest.raises(ConcurrentModification):
            await activate_store(ActivateStore(id=mine.id, expected_version=7), work, FakeStores(mine))
        assert mine.status is StoreStatus.INACTIVE

    async def test_only_the_platform_makes_tenants(self):
        tenants = FakeTenants()
        command = CreateTenant(code="maple", name="Maple", hosts=("Maple.Example", "maple.example"))
        with pytest.raises(Forbidden):
            await create_tenant(command, work_of(permissions=frozenset({"tenancy.manage"})), tenants)
        assert tenants.kept == {}
        made = await create_tenant(command, work_of(permissions=frozenset({"tenancy.platform"})), tenants)
        assert tenants.hosts == {made.id: ["maple.example"]}


class TestStaffRoles:
    def test_are_the_roles_of_identity_that_somebody_can_be_employed_in(self) -> None:
        others = {Role.BUYER, Role.SUPER_ADMIN}
        assert {str(each) for each in StaffRole} == {str(each) for each in set(Role) - others}
