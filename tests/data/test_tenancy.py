import asyncio
from dataclasses import replace
from datetime import UTC, date, datetime
from itertools import count

import pytest
from sqlalchemy import text
from sqlalchemy.exc import ProgrammingError

from data.encryption import AesCipher, SecretUnreadable
from data.tenancy import SqlPlatform
from data.transactions import SqlTransactions
from domain.kernel import (
    AlreadyExists,
    ConcurrentModification,
    InvalidInput,
    NotFound,
    Principal,
    TenantReadOnly,
    Work,
    uuid7,
)
from domain.paging import PageRequest
from domain.tenancy import (
    ActivateStore,
    Assignment,
    Assignments,
    Cipher,
    CreateStore,
    CreateTenant,
    GeoLocation,
    ProvinceReads,
    ReactivateTenant,
    ResealSettings,
    SetStoreSetting,
    StaffReads,
    StaffRole,
    StoreFilter,
    StoreLimitReached,
    StoreReads,
    Stores,
    StoreSettingReads,
    StoreSettings,
    StoreStatus,
    SuspendExpiredStores,
    SuspendTenant,
    SuspensionCause,
    TenantFilter,
    TenantReads,
    TenantStatus,
    UpdateStore,
    UpdateTenant,
    activate_store,
    create_store,
    create_tenant,
    reactivate_tenant,
    reseal_settings,
    set_store_setting,
    suspend_expired_stores,
    suspend_tenant,
    update_store,
    update_tenant,
)

NOW = datetime(2026, 3, 14, 15, 9, 26, tzinfo=UTC)
TORONTO = GeoLocation(43.6532, -79.3832)
OTTAWA = GeoLocation(45.4215, -75.6972)
HAMILTON = GeoLocation(43.2557, -79.8711)
KEY, OLD_KEY = bytes(range(32)), bytes(range(32, 64))


@pytest.fixture
def platform(database):
    return SqlPlatform(database)


@pytest.fixture
def governor():
    return Principal(user_id=uuid7(), permissions=frozenset({"tenancy.platform"}))


@pytest.fixture
def govern(platform, governor):
    async def run(handler, command, about=None, key=None):
        about = about or getattr(command, "id", None) or uuid7()
        work = Work(tenant_id=about, actor=governor, now=NOW, correlation_id="test")
        return await platform.transactions.run(handler, command, work, idempotency_key=key)

    return run


@pytest.fixture
def make_store(transactions, work):
    async def make(code="S001", *, active=False, **details):
        store = await transactions.run(create_store, CreateStore(code=code, name=f"Store {code}", **details), work)
        if active:
            store = await transactions.run(activate_store, ActivateStore(id=store.id), work)
        return store

    return make


@pytest.fixture
def other_work(make_tenant):
    tenant_id = make_tenant()
    actor = Principal(user_id=uuid7(), tenant_id=tenant_id, permissions=frozenset({"*"}))
    return Work(tenant_id=tenant_id, actor=actor, now=NOW, correlation_id="test")


async def events_of(database, aggregate_id):
    async with database.session(None) as session:
        rows = await session.execute(
            text("SELECT name FROM platform.event_log WHERE aggregate_id = :id ORDER BY version"), {"id": aggregate_id}
        )
        return [row.name for row in rows]


class TestProvinces:
    async def test_are_the_same_for_everybody(self, database):
        reads = database.reads(None)
        rows = await reads.port(ProvinceReads).all("CA")
        quebec = next(row for row in rows if row.code == "CA-QC")
        nowhere = await reads.port(ProvinceReads).all("FR")
        await reads.close()
        assert (len(rows), quebec.minimum_age, str(quebec.default_tax), nowhere) == (13, 21, "0.14975", [])


class TestSuspension:
    async def test_leaves_a_tenant_readable_and_refuses_every_change(
        self, make_store, transactions, work, govern, database
    ):
        store = await make_store(active=True)
        await govern(suspend_tenant, SuspendTenant(id=work.tenant_id, reason="unpaid"))
        with pytest.raises(TenantReadOnly) as refusal:
            await transactions.run(update_store, UpdateStore(id=store.id, name="Renamed"), work)
        reads = database.reads(work.tenant_id)
        (row,) = await reads.port(StoreReads).by_id([store.id])
        await reads.close()
        assert refusal.value.tenant_id == str(work.tenant_id)
        assert (row.name, row.status, row.suspended_for) == ("Store S001", "suspended", "tenant")

    async def test_is_lifted_with_the_stores_that_it_stopped(self, make_store, govern, transactions, work, database):
        opened, closed = await make_store("OPEN", active=True), await make_store("CLOSED")
        await govern(suspend_tenant, SuspendTenant(id=work.tenant_id, reason="unpaid"))
        await govern(reactivate_tenant, ReactivateTenant(id=work.tenant_id))
        reads = database.reads(work.tenant_id)
        rows = await reads.port(StoreReads).by_id([opened.id, closed.id])
        await reads.close()
        assert [row.status for row in rows] == ["active", "inactive"]
        assert await events_of(database, opened.id) == [
            "tenancy.store_created",
            "tenancy.store_activated",
            "tenancy.store_suspended",
            "tenancy.store_activated",
        ]
        await transactions.run(update_store, UpdateStore(id=opened.id, name="Renamed"), work)

    @pytest.mark.parametrize("status", ["suspended", "cancelled"])
    async def test_holds_from_the_first_statement(self, make_tenant, transactions, work, status):
        tenant_id = make_tenant(status)
        with pytest.raises(TenantReadOnly):
            await transactions.run(create_store, CreateStore(code="S1", name="One"), replace(work, tenant_id=tenant_id))

    async def test_holds_for_a_tenant_that_never_was(self, transactions, work):
        with pytest.raises(TenantReadOnly):
            await transactions.run(create_store, CreateStore(code="S1", name="One"), replace(work, tenant_id=uuid7()))

    async def test_waits_for_changes_that_have_begun(self, make_store, govern, transactions, work, database):
        store = await make_store(active=True)
        begun, finish = asyncio.Event(), asyncio.Event()

        async def slow(command: UpdateStore, stores: Stores) -> None:
            begun.set()
            await finish.wait()
            found = await stores.get(command.id)
            found.update(command)

        change = asyncio.create_task(transactions.run(slow, UpdateStore(id=store.id, name="Renamed"), work))
        await begun.wait()
        suspension = asyncio.create_task(govern(suspend_tenant, SuspendTenant(id=work.tenant_id, reason="unpaid")))
        done, _ = await asyncio.wait({suspension}, timeout=0.3)
        assert not done
        finish.set()
        await asyncio.gather(change, suspension)
        reads = database.reads(work.tenant_id)
        (row,) = await reads.port(StoreReads).by_id([store.id])
        await reads.close()
        assert (row.name, row.status) == ("Renamed", "suspended")

    async def test_ends_all_changes_even_in_a_race(self, make_store, govern, transactions, work, database):
        stores = [await make_store(f"S{number}") for number in range(8)]
        at_work = [asyncio.Event() for _ in stores]

        async def keep_changing(store, begun):
            for number in count():
                await transactions.run(update_store, UpdateStore(id=store.id, name=f"Name {number}"), work)
                begun.set()

        writers = [asyncio.create_task(keep_changing(*each)) for each in zip(stores, at_work, strict=True)]
        await asyncio.gather(*(begun.wait() for begun in at_work))
        await govern(suspend_tenant, SuspendTenant(id=work.tenant_id, reason="unpaid"))
        reads = database.reads(work.tenant_id)
        at_suspension = [row.version for row in await reads.port(StoreReads).by_id([store.id for store in stores])]
        await reads.close()
        outcomes = await asyncio.gather(*writers, return_exceptions=True)
        afterwards = [row.version for row in await reads.port(StoreReads).by_id([store.id for store in stores])]
        await reads.close()
        assert [type(outcome) for outcome in outcomes] == [TenantReadOnly] * len(stores)
        assert min(at_suspension) > 1
        assert afterwards == at_suspension

    async def test_cannot_be_lifted_by_the_tenant_itself(self, database, work):
        for column, value in (("status", "'active'"), ("max_stores", "9999"), ("subscription_tier", "'enterprise'")):
            with pytest.raises(ProgrammingError, match="permission denied"):
                async with database.session(work.tenant_id) as session:
                    await session.execute(text(f"UPDATE tenancy.tenant SET {column} = {value}"))

    async def test_refuses_a_stale_version(self, govern, work, database):
        with pytest.raises(ConcurrentModification):
            await govern(suspend_tenant, SuspendTenant(id=work.tenant_id, reason="unpaid", expected_version=7))
        assert await events_of(database, work.tenant_id) == []


class TestTenants:
    async def test_are_taken_on_with_their_hosts(self, govern, platform, database):
        code = f"maple-{uuid7().hex}"
        made = await govern(create_tenant, CreateTenant(code=code, name="Maple", hosts=(f"{code[:40]}.example",)))
        (row,) = await platform.read(TenantReads).by_host([f"{code[:40]}.example"])
        assert (row.id, row.code, row.status, row.version) == (made.id, code, "trial", 1)
        assert await events_of(database, made.id) == ["tenancy.tenant_created"]

    async def test_are_taken_on_once_for_one_key(self, govern):
        command, about = CreateTenant(code=f"t{uuid7().hex}", name="Maple"), uuid7()
        first = await govern(create_tenant, command, about, key="once")
        again = await govern(create_tenant, command, about, key="once")
        assert (again.id, again.code, again.status) == (first.id, first.code, first.status)

    async def test_have_codes_of_their_own(self, govern):
        command = CreateTenant(code=f"t{uuid7().hex}", name="Maple")
        await govern(create_tenant, command)
        with pytest.raises(AlreadyExists) as refusal:
            await govern(create_tenant, command)
        assert (refusal.value.kind, refusal.value.value) == ("Tenant", command.code)

    async def test_share_no_host(self, govern, platform):
        host = f"{uuid7().hex}.example"
        first = await govern(create_tenant, CreateTenant(code=f"t{uuid7().hex}", name="First", hosts=(host,)))
        code = f"t{uuid7().hex}"
        with pytest.raises(AlreadyExists) as refusal:
            await govern(create_tenant, CreateTenant(code=code, name="Second", hosts=(host,)))
        assert (refusal.value.kind, refusal.value.value) == ("Host", host)
        assert await platform.read(TenantReads).by_code([code]) == [None]
        assert (await platform.read(TenantReads).by_host([host]))[0].id == first.id

    async def test_see_nobody_but_themselves(self, database, work, other_work):
        reads = database.reads(work.tenant_id)
        rows = await reads.port(TenantReads).by_id([work.tenant_id, other_work.tenant_id])
        page = await reads.port(TenantReads).tenants(TenantFilter(), PageRequest(first=10))
        await reads.close()
        assert [row and row.id for row in rows] == [work.tenant_id, None]
        assert [row.id for row in page.nodes] == [work.tenant_id]

    async def test_of_others_answer_like_none(self, transactions, work, other_work, platform):
        command = UpdateTenant(id=other_work.tenant_id, name="Taken over")
        with pytest.raises(NotFound) as refusal:
            await transactions.run(update_tenant, command, work)
        missing = uuid7()
        with pytest.raises(NotFound) as never:
            await transactions.run(update_tenant, replace(command, id=missing), work)
        (row,) = await platform.read(TenantReads).by_id([other_work.tenant_id])
        assert refusal.value.message.replace(command.id.hex, "") == f"Tenant {command.id} does not exist."
        assert never.value.message == f"Tenant {missing} does not exist."
        assert row.name == "A tenant"

    async def test_are_listed_by_the_platform_alone(self, platform, make_tenant, database, work):
        code = f"zz{uuid7().hex}"
        cancelled = make_tenant("cancelled", code)
        wanted = TenantFilter(status=TenantStatus.CANCELLED)
        page = await platform.read(TenantReads).tenants(wanted, PageRequest(last=1))
        reads = database.reads(work.tenant_id)
        own = await reads.port(TenantReads).tenants(wanted, PageRequest(last=1))
        await reads.close()
        assert [row.id for row in page.nodes] == [cancelled]
        assert await page.count() >= 1
        assert own.nodes == []


class TestStores:
    async def test_take_timezone_and_tax_from_their_province(self, make_store):
        store = await make_store(province_code="CA-NL")
        assert (store.timezone, str(store.tax_rate)) == ("America/St_Johns", "0.15000")

    async def test_keep_what_they_were_told(self, make_store):
        store = await make_store(province_code="CA-NL", timezone="UTC")
        assert store.timezone == "UTC"

    async def test_refuse_a_province_that_is_none(self, make_store, database, work):
        with pytest.raises(InvalidInput) as refusal:
            await make_store(province_code="CA-XX")
        reads = database.reads(work.tenant_id)
        assert await reads.port(StoreReads).by_code(["S001"]) == [None]
        await reads.close()
        assert refusal.value.field == "provinceCode"

    async def test_have_codes_of_their_own_in_one_tenant(self, make_store, transactions, other_work):
        await make_store("S001")
        with pytest.raises(AlreadyExists) as refusal:
            await make_store("S001")
        await transactions.run(create_store, CreateStore(code="S001", name="Elsewhere"), other_work)
        assert (refusal.value.kind, refusal.value.value) == ("Store", "S001")

    async def test_of_another_tenant_answer_like_none(self, make_store, transactions, other_work, database):
        store = await make_store()
        command = UpdateStore(id=store.id, name="Taken over")
        with pytest.raises(NotFound) as refusal:
            await transactions.run(update_store, command, other_work)
        reads = database.reads(other_work.tenant_id)
        assert await reads.port(StoreReads).by_id([store.id]) == [None]
        await reads.close()
        assert refusal.value.message == f"Store {store.id} does not exist."
        assert await events_of(database, store.id) == ["tenancy.store_created"]

    async def test_never_exceed_the_limit_in_a_race(self, make_tenant, govern, transactions, work, database):
        tenant_id = (await govern(create_tenant, CreateTenant(code=f"t{uuid7().hex}", name="Small"))).id
        work = replace(work, tenant_id=tenant_id)
        results = await asyncio.gather(
            *(transactions.run(create_store, CreateStore(code=f"S{n}", name="One"), work) for n in range(6)),
            return_exceptions=True,
        )
        refusals = [each for each in results if isinstance(each, StoreLimitReached)]
        reads = database.reads(tenant_id)
        page = await reads.port(StoreReads).stores(StoreFilter(), PageRequest(first=10))
        await reads.close()
        assert (len(refusals), len(page.nodes), refusals[0].max_stores) == (5, 1, 1)

    async def test_are_found_by_distance(self, make_store, database, work):
        await make_store("TORONTO", active=True, location=TORONTO)
        await make_store("HAMILTON", active=True, location=HAMILTON)
        await make_store("OTTAWA", active=True, location=OTTAWA)
        await make_store("CLOSED", location=TORONTO)
        await make_store("NOWHERE", active=True)
        reads = database.reads(work.tenant_id)
        near = await reads.port(StoreReads).nearby(TORONTO, 100, 10)
        all_three = await reads.port(StoreReads).nearby(TORONTO, 400, 10)
        nearest = await reads.port(StoreReads).nearby(OTTAWA, 1_000, 1)
        statements = reads.statements
        await reads.close()
        assert [(row.code, round(row.distance_km)) for row in near] == [("TORONTO", 0), ("HAMILTON", 59)]
        assert [row.code for row in all_three] == ["TORONTO", "HAMILTON", "OTTAWA"]
        assert [row.code for row in nearest] == ["OTTAWA"]
        assert statements == 3

    async def test_are_found_across_the_date_line(self, make_store, database, work):
        await make_store("FIJI", active=True, location=GeoLocation(-17.0, -179.9))
        reads = database.reads(work.tenant_id)
        rows = await reads.port(StoreReads).nearby(GeoLocation(-17.0, 179.9), 50, 10)
        await reads.close()
        assert [(row.code, round(row.distance_km)) for row in rows] == [("FIJI", 21)]

    async def test_are_stopped_when_their_licence_runs_out(self, make_store, transactions, work, database):
        late = await make_store("LATE", active=True, licence_expiry=date(2026, 3, 14))
        fine = await make_store("FINE", active=True, licence_expiry=date(2026, 3, 16))
        tomorrow = replace(work, now=datetime(2026, 3, 15, 15, 0, tzinfo=UTC))
        assert await transactions.run(suspend_expired_stores, SuspendExpiredStores(), work) == 0
        assert await transactions.run(suspend_expired_stores, SuspendExpiredStores(), tomorrow) == 1
        reads = database.reads(work.tenant_id)
        rows = await reads.port(StoreReads).by_id([late.id, fine.id])
        due = await reads.port(StoreReads).stores(
            StoreFilter(licence_expires_before=date(2026, 3, 15)), PageRequest(first=10)
        )
        await reads.close()
        assert [(row.status, row.suspended_for) for row in rows] == [
            (StoreStatus.SUSPENDED, SuspensionCause.LICENCE),
            (StoreStatus.ACTIVE, None),
        ]
        assert [row.code for row in due.nodes] == ["LATE"]


class TestStoreSettings:
    @pytest.fixture
    def sealing(self, database):
        return SqlTransactions(database, {Cipher: AesCipher([KEY])})

    async def test_are_stored_sealed_and_read_without_their_value(self, sealing, make_store, work, database):
        store = await make_store()
        command = SetStoreSetting(store_id=store.id, key="stripe", value="sk_live_1", is_encrypted=True)
        kept = await sealing.run(set_store_setting, command, work, idempotency_key="once")
        async with database.session(None) as session:
            everything = (
                await session.execute(
                    text(
                        "SELECT row_to_json(s)::text FROM tenancy.store_setting s WHERE id = :id UNION ALL "
                        "SELECT row_to_json(e)::text FROM platform.event_log e WHERE aggregate_id = :id UNION ALL "
                        "SELECT row_to_json(k)::text FROM platform.idempotency_key k WHERE tenant_id = :tenant"
                    ),
                    {"id": kept.id, "tenant": work.tenant_id},
                )
            ).all()
        reads = database.reads(work.tenant_id)
        (row,) = await reads.port(StoreSettingReads).of_store(store.id, None)
        await reads.close()
        assert len(everything) == 3
        assert not [each for each in everything if "sk_live_1" in each[0]]
        assert (row.value, row.is_encrypted, hasattr(row, "sealed")) == (None, True, False)
        assert kept.reveal(AesCipher([KEY])) == "sk_live_1"

    async def test_are_replaced_under_their_key(self, sealing, work, database):
        for value in ("Hello", "Welcome"):
            await sealing.run(set_store_setting, SetStoreSetting(store_id=None, key="greeting", value=value), work)
        reads = database.reads(work.tenant_id)
        rows = await reads.port(StoreSettingReads).of_store(None, "general")
        await reads.close()
        assert [(row.key, row.value, row.version) for row in rows] == [("greeting", "Welcome", 2)]

    async def test_are_made_new_once(self, sealing, work):
        command = SetStoreSetting(store_id=None, key="greeting", value="Hello", expected_version=0)
        await sealing.run(set_store_setting, command, work)
        with pytest.raises(ConcurrentModification):
            await sealing.run(set_store_setting, command, work)

    async def test_are_sealed_anew_when_the_key_changes(self, database, work):
        old = SqlTransactions(database, {Cipher: AesCipher([OLD_KEY])})
        await old.run(
            set_store_setting, SetStoreSetting(store_id=None, key="a", value="secret", is_encrypted=True), work
        )
        both = SqlTransactions(database, {Cipher: AesCipher([KEY, OLD_KEY])})
        assert await both.run(reseal_settings, ResealSettings(), work) == 1
        assert await both.run(reseal_settings, ResealSettings(), work) == 0

        async def reveal(command: str, settings: StoreSettings, cipher: Cipher) -> str:
            return (await settings.find(None, command)).reveal(cipher)

        assert await SqlTransactions(database, {Cipher: AesCipher([KEY])}).run(reveal, "a", work) == "secret"


class TestAesCipher:
    def test_opens_what_it_sealed_and_never_seals_twice_alike(self):
        cipher = AesCipher([KEY])
        first, second = cipher.encrypt("пароль", "here"), cipher.encrypt("пароль", "here")
        assert cipher.decrypt(first, "here") == cipher.decrypt(second, "here") == "пароль"
        assert first != second

    def test_opens_nothing_in_another_place(self):
        cipher = AesCipher([KEY])
        with pytest.raises(SecretUnreadable):
            cipher.decrypt(cipher.encrypt("secret", "here"), "there")

    @pytest.mark.parametrize(
        "spoil", [lambda s: s[:-4] + "AAA=", lambda s: s[:20], lambda s: "", lambda s: "v9" + s[2:]]
    )
    def test_opens_nothing_that_was_altered(self, spoil):
        cipher = AesCipher([KEY])
        with pytest.raises(SecretUnreadable):
            cipher.decrypt(spoil(cipher.encrypt("secret", "here")), "here")

    def test_opens_nothing_without_its_key(self):
        with pytest.raises(SecretUnreadable):
            AesCipher([KEY]).decrypt(AesCipher([OLD_KEY]).encrypt("secret", "here"), "here")

    def test_refuses_a_short_key(self):
        with pytest.raises(ValueError, match="32 bytes"):
            AesCipher([b"short"])


class TestAssignments:
    async def test_are_read_by_store_in_one_statement(self, make_store, transactions, work, database):
        stores = [await make_store(f"S{n}") for n in range(3)]

        async def assign(command: str, work: Work, assignments: Assignments) -> None:
            for store in stores[:2]:
                assignment = Assignment(tenant_id=work.tenant_id, store_id=store.id, user_id=uuid7())
                await assignments.add(assignment)
                assignment.put(StaffRole.SELLER)

        await transactions.run(assign, "", work)
        reads = database.reads(work.tenant_id)
        groups = await reads.port(StaffReads).of_stores([store.id for store in stores])
        statements = reads.statements
        await reads.close()
        assert [len(rows) for rows in groups] == [1, 1, 0]
        assert statements == 1
