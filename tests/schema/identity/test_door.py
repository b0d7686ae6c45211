"""Registering, logging in and out, through the graph."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from data.passwords import Argon2Cost, Argon2Hasher
from domain.identity.passwords import PasswordHasher
from domain.kernel import Unauthenticated


class TestTheDoor:
    async def test_leads_from_registration_to_logout(self, house: Any) -> None:
        assert await house.register("Ann@Example.com") == {"__typename": "Registration", "email": "ann@example.com"}
        first = await house.login("ANN@example.com")
        assert first["__typename"] == "Authentication"
        assert first["expiresIn"] == 900
        assert first["user"]["email"] == "ann@example.com"
        assert first["session"]["isCurrent"] is True

        me = await house.do(house.ME, first["accessToken"])
        assert me == {
            "id": first["user"]["id"],
            "displayName": "Ann",
            "email": "ann@example.com",
            "roles": [{"role": "buyer", "storeId": None}],
        }

        second = await house.do(house.REFRESH, given=first["refreshToken"])
        assert second["user"] == {"email": "ann@example.com"}
        assert (await house.do(house.ME, second["accessToken"]))["id"] == me["id"]

        assert await house.do(house.REFRESH, given=first["refreshToken"]) == {
            "__typename": "InvalidRefreshToken",
            "code": "INVALID_REFRESH_TOKEN",
        }
        assert (await house.do(house.REFRESH, given=second["refreshToken"]))["__typename"] == "InvalidRefreshToken"
        house.clock.now += timedelta(seconds=5)
        with pytest.raises(Unauthenticated):
            await house.ask(house.ME, second["accessToken"])

        third = await house.login()
        ended = await house.do(house.LOGOUT, third["accessToken"])
        assert ended == {"__typename": "UserSession", "revokedReason": "LOGOUT"}
        with pytest.raises(Unauthenticated):
            await house.ask(house.ME, third["accessToken"])
        assert (await house.do(house.REFRESH, given=third["refreshToken"]))["__typename"] == "InvalidRefreshToken"

    async def test_shows_nobody_to_nobody(self, house: Any) -> None:
        assert (await house.ask(house.ME)).data == {"me": None}

    async def test_refuses_an_expired_token(self, house: Any) -> None:
        token = (await house.member())["accessToken"]
        house.clock.now += timedelta(minutes=15)
        with pytest.raises(Unauthenticated, match="expired"):
            await house.ask(house.ME, token)

    async def test_tells_two_tenants_users_of_one_address_apart(
        self, house: Any, make_house: Any, make_tenant: Callable[..., UUID]
    ) -> None:
        other = make_house(make_tenant())
        await house.register()
        await other.register(password="battery staple")
        assert (await other.login())["__typename"] == "InvalidCredentials"
        mine, theirs = await house.login(), await other.login(password="battery staple")
        assert mine["user"]["id"] != theirs["user"]["id"]
        seen = await other.ask("query($id: ID!) { user(id: $id) { id } }", id=mine["user"]["id"])
        assert seen.data == {"user": None}

    async def test_locks_after_five_wrong_passwords_and_says_for_how_long(self, house: Any) -> None:
        await house.register()
        for _ in range(5):
            assert (await house.login(password="wrong"))["__typename"] == "InvalidCredentials"
        house.clock.now += timedelta(minutes=1)
        locked = await house.login()
        assert (locked["__typename"], locked["retryAfterSeconds"]) == ("TooManyAttempts", 14 * 60)
        house.clock.now += timedelta(minutes=14)
        assert (await house.login())["__typename"] == "Authentication"

    @pytest.mark.parametrize("password", ["x" * 129, "nul\x00byte"])
    async def test_refuses_oversized_and_unprintable_passwords(self, house: Any, password: str) -> None:
        for answer in (await house.register(password=password), await house.login(password=password)):
            assert answer["__typename"] == "InvalidInput"
        assert (await house.login())["__typename"] == "InvalidCredentials"

    @pytest.mark.parametrize("email", ["", "ann", "ann@", "a\x00b@example.com", "a" * 300 + "@example.com"])
    async def test_refuses_what_is_no_address(self, house: Any, email: str) -> None:
        assert (await house.register(email))["__typename"] == "InvalidInput"
        assert (await house.login(email))["__typename"] == "InvalidInput"

    async def test_refuses_a_short_password(self, house: Any) -> None:
        assert (await house.register(password="seven77"))["__typename"] == "WeakPassword"
        assert (await house.login(password="seven77"))["__typename"] == "InvalidCredentials"

    async def test_takes_differently_composed_letters_for_the_same(self, house: Any) -> None:
        await house.register(password="cafe\u0301 au lait")
        assert (await house.login(password="caf\u00e9 au lait"))["__typename"] == "Authentication"

    async def test_makes_the_hash_anew_when_its_cost_has_changed(self, house: Any) -> None:
        await house.register()
        house.services[PasswordHasher] = dearer = Argon2Hasher(Argon2Cost(memory_kib=128, passes=1))
        assert (await house.login())["__typename"] == "Authentication"
        async with house.database.session(house.tenant_id) as session:
            kept = (await session.connection()).exec_driver_sql("SELECT password_hash FROM identity.user")
            assert not dearer.is_outdated((await kept).scalar_one())
        assert (await house.login())["__typename"] == "Authentication"
        dearer.close()


class TestNobodyLearnsWhoHasAnAccount:
    async def test_from_logging_in(self, house: Any) -> None:
        await house.register()
        known = await house.ask(house.LOGIN, email="ann@example.com", password="wrong")
        unknown = await house.ask(house.LOGIN, email="bob@example.com", password="wrong")
        assert known.data == unknown.data
        assert (known.reads, known.writes) == (unknown.reads, unknown.writes)

    async def test_from_being_locked_out(self, house: Any) -> None:
        await house.register()
        for email in ("ann@example.com", "bob@example.com"):
            for _ in range(5):
                await house.login(email, password="wrong")
        known = await house.ask(house.LOGIN, email="ann@example.com", password=house.PASSWORD)
        unknown = await house.ask(house.LOGIN, email="bob@example.com", password=house.PASSWORD)
        assert known.data == unknown.data
        assert known.data["login"]["__typename"] == "TooManyAttempts"
        assert known.writes == unknown.writes

    async def test_from_registering(self, house: Any) -> None:
        new = await house.ask(house.REGISTER, email="ann@example.com", password=house.PASSWORD)
        again = await house.ask(house.REGISTER, email="ann@example.com", password="another one")
        assert new.data == again.data
        assert (new.reads, new.writes) == (again.reads, again.writes)
        assert (await house.login(password="another one"))["__typename"] == "InvalidCredentials"
        assert (await house.login())["__typename"] == "Authentication"


CHANGE = """mutation($old: String!, $new: String!) { changePassword(currentPassword: $old, newPassword: $new) {
  __typename ... on User { id } ... on Error { code } } }"""


class TestChangePassword:
    async def test_ends_all_other_sessions(self, house: Any) -> None:
        stolen, mine = await house.member(), await house.login()
        changed = await house.do(CHANGE, mine["accessToken"], old=house.PASSWORD, new="battery staple")
        assert changed["__typename"] == "User"
        house.clock.now += timedelta(seconds=5)
        with pytest.raises(Unauthenticated):
            await house.ask(house.ME, stolen["accessToken"])
        assert (await house.do(house.ME, mine["accessToken"]))["email"] == "ann@example.com"
        assert (await house.login())["__typename"] == "InvalidCredentials"
        assert (await house.login(password="battery staple"))["__typename"] == "Authentication"

    async def test_is_no_way_to_guess_the_old_one(self, house: Any) -> None:
        token = (await house.member())["accessToken"]
        for _ in range(5):
            answer = await house.do(CHANGE, token, old="wrong", new="battery staple")
            assert answer["__typename"] == "InvalidCredentials"
        answer = await house.do(CHANGE, token, old=house.PASSWORD, new="battery staple")
        assert answer["__typename"] == "TooManyAttempts"
        house.clock.now += timedelta(minutes=15)
        assert (await house.login())["__typename"] == "Authentication"
