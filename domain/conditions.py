"""Conditions of permissions: expressions in CEL over who asks, in which circumstances, and what is to be done.

Source: Common Expression Language, cel.dev; of it only what is decided in a bounded number of steps.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from ipaddress import ip_address, ip_network
from typing import Any
from zoneinfo import ZoneInfo

from domain.kernel import DomainError

LONGEST = 300
MOST_OPERATIONS = 30
MOST_IN_A_TOKEN = 2_000
"""So many letters of conditions a token carries; what goes beyond is not granted."""

PRINCIPAL = frozenset({"roles", "stores"})
REQUEST = frozenset({"hour", "minute", "weekday", "address", "second_factor", "api_key"})
ATTRIBUTES: Mapping[str, frozenset[str]] = {
    "inventory.adjust": frozenset({"change", "sku", "store_id"}),
    "orders.update": frozenset({"age_hours", "amount_minor", "currency"}),
    "payments.payout": frozenset({"amount_minor", "currency"}),
    "payments.refund": frozenset({"amount_minor", "currency"}),
    "pricing.write": frozenset({"amount_minor", "currency", "sku"}),
}
"""What conditions of a permission may ask of the object; other permissions' may ask nothing of any."""

_FUNCTIONS = frozenset({"contains", "endsWith", "size", "startsWith", "within"})
_MEMBER = re.compile(r"\b(principal|request|object)\b\s*(?:\.\s*(\w+))?")
_STRING = re.compile(r"'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\"")
_OBJECT = re.compile(r"\bobject\b")


@dataclass(eq=False)
class InvalidCondition(DomainError):
    """A condition that cannot be decided, or not cheaply enough."""

    permission: str
    reason: str
    template = "The condition of {permission} is not good: {reason}."


@dataclass(frozen=True, kw_only=True)
class Circumstances:
    """When and from where something is asked; `now` is looked at in the tenant's own time zone."""

    now: datetime
    timezone: str = "UTC"
    address: str = ""
    second_factor: bool = False
    api_key: bool = False

    def facts(self) -> Mapping[str, Any]:
        """Give what conditions may ask; Monday is 1."""
        local = self.now.astimezone(ZoneInfo(self.timezone))
        return {
            "hour": local.hour,
            "minute": local.minute,
            "weekday": local.isoweekday(),
            "address": self.address,
            "second_factor": self.second_factor,
            "api_key": self.api_key,
        }


def check_condition(permission: str, expression: str) -> None:
    """Refuse a condition that is too long, is no CEL, or names what there is not.

    Raises: InvalidCondition.
    """
    if not 0 < len(expression) <= LONGEST:
        raise InvalidCondition(permission=permission, reason=f"it has between 1 and {LONGEST} characters")
    try:
        program = _compiled(expression)
    except ValueError as error:
        raise InvalidCondition(permission=permission, reason="it is no expression of CEL") from error
    named = {each for each in program.functions() if each.isidentifier()}
    if unknown := sorted(named - _FUNCTIONS):
        raise InvalidCondition(permission=permission, reason=f"there is no {', '.join(unknown)}")
    if len(re.findall(r"&&|\|\||[<>=!]=|[<>+*/%?-]|\bin\b", expression)) > MOST_OPERATIONS:
        raise InvalidCondition(permission=permission, reason=f"it has at most {MOST_OPERATIONS} operations")
    _check_names(permission, expression, program)


def _check_names(permission: str, expression: str, program: Any) -> None:
    known = {"principal": PRINCIPAL, "request": REQUEST, "object": ATTRIBUTES.get(permission, frozenset())}
    unknown = set(program.variables()) - known.keys()
    for root, name in _MEMBER.findall(_STRING.sub("''", expression)):
        if name not in known[root]:
            unknown.add(f"{root}.{name}" if name else root)
    if unknown:
        raise InvalidCondition(permission=permission, reason=f"there is no {', '.join(sorted(unknown))}")


def holds(
    expression: str, principal: Mapping[str, Any], circumstances: Circumstances | None, thing: Mapping[str, Any] | None
) -> bool:
    """Decide a condition; whatever cannot be decided does not hold."""
    try:
        known = {
            "principal": principal,
            "request": circumstances.facts() if circumstances else {},
            "object": thing or {},
            "within": _within,
        }
        return _compiled(expression).execute(known) is True
    except Exception:  # noqa: BLE001 — a condition that fails is a condition that does not hold.
        return False


def asks_of_object(expression: str) -> bool:
    """Say whether a condition depends on what is to be done, and so cannot be decided at the door."""
    return bool(_OBJECT.search(_STRING.sub("''", expression)))


@lru_cache(1_024)
def _compiled(expression: str) -> Any:
    # Few principals have conditions, and those who have none should not pay for the library.
    import cel  # noqa: PLC0415

    return cel.compile(expression)


def _within(address: str, network: str) -> bool:
    return ip_address(address) in ip_network(network)
