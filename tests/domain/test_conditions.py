"""Conditions of permissions: what may be written, and what is decided by them."""

import sys
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import pytest

from domain.conditions import LONGEST, MOST_IN_A_TOKEN, Circumstances, InvalidCondition, check_condition, holds
from domain.identity.roles import RoleDefinition, conditions_of
from domain.kernel import Forbidden, Principal, Work

FRIDAY = datetime(2026, 3, 13, 15, 30, tzinfo=UTC)
SUNDAY = datetime(2026, 3, 15, 15, 30, tzinfo=UTC)
SMALL = "object.amount_minor <= 10000 && object.currency == 'CAD'"
OFFICE = "request.hour >= 9 && request.hour < 17 && request.weekday <= 5"


def at(moment: datetime, **more: Any) -> Circumstances:
    return Circumstances(now=moment, timezone="America/Toronto", **more)


def clerk(*conditions: str, permission: str = "payments.refund", **more: Any) -> Principal:
    return Principal(
        user_id=uuid4(),
        roles=frozenset({"clerk"}),
        conditions=tuple((permission, each) for each in conditions),
        circumstances=at(FRIDAY, address="10.1.2.3"),
        **more,
    )


class TestAChecked:
    @pytest.mark.parametrize(
        "expression",
        [
            SMALL,
            OFFICE,
            "'clerk' in principal.roles && request.second_factor && !request.api_key",
            "within(request.address, '10.0.0.0/8')",
            "request.address.startsWith('10.') || size(principal.stores) == 1",
        ],
    )
    def test_condition_is_accepted(self, expression: str) -> None:
        check_condition("payments.refund", expression)

    @pytest.mark.parametrize(
        ("expression", "reason"),
        [
            ("", f"it has between 1 and {LONGEST} characters"),
            ("true && " * 50 + "true", f"it has between 1 and {LONGEST} characters"),
            ("request.hour >", "it is no expression of CEL"),
            ("request.moon == 'full'", "there is no request.moon"),
            ("object.colour == 'red'", "there is no object.colour"),
            ("password == 'x'", "there is no password"),
            ("request['hour'] > 9", "there is no request"),
            ("[1, 2].exists(each, each > 1)", "there is no"),
            ("matches(request.address, '(a+)+b')", "there is no matches"),
            ("+".join(["1"] * 40) + " > 1", "it has at most 30 operations"),
        ],
    )
    def test_condition_is_refused(self, expression: str, reason: str) -> None:
        with pytest.raises(InvalidCondition) as refused:
            check_condition("payments.refund", expression)
        assert refused.value.reason.startswith(reason)

    def test_condition_asks_of_the_object_only_what_its_permission_tells(self) -> None:
        with pytest.raises(InvalidCondition, match=r"object\.amount_minor"):
            check_condition("identity.read", SMALL)


class TestHolding:
    def test_looks_at_the_amount(self) -> None:
        who = clerk(SMALL)
        assert who.may("payments.refund", {"amount_minor": 10_000, "currency": "CAD"})
        assert not who.may("payments.refund", {"amount_minor": 10_001, "currency": "CAD"})
        assert not who.may("payments.refund", {"amount_minor": 1, "currency": "USD"})

    def test_looks_at_the_clock_of_the_tenant(self) -> None:
        assert holds(OFFICE, {}, at(FRIDAY), None)
        assert not holds(OFFICE, {}, at(SUNDAY), None)
        assert not holds("request.hour >= 15", {}, at(FRIDAY), None)

    def test_looks_at_where_the_request_came_from(self) -> None:
        inside = "within(request.address, '10.0.0.0/8')"
        assert holds(inside, {}, at(FRIDAY, address="10.1.2.3"), None)
        assert not holds(inside, {}, at(FRIDAY, address="192.0.2.7"), None)

    @pytest.mark.parametrize(
        "expression", ["within('nowhere', '10.0.0.0/8')", "object.amount_minor < 5", "1 / 0 > 1", "7"]
    )
    def test_denies_what_cannot_be_decided(self, expression: str) -> None:
        assert not holds(expression, {}, at(FRIDAY), {})

    def test_denies_where_nothing_is_known_of_the_request(self) -> None:
        assert not holds(OFFICE, {}, None, None)

    def test_needs_one_of_several_conditions(self) -> None:
        who = clerk("object.amount_minor < 5", SMALL)
        assert who.may("payments.refund", {"amount_minor": 500, "currency": "CAD"})


class TestAPrincipal:
    def test_is_let_in_where_it_depends_on_the_object(self) -> None:
        who = clerk(SMALL)
        assert (who.might("payments.refund"), who.may("payments.refund")) == (True, False)
        assert not who.might("payments.payout")

    def test_with_the_permission_itself_is_asked_nothing(self) -> None:
        who = clerk("false", permissions=frozenset({"payments.*"}))
        assert who.may("payments.refund")

    def test_without_conditions_costs_no_library(self) -> None:
        known = sys.modules.get("cel")
        sys.modules["cel"] = None  # type: ignore[assignment]
        try:
            assert not Principal(user_id=uuid4()).might("payments.refund")
            Work(tenant_id=uuid4(), actor=Principal(), now=FRIDAY, correlation_id="").require("payments.refund")
        finally:
            if known is None:
                del sys.modules["cel"]
            else:
                sys.modules["cel"] = known

    def test_is_refused_by_the_work_beyond_the_condition(self) -> None:
        work = Work(tenant_id=uuid4(), actor=clerk(SMALL), now=FRIDAY, correlation_id="")
        work.require("payments.refund", amount_minor=1, currency="CAD")
        with pytest.raises(Forbidden):
            work.require("payments.refund", amount_minor=10_001, currency="CAD")


class _Roles:
    def __init__(self, *pairs: tuple[str, str]) -> None:
        self.pairs = pairs

    async def conditions_of(self, names: Any) -> Any:
        return self.pairs


class TestARole:
    def test_hands_on_no_condition_of_what_its_maker_may_not(self) -> None:
        role = RoleDefinition(tenant_id=uuid4(), name="clerk")
        with pytest.raises(Forbidden):
            role.define(None, [], clerk(SMALL), {"payments.refund": SMALL})
        assert role.conditions == {}

    def test_keeps_good_conditions_beside_its_permissions(self) -> None:
        role = RoleDefinition(tenant_id=uuid4(), name="clerk")
        role.define(None, ["orders.read"], Principal(permissions=frozenset({"*"})), {"payments.refund": SMALL})
        assert (role.permissions, role.conditions) == (["orders.read"], {"payments.refund": SMALL})
        assert role.reach == {"orders.read", "payments.refund"}

    async def test_gives_a_token_no_more_than_it_carries(self) -> None:
        pairs = [(f"catalog.p{letter}", letter * 290) for letter in "abcdefghij"]
        granted = await conditions_of(["clerk"], _Roles(*pairs))  # type: ignore[arg-type]
        assert sum(len(name) + len(text) for name, text in granted) <= MOST_IN_A_TOKEN
        assert granted == tuple(pairs[:6])
