"""Roles that permit something on conditions, from their definition to the token."""

from dataclasses import replace
from typing import Any

import pytest

DEFINE = """mutation($conditions: [PermissionConditionInput!]!) {
  defineRole(input: {name: "first_line", permissions: ["orders.read"], conditions: $conditions}) {
    __typename ... on Role { permissions conditions } ... on InvalidCondition { permission reason } } }"""
ASSIGN = """mutation($id: ID!) { assignRole(input: {userId: $id, role: "first_line"}) { __typename } }"""
LIMIT = "object.amount_minor <= 10000 && request.hour >= 9"
GRANT = {"permission": "payments.refund", "expression": LIMIT}


class TestARole:
    async def test_takes_its_conditions_into_the_token(self, house: Any) -> None:
        admin = await house.member("admin@example.com", "admin")
        made = await house.do(DEFINE, admin["accessToken"], conditions=[GRANT])
        assert made == {"__typename": "Role", "permissions": ["orders.read"], "conditions": {"payments.refund": LIMIT}}
        ann = await house.member()
        assert (await house.do(ASSIGN, admin["accessToken"], id=ann["user"]["id"]))["__typename"] == "User"
        token = (await house.login())["accessToken"]
        principal = (await house.auth.check(token)).principal
        assert principal.permissions == {"orders.read"}
        assert principal.conditions == (("payments.refund", LIMIT),)
        assert (principal.might("payments.refund"), principal.may("payments.refund")) == (True, False)

    async def test_without_conditions_leaves_the_token_as_it_was(self, house: Any) -> None:
        ann = await house.member()
        assert (await house.auth.check(ann["accessToken"])).principal.conditions == ()

    @pytest.mark.parametrize(
        ("expression", "reason"),
        [("object.colour == 'red'", "there is no object.colour"), ("1 +", "it is no expression of CEL")],
    )
    async def test_is_not_defined_with_a_condition_that_cannot_be_decided(
        self, house: Any, expression: str, reason: str
    ) -> None:
        admin = await house.member("admin@example.com", "admin")
        refused = await house.do(DEFINE, admin["accessToken"], conditions=[{**GRANT, "expression": expression}])
        assert refused == {"__typename": "InvalidCondition", "permission": "payments.refund", "reason": reason}
        listed = (await house.ask("{ roles { name } }", admin["accessToken"])).data["roles"]
        assert "first_line" not in {each["name"] for each in listed}

    async def test_that_permits_on_a_condition_is_not_handed_on_by_those_who_may_not(self, house: Any) -> None:
        admin = await house.member("admin@example.com", "admin")
        await house.do(DEFINE, admin["accessToken"], conditions=[GRANT])
        ann = await house.member()
        lesser = (await house.auth.check(ann["accessToken"])).principal
        lesser = replace(lesser, permissions=frozenset({"identity.roles", "orders.read"}))
        answer = await house.ask_as(lesser, ASSIGN, id=admin["user"]["id"])
        assert answer.data["assignRole"] == {"__typename": "Forbidden"}
