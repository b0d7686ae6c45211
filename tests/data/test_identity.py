"""Identity on a real PostgreSQL."""

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import delete, select, text

from data.database import Database, Reads
from data.identity.expiry import expired
from data.transactions import SqlTransactions
from domain.identity.addresses import AddressType
from domain.identity.administration import AssignRole, LockUser, UnlockUser, assign_role, lock_user, unlock_user
from domain.identity.codes import OtpPurpose, RequestCode, request_code
from domain.identity.entering import SecondFactorDue
from domain.identity.factors import Challenge, ChallengePurpose, Factors
from domain.identity.guarding import DeviceTokens
from domain.identity.login import (
    BeginLogin,
    ChangePassword,
    CompleteLogin,
    InvalidCredentials,
    PasswordChallenge,
    RefuseLogin,
    Register,
    begin_login,
    change_password,
    complete_login,
    refuse_login,
    register,
)
from domain.identity.profile import Profile
from domain.identity.roles import DefineRole, DeleteRole, RoleInUse, RoleReads, define_role, delete_role
from domain.identity.self_service import (
    AddAddress,
    DeleteAddress,
    SetDefaultAddress,
    add_address,
    delete_address,
    set_default_address,
)
from domain.identity.sessions import (
    AccessPolicy,
    Client,
    LogOut,
    Refresh,
    RevocationReads,
    Revocations,
    SessionEnding,
    SignIn,
    hash_token,
    log_out,
    refresh,
)
from domain.identity.users import UserFilter, UserReads
from domain.kernel import AlreadyExists, NotFound, Principal, Work, uuid7
from domain.paging import PageRequest
from server.identity.keys import SignedDeviceTokens

PASSWORD = "correct horse"
POLICY = AccessPolicy(max_failures_per_address=12)
AT_HOME = Client(address="192.0.2.7", user_agent="test", device_name="Laptop")


@pytest.fixture
def transactions(database: Database) -> SqlTransactions:
    return SqlTransactions(database, {AccessPolicy: POLICY, DeviceTokens: SignedDeviceTokens(b"e" * 32)})


@pytest.fixture
async def reads(database: Database, tenant_id: UUID) -> AsyncIterator[Reads]:
    opened = database.reads(tenant_id)
    yield opened
    await opened.close()


async def revocations(database: Database, work: Work) -> Revocations:
    opened = database.system_reads()
    try:
        return await opened.port(RevocationReads).since(work.now - timedelta(seconds=1))
    finally:
        await opened.close()


async def address_book(database: Database, me: Work) -> list[tuple[UUID, bool]]:
    opened = database.reads(me.tenant_id)
    (book,) = await opened.port(UserReads).addresses([me.actor.require_user()])
    await opened.close()
    return [(each.id, each.is_default) for each in book]


class Door:
    """Registers, logs in and refreshes as the resolvers do; the hash of a password is the password in brackets."""

    def __init__(self, transactions: SqlTransactions, work: Work) -> None:
        self.transactions = transactions
        self.work = work

    def later(self, delay: timedelta) -> "Door":
        return Door(self.transactions, replace(self.work, now=self.work.now + delay))

    async def register(self, email: str = "ann@example.com", password: str = PASSWORD) -> None:
        command = Register(
            email=email, password_hash=f"[{password}]", profile=Profile(first_name="Ann"), client=AT_HOME
        )
        await self.transactions.run(register, command, self.work)

    async def begin(self, email: str = "ann@example.com", client: Client = AT_HOME) -> PasswordChallenge:
        return await self.transactions.run(begin_login, BeginLogin(email=email, client=client), self.work)

    async def fail(self, email: str = "ann@example.com", client: Client = AT_HOME) -> PasswordChallenge:
        challenge = await self.begin(email, client)
        if challenge.locked_until is None:
            command = RefuseLogin(client=client, credentials=challenge.credentials)
            await self.transactions.run(refuse_login, command, self.work)
        return challenge

    async def login(self, email: str = "ann@example.com") -> SignIn:
        challenge = await self.begin(email)
        assert challenge.credentials is not None
        command = CompleteLogin(client=AT_HOME, credentials=challenge.credentials)
        entered = await self.transactions.run(complete_login, command, self.work)
        assert not isinstance(entered, SecondFactorDue)
        return entered

    async def refresh(self, token: str) -> SignIn | None:
        return await self.transactions.run(refresh, Refresh(token_hash=hash_token(token)), self.work)

    async def ask_for_a_code(self, email: str = "ann@example.com") -> None:
        command = RequestCode(email=email, purpose=OtpPurpose.LOGIN, client=AT_HOME)
        await self.transactions.run(request_code, command, self.work)

    async def put_a_challenge(self) -> None:
        async def put(command: ChallengePurpose, work: Work, factors: Factors) -> None:
            factors.add(Challenge.put(command, None, POLICY.challenge_lifetime, work)[1])

        await self.transactions.run(put, ChallengePurpose.PASSKEY_LOGIN, self.work)

    def as_user(self, signed_in: SignIn) -> Work:
        return replace(self.work, actor=signed_in.principal)


@pytest.fixture
def door(transactions: SqlTransactions, work: Work) -> Door:
    return Door(transactions, work)


async def column(database: Database, tenant_id: UUID, query: str) -> list[Any]:
    async with database.session(tenant_id) as session:
        return list(await session.scalars(text(query)))


EVENTS = "SELECT name FROM platform.event_log ORDER BY sequence"


class TestRegister:
    async def test_makes_one_user_and_one_event(self, door: Door, database: Database, tenant_id: UUID) -> None:
        await door.register()
        assert await column(database, tenant_id, "SELECT email FROM identity.user") == ["ann@example.com"]
        assert await column(database, tenant_id, EVENTS) == ["user.registered"]

    async def test_of_a_known_address_answers_the_same_and_leaves_the_account_alone(
        self, door: Door, database: Database, tenant_id: UUID
    ) -> None:
        await door.register()
        await door.register(password="another one")
        assert await column(database, tenant_id, "SELECT password_hash FROM identity.user") == ["[correct horse]"]
        assert await column(database, tenant_id, "SELECT version FROM identity.user") == [1]
        assert await column(database, tenant_id, EVENTS) == ["user.registered", "identity.registration_repeated"]

    async def test_of_one_address_many_times_at_once_makes_one_user(
        self, door: Door, database: Database, tenant_id: UUID
    ) -> None:
        await asyncio.gather(*(door.register() for _ in range(8)))
        assert await column(database, tenant_id, "SELECT count(*) FROM identity.user") == [1]

    async def test_keeps_the_same_address_apart_in_two_tenants(
        self, door: Door, make_tenant: Callable[..., UUID]
    ) -> None:
        await door.register()
        other = Door(door.transactions, replace(door.work, tenant_id=make_tenant()))
        assert (await other.begin()).credentials is None
        await other.register(password="another one")
        mine, theirs = (await door.begin()).credentials, (await other.begin()).credentials
        assert mine is not None
        assert theirs is not None
        assert mine.user_id != theirs.user_id
        assert theirs.password_hash == "[another one]"


class TestLoginGuard:
    async def test_locks_the_account_after_five_failures_for_fifteen_minutes(self, door: Door) -> None:
        await door.register()
        for _ in range(5):
            assert (await door.fail()).locked_until is None
        locked = await door.begin()
        assert locked.credentials is None
        assert locked.locked_until == door.work.now + timedelta(minutes=15)
        assert (await door.later(timedelta(minutes=14, seconds=59)).begin()).credentials is None
        assert (await door.later(timedelta(minutes=15)).begin()).credentials is not None

    async def test_locks_an_address_that_nobody_has_just_the_same(self, door: Door) -> None:
        for _ in range(5):
            assert await door.fail("nobody@example.com") == PasswordChallenge()
        assert await door.begin("nobody@example.com") == PasswordChallenge(
            locked_until=door.work.now + timedelta(minutes=15)
        )

    async def test_lets_five_through_however_many_come_at_once(self, door: Door) -> None:
        await door.register()
        challenges = await asyncio.gather(*(door.begin() for _ in range(25)))
        assert sum(each.credentials is not None for each in challenges) == 5

    async def test_forgets_the_failures_of_an_account_when_its_owner_logs_in(self, door: Door) -> None:
        await door.register()
        for _ in range(4):
            await door.fail()
        await door.login()
        for _ in range(5):
            assert (await door.fail()).locked_until is None

    async def test_counts_the_failures_of_a_network_address_over_all_accounts(self, door: Door) -> None:
        await door.register()
        for number in range(12):
            assert (await door.fail(f"guess{number}@example.com")).locked_until is None
        assert (await door.begin()).locked_until == door.work.now + timedelta(minutes=15)
        elsewhere = replace(AT_HOME, address="192.0.2.8")
        assert (await door.begin(client=elsewhere)).credentials is not None

    async def test_starts_over_when_the_failures_lie_long_back(self, door: Door) -> None:
        for _ in range(4):
            await door.fail()
        much_later = door.later(timedelta(minutes=16))
        for _ in range(5):
            assert (await much_later.fail()).locked_until is None

    async def test_does_not_lengthen_a_lock_by_further_attempts(self, door: Door) -> None:
        for _ in range(5):
            await door.fail()
        later = door.later(timedelta(minutes=10))
        assert (await later.begin()).locked_until == door.work.now + timedelta(minutes=15)


class TestLogin:
    async def test_opens_a_session_and_writes_the_log(self, door: Door, reads: Reads, tenant_id: UUID) -> None:
        await door.register()
        await door.fail()
        signed_in = await door.login()
        assert signed_in.principal == Principal(
            user_id=signed_in.user.id,
            tenant_id=tenant_id,
            session_id=signed_in.session.id,
            roles=frozenset({"buyer"}),
        )
        log = await reads.port(UserReads).login_log(signed_in.user.id, PageRequest())
        assert [(each.succeeded, each.reason) for each in log.nodes] == [(True, None), (False, "wrong_password")]

    async def test_refuses_when_the_password_was_changed_meanwhile(
        self, door: Door, transactions: SqlTransactions, database: Database, tenant_id: UUID
    ) -> None:
        await door.register()
        first = await door.login()
        challenge = await door.begin()
        assert challenge.credentials is not None
        changed = ChangePassword(old_hash="[correct horse]", new_hash="[new]")
        await transactions.run(change_password, changed, door.as_user(first))
        command = CompleteLogin(client=AT_HOME, credentials=challenge.credentials)
        with pytest.raises(InvalidCredentials):
            await transactions.run(complete_login, command, door.work)
        assert await column(database, tenant_id, "SELECT count(*) FROM identity.session") == [1]


class TestRefresh:
    async def test_gives_a_new_token_each_time(self, door: Door) -> None:
        await door.register()
        first = await door.login()
        second = await door.refresh(first.refresh_token)
        assert second is not None
        third = await door.refresh(second.refresh_token)
        assert third is not None
        assert third.session.id == first.session.id
        assert len({first.refresh_token, second.refresh_token, third.refresh_token}) == 3

    async def test_ends_the_session_when_a_token_is_used_twice(
        self, door: Door, database: Database, tenant_id: UUID
    ) -> None:
        await door.register()
        first = await door.login()
        second = await door.refresh(first.refresh_token)
        assert second is not None
        assert await door.refresh(first.refresh_token) is None
        assert await door.refresh(second.refresh_token) is None
        reasons = await column(database, tenant_id, "SELECT revoked_reason FROM identity.session")
        assert reasons == [SessionEnding.REUSE]

    async def test_lets_one_of_two_uses_at_once_win_and_then_ends_the_session(self, door: Door) -> None:
        await door.register()
        first = await door.login()
        answers = await asyncio.gather(*(door.refresh(first.refresh_token) for _ in range(4)))
        winners = [each for each in answers if each is not None]
        assert len(winners) == 1
        assert await door.refresh(winners[0].refresh_token) is None

    async def test_refuses_an_unknown_and_an_expired_token(self, door: Door) -> None:
        await door.register()
        signed_in = await door.login()
        assert await door.refresh("guessed") is None
        assert await door.later(timedelta(days=30)).refresh(signed_in.refresh_token) is None

    async def test_refuses_the_token_of_another_tenant(self, door: Door, make_tenant: Callable[..., UUID]) -> None:
        await door.register()
        signed_in = await door.login()
        other = Door(door.transactions, replace(door.work, tenant_id=make_tenant()))
        assert await other.refresh(signed_in.refresh_token) is None
        assert await door.refresh(signed_in.refresh_token) is not None

    async def test_keeps_only_hashes_of_tokens(self, door: Door, database: Database, tenant_id: UUID) -> None:
        await door.register()
        signed_in = await door.login()
        kept = await column(database, tenant_id, "SELECT token_hash FROM identity.refresh_token")
        assert kept == [hash_token(signed_in.refresh_token)]


class TestSessions:
    async def test_end_one_by_one_and_are_told_to_all_processes(
        self, door: Door, transactions: SqlTransactions, database: Database
    ) -> None:
        await door.register()
        laptop, phone = await door.login(), await door.login()
        await transactions.run(log_out, LogOut(), door.as_user(laptop))
        revoked = await revocations(database, door.work)
        assert laptop.session.id in revoked.sessions
        assert phone.session.id not in revoked.sessions
        assert await door.refresh(laptop.refresh_token) is None
        assert await door.refresh(phone.refresh_token) is not None

    async def test_end_by_their_refresh_token_without_an_access_token(
        self, door: Door, transactions: SqlTransactions
    ) -> None:
        await door.register()
        signed_in = await door.login()
        anonymous = replace(door.work, actor=Principal())
        ended = await transactions.run(log_out, LogOut(token_hash=hash_token(signed_in.refresh_token)), anonymous)
        assert ended is not None
        assert ended.revoked_reason is SessionEnding.LOGOUT

    async def test_all_but_the_own_one_end_when_the_password_changes(
        self, door: Door, transactions: SqlTransactions
    ) -> None:
        await door.register()
        mine, stolen = await door.login(), await door.login()
        command = ChangePassword(old_hash="[correct horse]", new_hash="[new]")
        await transactions.run(change_password, command, door.as_user(mine))
        assert await door.refresh(stolen.refresh_token) is None
        assert await door.refresh(mine.refresh_token) is not None

    async def test_all_end_when_somebody_in_charge_locks_the_user(
        self, door: Door, transactions: SqlTransactions
    ) -> None:
        await door.register()
        signed_in = await door.login()
        await transactions.run(lock_user, LockUser(user_id=signed_in.user.id, reason="fraud"), door.work)
        assert await door.refresh(signed_in.refresh_token) is None
        await transactions.run(unlock_user, UnlockUser(user_id=signed_in.user.id), door.work)
        assert (await door.login()).user.id == signed_in.user.id


ADDRESS = {"street_line1": "290 Bremner Blvd", "city": "Toronto", "province": "ON", "postal_code": "M5V 3L9"}


class TestAddresses:
    async def test_hand_the_default_over_in_one_transaction(
        self, door: Door, transactions: SqlTransactions, database: Database
    ) -> None:
        await door.register()
        me = door.as_user(await door.login())
        command = AddAddress(address_type=AddressType.SHIPPING, **ADDRESS)
        first = await transactions.run(add_address, command, me)
        second = await transactions.run(add_address, command, me)
        assert (first.is_default, second.is_default) == (True, False)
        for chosen in (second, first, second):
            await transactions.run(set_default_address, SetDefaultAddress(id=chosen.id), me)
            book = await address_book(database, me)
            assert [address_id for address_id, is_default in book if is_default] == [chosen.id]
        await transactions.run(delete_address, DeleteAddress(id=second.id), me)
        assert await address_book(database, me) == [(first.id, True)]

    async def test_of_other_users_do_not_exist(self, door: Door, transactions: SqlTransactions) -> None:
        await door.register()
        await door.register("bob@example.com")
        ann, bob = door.as_user(await door.login()), door.as_user(await door.login("bob@example.com"))
        kept = await transactions.run(add_address, AddAddress(address_type=AddressType.BILLING, **ADDRESS), ann)
        with pytest.raises(NotFound):
            await transactions.run(delete_address, DeleteAddress(id=kept.id), bob)


class TestRoles:
    async def test_of_a_store_reach_the_token(self, door: Door, transactions: SqlTransactions) -> None:
        await door.register()
        first, store_id = await door.login(), uuid7()
        command = AssignRole(user_id=first.user.id, role="store_manager", store_id=store_id)
        await transactions.run(assign_role, command, door.work)
        refreshed = await door.refresh(first.refresh_token)
        assert refreshed is not None
        assert refreshed.principal.store_ids == {store_id}
        assert refreshed.principal.may("inventory.adjust")
        assert not refreshed.principal.may("identity.read")

    async def test_outdate_the_tokens_made_before(
        self, door: Door, transactions: SqlTransactions, database: Database
    ) -> None:
        await door.register()
        signed_in = await door.login()
        command = AssignRole(user_id=signed_in.user.id, role="seller")
        await transactions.run(assign_role, command, door.work)
        revoked = await revocations(database, door.work)
        assert revoked.users[signed_in.user.id] == door.work.now
        assert signed_in.session.id not in revoked.sessions

    async def test_are_defined_by_tenants_and_kept_while_somebody_holds_them(
        self, door: Door, transactions: SqlTransactions, reads: Reads
    ) -> None:
        await door.register()
        signed_in = await door.login()
        await transactions.run(define_role, DefineRole(name="auditor", permissions=["inventory.read"]), door.work)
        await transactions.run(assign_role, AssignRole(user_id=signed_in.user.id, role="auditor"), door.work)
        refreshed = await door.refresh(signed_in.refresh_token)
        assert refreshed is not None
        assert refreshed.principal.permissions == {"inventory.read"}
        with pytest.raises(RoleInUse):
            await transactions.run(delete_role, DeleteRole(name="auditor"), door.work)
        (kept,) = await reads.port(RoleReads).defined()
        assert (kept.name, kept.permissions) == ("auditor", ["inventory.read"])

    async def test_are_not_assigned_twice_at_once(
        self, door: Door, transactions: SqlTransactions, database: Database, tenant_id: UUID
    ) -> None:
        await door.register()
        signed_in = await door.login()
        command = AssignRole(user_id=signed_in.user.id, role="driver")
        answers = await asyncio.gather(
            *(transactions.run(assign_role, command, door.work) for _ in range(4)), return_exceptions=True
        )
        assert sum(isinstance(each, AlreadyExists) for each in answers) == 3
        assert await column(database, tenant_id, "SELECT count(*) FROM identity.role_assignment") == [1]


class TestUserReads:
    async def test_find_users_by_parts_of_their_names_and_take_wildcards_literally(
        self, door: Door, reads: Reads
    ) -> None:
        for name in ("ann", "bob", "joann"):
            await door.register(f"{name}@example.com")

        async def emails(**wanted: Any) -> list[str]:
            return [
                each.email for each in (await reads.port(UserReads).matching(UserFilter(**wanted), PageRequest())).nodes
            ]

        assert await emails(text="ANN@") == ["joann@example.com", "ann@example.com"]
        assert await emails(text="%") == []
        assert await emails(role="seller") == []
        assert len(await emails(role="buyer")) == 3

    async def test_never_select_the_password_hash(self, door: Door, reads: Reads) -> None:
        await door.register()
        signed_in = await door.login()
        (row,) = await reads.port(UserReads).by_id([signed_in.user.id])
        assert "password_hash" not in list(row.keys())

    async def test_of_many_users_take_one_statement(self, door: Door, reads: Reads) -> None:
        ids = [uuid7() for _ in range(100)]
        assert await reads.port(UserReads).addresses(ids) == [[]] * 100
        assert reads.statements == 1


class TestExpired:
    async def test_spares_what_is_still_needed(self, door: Door, database: Database, tenant_id: UUID) -> None:
        await door.register()
        await door.fail()
        await door.login()

        async def left(now: datetime) -> dict[str, int]:
            async with database.session(tenant_id) as session:
                for table, old in expired(now):
                    await session.execute(delete(table).where(old))
                return {table.name: len((await session.execute(select(table))).all()) for table, _ in expired(now)}

        kept = {"login_guard": 4, "refresh_token": 1, "session": 1, "login_attempt": 2, "social_login": 0}
        all_of_it = {**kept, "challenge": 1, "one_time_code": 1}
        now = door.work.now
        await door.ask_for_a_code()
        await door.put_a_challenge()
        assert await left(now) == all_of_it
        later = {**kept, "challenge": 0, "one_time_code": 0, "login_guard": 0}
        assert await left(now + timedelta(minutes=16)) == later
        assert await left(now + timedelta(days=30)) == later
        gone = {**later, "refresh_token": 0}
        assert await left(now + timedelta(days=31)) == gone
        assert await left(now + timedelta(days=181)) == dict.fromkeys(all_of_it, 0)
