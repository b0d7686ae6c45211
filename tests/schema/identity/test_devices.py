"""Devices through the graph: their names, ending the others, new ones, and strangers who guess."""

from typing import Any

import pytest

from domain.kernel import Unauthenticated
from tests.schema.identity.factors import rows_of

LOGIN = """mutation($email: String!, $password: String!, $device: String) {
  login(email: $email, password: $password, deviceToken: $device) {
    __typename ... on Authentication { accessToken deviceToken session { id } } ... on Error { code } } }"""
OTHERS = "mutation { revokeOtherSessions { __typename ... on RevokedSessions { ids } ... on Error { code } } }"
RENAME = """mutation($id: ID!, $name: String) { renameSession(input: {id: $id, deviceName: $name}) {
  __typename ... on UserSession { deviceName } ... on Error { code } } }"""
SEEN = "SELECT count(*) FROM platform.event_log WHERE name = 'identity.new_device_seen'"
ELSEWHERE = "198.51.100.9"


async def enter(house: Any, address: str = "192.0.2.7", **given: Any) -> dict[str, Any]:
    given = {"email": "ann@example.com", "password": house.PASSWORD, **given}
    answer = await house.ask(LOGIN, address=address, **given)
    assert answer.errors == []
    return dict(answer.data["login"])


class TestSessions:
    async def test_are_all_ended_but_the_own_one(self, house: Any) -> None:
        phone, tablet, laptop = await house.member(), await house.login(), await house.login()
        ended = await house.do(OTHERS, laptop["accessToken"])
        assert set(ended["ids"]) == {phone["session"]["id"], tablet["session"]["id"]}
        for gone in (phone, tablet):
            with pytest.raises(Unauthenticated):
                await house.ask(house.ME, gone["accessToken"])
        assert (await house.do(house.ME, laptop["accessToken"]))["email"] == "ann@example.com"
        assert (await house.do(OTHERS, laptop["accessToken"]))["ids"] == []

    async def test_are_named_by_their_owner_alone(self, house: Any) -> None:
        ann, bob = await house.member(), await house.member("bob@example.com")
        named = await house.do(RENAME, ann["accessToken"], id=ann["session"]["id"], name="Kitchen")
        assert named == {"__typename": "UserSession", "deviceName": "Kitchen"}
        before = await rows_of(house, "session")
        assert (await house.do(RENAME, bob["accessToken"], id=ann["session"]["id"], name="Mine"))["code"] == "NOT_FOUND"
        wrong = await house.do(RENAME, ann["accessToken"], id=ann["session"]["id"], name="\x00")
        assert wrong["code"] == "INVALID_INPUT"
        assert await rows_of(house, "session") == before


class TestANewDevice:
    async def seen(self, house: Any) -> int:
        async with house.database.session(house.tenant_id) as session:
            found = (await session.connection()).exec_driver_sql(SEEN)
            return int((await found).scalar_one())

    async def test_is_noticed_but_neither_the_first_nor_a_known_one(self, house: Any) -> None:
        await house.register()
        first = await enter(house)
        await enter(house)
        await enter(house, ELSEWHERE, device=first["deviceToken"])
        assert await self.seen(house) == 0
        await enter(house, "203.0.113.5")
        assert await self.seen(house) == 1


class TestStrangersWhoGuess:
    async def test_at_one_address_lock_nobody_out_elsewhere(self, house: Any) -> None:
        await house.register()
        for _ in range(9):
            await enter(house, ELSEWHERE, password="wrong")
        assert (await enter(house, ELSEWHERE))["__typename"] == "TooManyAttempts"
        assert (await enter(house))["__typename"] == "Authentication"

    async def test_at_many_addresses_lock_the_account_but_for_known_devices(self, house: Any) -> None:
        await house.register()
        known = await enter(house)
        for number in range(20):
            await enter(house, f"198.51.100.{number}", password="wrong")
        assert (await enter(house))["__typename"] == "TooManyAttempts"
        assert (await enter(house, device=known["deviceToken"]))["__typename"] == "Authentication"

    async def test_from_a_known_device_are_stopped_like_others(self, house: Any) -> None:
        await house.register()
        known = await enter(house)
        for _ in range(5):
            assert (await enter(house, password="wrong", device=known["deviceToken"]))["code"] == "INVALID_CREDENTIALS"
        assert (await enter(house, device=known["deviceToken"]))["__typename"] == "TooManyAttempts"
        assert (await enter(house))["__typename"] == "Authentication"

    async def test_gain_nothing_by_the_mark_of_another_account_or_a_forged_one(self, house: Any) -> None:
        await house.register("bob@example.com")
        bobs = await enter(house, email="bob@example.com")
        await house.register()
        name, _, signature = bobs["deviceToken"].partition(".")
        for mark in (bobs["deviceToken"], f"{'0' * len(name)}.{signature}", "x", "", "ü.ü"):
            for _ in range(6):
                await enter(house, ELSEWHERE, password="wrong", device=mark)
            assert (await enter(house, ELSEWHERE, device=mark))["__typename"] == "TooManyAttempts"
