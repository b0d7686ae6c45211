"""The rules of identity."""

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from domain.identity.addresses import AddressType, PostalAddress
from domain.identity.administration import (
    AssignRole,
    LockUser,
    assign_role,
    grant_seller_role,
    grant_staff_role,
    lock_user,
)
from domain.identity.passwords import WeakPassword, accept_password, normalise_password
from domain.identity.profile import Profile
from domain.identity.roles import PERMISSIONS, PRESETS, Role, RoleDefinition, grants_of
from domain.identity.sessions import Client, RefreshToken, Session, SessionEnding, hash_token
from domain.identity.text import clean, clean_email, clean_phone, clean_url
from domain.identity.users import (
    ACCOUNT,
    AccountDeactivated,
    AccountLocked,
    AddressLimitReached,
    User,
    UserStatus,
)
from domain.kernel import (
    SYSTEM,
    AlreadyExists,
    Envelope,
    Forbidden,
    InvalidInput,
    InvalidStateTransition,
    NotFound,
    Principal,
    Work,
    uuid7,
)

NOW = datetime(2026, 3, 14, 15, 9, 26, tzinfo=UTC)
TENANT = uuid7()
WORK = Work(tenant_id=TENANT, actor=SYSTEM, now=NOW, correlation_id="test")
TORONTO = PostalAddress(street_line1="290 Bremner Blvd", city="Toronto", province="ON", postal_code="M5V 3L9")


def a_user(**profile: Any) -> User:
    user = User.register("ann@example.com", "hash", Profile(**profile), WORK)
    user.release_events()
    return user


def names_of(user: User | Session) -> list[str]:
    return [recorded.event.name for recorded in user.release_events()]


class FakeUsers(dict[Any, User]):
    """Users by id, as the port has them."""

    def __init__(self, *users: User) -> None:
        super().__init__({user.id: user for user in users})

    async def get(self, user_id: Any) -> User:  # type: ignore[override]
        if user_id not in self:
            raise NotFound(kind="User", id=str(user_id))
        return self[user_id]


class FakeRoles(dict[str, RoleDefinition]):
    """The tenant's own roles by name, as the port has them."""

    async def find(self, name: str) -> RoleDefinition | None:
        return self.get(name)

    async def permissions_of(self, names: Any) -> dict[str, list[str]]:
        return {name: self[name].permissions for name in names if name in self}


class FakeSessions:
    """Remembers whose sessions were ended."""

    def __init__(self) -> None:
        self.ended: list[Any] = []

    async def end_all(self, user_id: Any, reason: SessionEnding, now: datetime, **_: Any) -> None:
        self.ended.append((user_id, reason, now))


class TestCleanEmail:
    @pytest.mark.parametrize(
        ("typed", "kept"),
        [
            (" Ann@Example.COM ", "ann@example.com"),
            ("Ann+Shop@example.com", "ann+shop@example.com"),
            ("ann@xn--mller-kva.de", "ann@müller.de"),
            ("ann@shop.test", "ann@shop.test"),
        ],
    )
    def test_gives_one_spelling(self, typed: str, kept: str) -> None:
        assert clean_email(typed) == kept

    @pytest.mark.parametrize("wrong", ["", "ann", "ann@localhost", "a b@example.com", "a\x00@example.com", "x" * 255])
    def test_refuses_what_is_no_address(self, wrong: str) -> None:
        with pytest.raises(InvalidInput):
            clean_email(wrong)


class TestClean:
    def test_composes_and_trims(self) -> None:
        assert clean("name", " Rene\u0301 ") == "René"

    @pytest.mark.parametrize("wrong", ["", "  ", "a\x00b", "a\nb", "\ud800", "x" * 101])
    def test_refuses_what_cannot_be_kept(self, wrong: str) -> None:
        with pytest.raises(InvalidInput):
            clean("name", wrong)

    def test_lets_lines_stand_where_they_may(self) -> None:
        assert clean("bio", "one\ntwo", lines=True) == "one\ntwo"

    def test_brings_telephone_numbers_into_one_form(self) -> None:
        assert clean_phone("+1 (416) 555-0123") == "+14165550123"
        with pytest.raises(InvalidInput):
            clean_phone("416 555 0123")

    def test_accepts_web_addresses_only(self) -> None:
        assert clean_url("avatarUrl", "https://example.com/a.png") == "https://example.com/a.png"
        with pytest.raises(InvalidInput):
            clean_url("avatarUrl", "data:text/html,hello")


class TestAcceptPassword:
    def test_normalises_for_every_keyboard(self) -> None:
        assert accept_password("\ufb01ve horses", "ann@example.com") == "five horses"

    @pytest.mark.parametrize("weak", ["seven77", "aaaaaaaaaa", "ann@example.com", "ANN@Example.com"])
    def test_refuses_weak_ones(self, weak: str) -> None:
        with pytest.raises(WeakPassword):
            accept_password(weak, "ann@example.com")

    @pytest.mark.parametrize("wrong", ["x" * 129, "nul\x00byte here"])
    def test_refuses_what_would_only_cost(self, wrong: str) -> None:
        with pytest.raises(InvalidInput):
            normalise_password(wrong)


class TestPostalAddress:
    @pytest.mark.parametrize(
        ("country", "province", "postal_code"),
        [
            ("CA", "ON", "m5v3l9"),
            ("US", "NY", "10001-1234"),
            ("GB", None, "SW1A 1AA"),
            ("RU", None, "101000"),
            ("AE", None, None),
        ],
    )
    def test_follows_the_country(self, country: str, province: str | None, postal_code: str | None) -> None:
        where = PostalAddress(
            street_line1="1 Main St", city="City", province=province, postal_code=postal_code, country=country.lower()
        )
        assert where.normalised().country == country
        assert where.normalised().postal_code == (postal_code.upper() if postal_code else None)

    @pytest.mark.parametrize(
        ("field", "wrong"),
        [
            ("postalCode", {"postal_code": "10001"}),
            ("postalCode", {"postal_code": None}),
            ("province", {"province": " "}),
            ("country", {"country": "Canada"}),
            ("streetLine1", {"street_line1": ""}),
        ],
    )
    def test_names_the_field_that_does_not_fit(self, field: str, wrong: dict[str, Any]) -> None:
        with pytest.raises(InvalidInput) as refusal:
            PostalAddress(**{**vars(TORONTO), **wrong}).normalised()
        assert refusal.value.field == field


class TestRegister:
    def test_names_nobody_after_their_address(self) -> None:
        user = User.register("ann.private@example.com", "hash", Profile(), WORK)
        assert user.display_name == f"Customer {user.id.hex[-6:]}"
        assert names_of(user) == ["user.registered"]

    def test_takes_the_first_name_for_want_of_another(self) -> None:
        assert a_user(first_name="Ann").display_name == "Ann"
        assert a_user(first_name="Ann", display_name="Annie").display_name == "Annie"

    def test_makes_a_buyer(self) -> None:
        assert a_user().roles == ["buyer"]


class TestProfile:
    def test_leaves_alone_what_is_not_mentioned(self) -> None:
        user = a_user(first_name="Ann", phone="+14165550123")
        user.update_profile(Profile(phone=None, date_of_birth=date(1990, 2, 28)), NOW)
        assert (user.first_name, user.phone, user.date_of_birth) == ("Ann", None, date(1990, 2, 28))
        (recorded,) = user.release_events()
        assert recorded.event.fields == ("date_of_birth", "phone")  # type: ignore[attr-defined]

    def test_refuses_birthdays_to_come(self) -> None:
        user = a_user()
        with pytest.raises(InvalidInput):
            user.update_profile(Profile(date_of_birth=date(2026, 3, 15)), NOW)
        assert user.date_of_birth is None
        assert names_of(user) == []

    def test_merges_preferences(self) -> None:
        user = a_user()
        user.update_preferences({"a": 1, "b": 2})
        user.update_preferences({"a": None, "c": {"d": []}})
        assert user.preferences == {"b": 2, "c": {"d": []}}

    @pytest.mark.parametrize(
        "wrong", [{"": 1}, {"x" * 101: 1}, {"a": "\x00"}, {"a": "x" * 16_384}, {str(i): 1 for i in range(101)}]
    )
    def test_refuses_preferences_without_measure(self, wrong: dict[str, Any]) -> None:
        user = a_user()
        with pytest.raises(InvalidInput):
            user.update_preferences(wrong)
        assert user.preferences == {}


class TestAddressBook:
    def test_makes_the_first_of_each_type_the_default(self) -> None:
        user = a_user()
        shipping = user.add_address(AddressType.SHIPPING, TORONTO, NOW, default=False)
        billing = user.add_address(AddressType.BILLING, TORONTO, NOW, default=False)
        second = user.add_address(AddressType.SHIPPING, TORONTO, NOW, default=False)
        assert [each.is_default for each in (shipping, billing, second)] == [True, True, False]

    def test_hands_the_default_to_the_oldest_when_it_goes(self) -> None:
        user = a_user()
        first, second, third = (user.add_address(AddressType.SHIPPING, TORONTO, NOW, default=True) for _ in range(3))
        assert third.is_default
        user.delete_address(third.id)
        assert [each.is_default for each in (first, second)] == [True, False]

    def test_is_full_at_fifty(self) -> None:
        user = a_user()
        for _ in range(50):
            user.add_address(AddressType.SHIPPING, TORONTO, NOW, default=False)
        with pytest.raises(AddressLimitReached):
            user.add_address(AddressType.SHIPPING, TORONTO, NOW, default=False)
        assert len(user.addresses) == 50


class TestAccount:
    def test_goes_from_active_to_locked_and_back(self) -> None:
        user = a_user()
        user.lock("fraud")
        with pytest.raises(AccountLocked):
            user.require_active()
        user.unlock()
        user.require_active()
        assert names_of(user) == ["identity.user_locked", "identity.user_unlocked"]

    def test_stays_closed(self) -> None:
        user = a_user()
        user.deactivate(None)
        with pytest.raises(AccountDeactivated):
            user.require_active()
        with pytest.raises(InvalidStateTransition):
            user.unlock()
        assert user.status is UserStatus.DEACTIVATED

    def test_is_drawn_from_its_table(self) -> None:
        assert "locked --> deactivated" in ACCOUNT.mermaid()


class TestSession:
    def opened(self) -> tuple[Session, RefreshToken]:
        session = Session.open(a_user(), Client(address="192.0.2.7"), timedelta(days=30), NOW)
        return session, session.issue(timedelta(days=30), NOW)[1]

    def test_hands_out_random_tokens_and_keeps_their_hashes(self) -> None:
        session, _ = self.opened()
        clear, kept = session.issue(timedelta(days=30), NOW)
        assert len(clear) == 43
        assert kept.token_hash == hash_token(clear)

    def test_takes_a_token_once_and_ends_at_its_second_use(self) -> None:
        session, token = self.opened()
        assert session.redeem(token, NOW)
        assert not session.redeem(token, NOW)
        assert session.revoked_reason is SessionEnding.REUSE
        assert not session.redeem(session.issue(timedelta(days=30), NOW)[1], NOW)

    def test_refuses_a_token_that_has_run_out(self) -> None:
        session, token = self.opened()
        assert not session.redeem(token, NOW + timedelta(days=30))

    def test_ends_only_once(self) -> None:
        session, _ = self.opened()
        session.release_events()
        session.revoke(SessionEnding.LOGOUT, NOW)
        session.revoke(SessionEnding.REVOKED, NOW + timedelta(days=1))
        assert (session.revoked_reason, session.revoked_at) == (SessionEnding.LOGOUT, NOW)
        assert names_of(session) == ["identity.token_revoked"]


class TestRoles:
    def test_presets_permit_only_what_there_is(self) -> None:
        areas = {name.partition(".")[0] for name in PERMISSIONS}
        assert PRESETS.keys() == set(Role)
        for granted in PRESETS.values():
            assert all(each in PERMISSIONS or each == "*" or each.removesuffix(".*") in areas for each in granted)

    async def test_add_up(self) -> None:
        own = RoleDefinition(tenant_id=TENANT, name="auditor", permissions=["inventory.read"])
        assert await grants_of(["buyer", "moderator", "auditor", "gone"], FakeRoles(auditor=own)) == {
            "catalog.moderate",
            "messaging.moderate",
            "live.moderate",
            "reviews.moderate",
            "inventory.read",
        }

    def test_keep_an_admin_from_running_the_platform(self) -> None:
        admin = Principal(permissions=PRESETS[Role.ADMIN])
        assert admin.may("identity.roles")
        assert admin.may("tenancy.manage")
        assert not admin.may("tenancy.platform")
        assert not admin.may("platform.operate")

    async def test_are_not_handed_on_by_who_has_less(self) -> None:
        user = a_user()
        admin = Principal(user_id=uuid7(), permissions=PRESETS[Role.ADMIN])
        work = Work(tenant_id=TENANT, actor=admin, now=NOW, correlation_id="test")
        with pytest.raises(Forbidden):
            await assign_role(AssignRole(user_id=user.id, role="super_admin"), work, FakeUsers(user), FakeRoles())
        assert user.roles == ["buyer"]

    def test_are_assigned_once_for_each_place(self) -> None:
        user, store_id = a_user(), uuid7()
        user.assign("driver", None, WORK)
        user.assign("driver", store_id, WORK)
        with pytest.raises(AlreadyExists):
            user.assign("driver", store_id, WORK)
        with pytest.raises(AlreadyExists):
            user.assign("buyer", None, WORK)
        assert user.store_ids == {store_id}
        assert user.tokens_valid_from == NOW
        user.revoke("driver", store_id, NOW)
        with pytest.raises(NotFound):
            user.revoke("driver", store_id, NOW)
        assert user.roles == ["buyer", "driver"]


class TestLockUser:
    async def test_ends_the_sessions(self) -> None:
        user, sessions = a_user(), FakeSessions()
        await lock_user(LockUser(user_id=user.id), WORK, FakeUsers(user), FakeRoles(), sessions)
        assert sessions.ended == [(user.id, SessionEnding.ACCOUNT_CLOSED, NOW)]

    async def test_spares_those_who_may_do_more(self) -> None:
        boss, sessions = a_user(), FakeSessions()
        boss.assign(Role.SUPER_ADMIN, None, WORK)
        admin = Principal(user_id=uuid7(), permissions=PRESETS[Role.ADMIN])
        work = Work(tenant_id=TENANT, actor=admin, now=NOW, correlation_id="test")
        with pytest.raises(Forbidden):
            await lock_user(LockUser(user_id=boss.id), work, FakeUsers(boss), FakeRoles(), sessions)
        assert boss.status is UserStatus.ACTIVE
        assert sessions.ended == []


def heard(name: str, data: dict[str, Any], *, by: Any = None) -> Envelope:
    return Envelope(
        event_id=uuid7(),
        name=name,
        tenant_id=TENANT,
        aggregate_id=uuid7(),
        aggregate_type="Other",
        version=1,
        data=data,
        occurred_at=NOW,
        correlation_id="test",
        user_id=by,
    )


class TestGrantSellerRole:
    async def test_makes_a_seller_once(self) -> None:
        user = a_user()
        envelope = heard("seller.verified", {"user_id": str(user.id)})
        await grant_seller_role(envelope, WORK, FakeUsers(user))
        await grant_seller_role(envelope, WORK, FakeUsers(user))
        assert user.roles == ["buyer", "seller"]
        assert names_of(user) == ["identity.role_assigned"]


class TestGrantStaffRole:
    async def test_puts_the_new_role_in_the_place_of_the_old_one_in_the_store(self) -> None:
        user, store_id = a_user(), uuid7()
        user.assign("seller", None, WORK)
        for role in ("driver", "store_manager", "store_manager"):
            data = {"user_id": str(user.id), "role": role, "store_id": str(store_id)}
            envelope = heard("tenancy.store_user_assigned", data)
            await grant_staff_role(envelope, WORK, FakeUsers(user), FakeRoles())
        assert [(each.role, each.store_id) for each in user.assignments] == [
            ("seller", None),
            ("store_manager", store_id),
        ]

    async def test_refuses_what_the_assigner_could_not_have_given(self) -> None:
        manager, user = a_user(), a_user()
        data = {"user_id": str(user.id), "role": "admin"}
        envelope = heard("tenancy.tenant_user_assigned", data, by=manager.id)
        with pytest.raises(Forbidden):
            await grant_staff_role(envelope, WORK, FakeUsers(manager, user), FakeRoles())
        assert user.roles == ["buyer"]
