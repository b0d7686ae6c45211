"""Sessions, roles and locks, through the graph."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from strawberry.types.field import StrawberryField

from domain.identity.roles import PERMISSIONS
from domain.kernel import Unauthenticated, uuid7
from schema.graph import CONTEXTS, subgraph
from schema.kernel import visibility_of


class TestSessions:
    async def test_are_listed_and_revoked_one_by_one(self, house: Any) -> None:
        phone, laptop = await house.member(), await house.login()
        listed = (await house.ask("{ mySessions { id isCurrent } }", laptop["accessToken"])).data["mySessions"]
        assert {each["id"]: each["isCurrent"] for each in listed} == {
            phone["session"]["id"]: False,
            laptop["session"]["id"]: True,
        }
        revoke = "mutation($id: ID!) { revokeSession(id: $id) { __typename ... on UserSession { revokedReason } } }"
        ended = await house.do(revoke, laptop["accessToken"], id=phone["session"]["id"])
        assert ended == {"__typename": "UserSession", "revokedReason": "REVOKED"}
        with pytest.raises(Unauthenticated):
            await house.ask(house.ME, phone["accessToken"])

    async def test_of_others_answer_like_ones_that_never_were(self, house: Any) -> None:
        ann, bob = await house.member(), await house.member("bob@example.com")
        revoke = "mutation($id: ID!) { revokeSession(id: $id) { __typename ... on NotFound { kind } } }"
        answer = await house.do(revoke, bob["accessToken"], id=ann["session"]["id"])
        assert answer == {"__typename": "NotFound", "kind": "Session"}
        assert (await house.do(house.ME, ann["accessToken"]))["email"] == "ann@example.com"

    async def test_are_checked_without_a_statement_per_request(self, house: Any) -> None:
        token = (await house.member())["accessToken"]
        answer = await house.ask("{ __typename }", token)
        assert (answer.reads, answer.writes) == (0, 0)

    async def test_leave_a_log_that_their_owner_can_read(self, house: Any) -> None:
        await house.register()
        await house.login(password="wrong")
        token = (await house.login())["accessToken"]
        log = await house.do("{ myLoginLog { nodes { kind succeeded reason address } } }", token)
        assert log["nodes"] == [
            {"kind": "LOGIN", "succeeded": True, "reason": None, "address": "192.0.2.7"},
            {"kind": "LOGIN", "succeeded": False, "reason": "wrong_password", "address": "192.0.2.7"},
        ]


ASSIGN = """mutation($input: AssignRoleInput!) { assignRole(input: $input) {
  __typename ... on User { roles { role storeId } } ... on Error { code message } } }"""


class TestRoles:
    async def test_change_what_the_next_token_permits_and_end_the_last(self, house: Any) -> None:
        admin, ann = await house.member("admin@example.com", "admin"), await house.member()
        house.clock.now += timedelta(seconds=10)
        given = {"userId": ann["user"]["id"], "role": "moderator"}
        answer = await house.do(ASSIGN, admin["accessToken"], input=given)
        assert answer["roles"] == [{"role": "buyer", "storeId": None}, {"role": "moderator", "storeId": None}]
        house.clock.now += timedelta(seconds=5)
        with pytest.raises(Unauthenticated, match="refresh"):
            await house.ask(house.ME, ann["accessToken"])
        fresh = await house.do(house.REFRESH, given=ann["refreshToken"])
        assert (await house.auth.check(fresh["accessToken"])).principal.may("reviews.moderate")

    async def test_are_not_handed_on_by_who_has_less(self, house: Any) -> None:
        admin, ann = await house.member("admin@example.com", "admin"), await house.member()
        given = {"userId": ann["user"]["id"], "role": "super_admin"}
        assert (await house.do(ASSIGN, admin["accessToken"], input=given))["code"] == "FORBIDDEN"
        given["userId"] = admin["user"]["id"]
        assert (await house.do(ASSIGN, admin["accessToken"], input=given))["code"] == "FORBIDDEN"
        assert (await house.do("{ me { roles { role } } }", ann["accessToken"])) == {"roles": [{"role": "buyer"}]}

    async def test_are_not_for_unknown_stores_and_roles(self, house: Any) -> None:
        admin, ann = await house.member("admin@example.com", "admin"), await house.member()
        given = {"userId": ann["user"]["id"], "role": "store_manager", "storeId": str(uuid7())}
        assert (await house.do(ASSIGN, admin["accessToken"], input=given))["code"] == "NOT_FOUND"
        given = {"userId": ann["user"]["id"], "role": "emperor"}
        assert (await house.do(ASSIGN, admin["accessToken"], input=given))["code"] == "NOT_FOUND"

    async def test_are_not_for_users_of_another_tenant(
        self, house: Any, make_house: Any, make_tenant: Callable[..., UUID]
    ) -> None:
        other = make_house(make_tenant())
        admin, stranger = await house.member("admin@example.com", "admin"), await other.member()
        for user_id in (stranger["user"]["id"], str(uuid7())):
            answer = await house.do(ASSIGN, admin["accessToken"], input={"userId": user_id, "role": "driver"})
            assert answer == {
                "__typename": "NotFound",
                "code": "NOT_FOUND",
                "message": f"User {user_id} does not exist.",
            }

    async def test_of_the_tenant_stand_in_the_matrix(self, house: Any) -> None:
        admin = await house.member("admin@example.com", "admin")
        define = """mutation($input: DefineRoleInput!) { defineRole(input: $input) {
          __typename ... on Role { name isPreset permissions } ... on Error { code } } }"""
        given = {"name": "auditor", "permissions": ["inventory.read", "catalog.write"]}
        assert await house.do(define, admin["accessToken"], input=given) == {
            "__typename": "Role",
            "name": "auditor",
            "isPreset": False,
            "permissions": ["catalog.write", "inventory.read"],
        }
        for wrong, code in (
            ({**given, "permissions": ["platform.operate"]}, "FORBIDDEN"),
            ({**given, "permissions": ["*"]}, "INVALID_INPUT"),
            ({**given, "name": "admin"}, "ALREADY_EXISTS"),
        ):
            assert (await house.do(define, admin["accessToken"], input=wrong))["code"] == code
        roles = (await house.ask("{ roles { name isPreset } }", admin["accessToken"])).data["roles"]
        assert len(roles) == 17
        assert roles[-1] == {"name": "auditor", "isPreset": False}


class TestLockUser:
    LOCK = "mutation($id: ID!) { lockUser(input: {userId: $id}) { __typename ... on Error { code } } }"
    UNLOCK = "mutation($id: ID!) { unlockUser(input: {userId: $id}) { __typename ... on Error { code } } }"

    async def test_keeps_the_user_out_until_unlocked_and_tells_only_who_knows_the_password(self, house: Any) -> None:
        admin, ann = await house.member("admin@example.com", "admin"), await house.member()
        assert (await house.do(self.LOCK, admin["accessToken"], id=ann["user"]["id"]))["__typename"] == "User"
        house.clock.now += timedelta(seconds=5)
        with pytest.raises(Unauthenticated):
            await house.ask(house.ME, ann["accessToken"])
        assert (await house.login(password="wrong"))["__typename"] == "InvalidCredentials"
        assert (await house.login())["__typename"] == "AccountLocked"
        assert (await house.do(self.LOCK, admin["accessToken"], id=ann["user"]["id"])) == {
            "__typename": "InvalidStateTransition",
            "code": "INVALID_STATE_TRANSITION",
        }
        await house.do(self.UNLOCK, admin["accessToken"], id=ann["user"]["id"])
        assert (await house.login())["__typename"] == "Authentication"

    async def test_unlocking_lifts_the_lock_of_wrong_passwords_too(self, house: Any) -> None:
        admin, ann = await house.member("admin@example.com", "admin"), await house.member()
        for _ in range(5):
            await house.login(password="wrong")
        assert (await house.login())["__typename"] == "TooManyAttempts"
        await house.do(self.UNLOCK, admin["accessToken"], id=ann["user"]["id"])
        assert (await house.login())["__typename"] == "Authentication"

    async def test_is_not_for_those_above_oneself_nor_for_oneself(self, house: Any) -> None:
        boss = await house.member("boss@example.com", "super_admin")
        admin = await house.member("admin@example.com", "admin")
        assert (await house.do(self.LOCK, admin["accessToken"], id=boss["user"]["id"]))["code"] == "FORBIDDEN"
        assert (await house.do(self.LOCK, admin["accessToken"], id=admin["user"]["id"]))["code"] == "INVALID_INPUT"
        assert (await house.login("boss@example.com"))["__typename"] == "Authentication"


class TestPermissions:
    def test_name_everything_that_a_field_of_the_graph_asks_for(self) -> None:
        asked: set[str] = set()
        for context in CONTEXTS:
            for concrete in subgraph(context).schema_converter.type_map.values():
                for field in getattr(concrete.definition, "fields", ()):
                    who = visibility_of(field) if isinstance(field, StrawberryField) else None
                    asked |= {who.name.removeprefix("owner or ")} if who is not None else set()
        assert {name for name in asked if "." in name} <= PERMISSIONS.keys()
