"""Pricing rules: markups and discounts that follow from conditions, the first that fits by priority."""

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol
from uuid import UUID

from domain.kernel import UNCHANGED, Aggregate, Event, NotFound, Unchanged, Work, event
from domain.pricing.campaigns import owner_of, require_owner
from domain.pricing.terms import RuleKind, RuleTerms, check_rule, check_window, clean_name


@event("pricing.rule_created")
@dataclass(frozen=True, kw_only=True)
class PricingRuleCreated(Event):
    title: str
    kind: str
    seller_id: UUID | None


@event("pricing.rule_updated")
@dataclass(frozen=True, kw_only=True)
class PricingRuleUpdated(Event):
    title: str
    is_active: bool


@dataclass(eq=False, kw_only=True)
class PricingRule(Aggregate):
    """A rule that changes unit prices while it is in force; the lowest priority number comes first."""

    seller_id: UUID | None
    name: str
    kind: RuleKind
    priority: int = 100
    terms: RuleTerms
    starts_at: datetime
    ends_at: datetime | None
    is_active: bool = True

    def check(self) -> None:
        """Refuse a rule that makes no sense.

        Raises: InvalidInput.
        """
        self.name = clean_name(self.name)
        check_rule(self.kind, self.terms)
        check_window(self.starts_at, self.ends_at)


class PricingRules(Protocol):
    """Rules for change."""

    async def lock(self, rule_id: UUID) -> PricingRule | None: ...

    async def add(self, rule: PricingRule) -> None: ...


@dataclass(frozen=True, kw_only=True)
class CreatePricingRule:
    """Make a rule; a seller's is for the seller's own goods."""

    name: str
    kind: RuleKind
    terms: RuleTerms
    priority: int = 100
    starts_at: datetime | None = None
    ends_at: datetime | None = None
    seller_id: UUID | None = None


@dataclass(frozen=True, kw_only=True)
class UpdatePricingRule:
    """Change a rule, or switch it on or off."""

    id: UUID
    name: str | Unchanged = UNCHANGED
    terms: RuleTerms | Unchanged = UNCHANGED
    priority: int | Unchanged = UNCHANGED
    starts_at: datetime | Unchanged = UNCHANGED
    ends_at: datetime | Unchanged | None = UNCHANGED
    is_active: bool | Unchanged = UNCHANGED
    expected_version: int | None = None


async def create_pricing_rule(command: CreatePricingRule, work: Work, rules: PricingRules) -> PricingRule:
    rule = PricingRule(
        tenant_id=work.tenant_id,
        seller_id=owner_of(work.actor, command.seller_id),
        name=command.name,
        kind=command.kind,
        priority=command.priority,
        terms=command.terms,
        starts_at=command.starts_at or work.now,
        ends_at=command.ends_at,
    )
    rule.check()
    rule.record(PricingRuleCreated(title=rule.name, kind=rule.kind, seller_id=rule.seller_id))
    await rules.add(rule)
    return rule


async def update_pricing_rule(command: UpdatePricingRule, work: Work, rules: PricingRules) -> PricingRule:
    rule = await rules.lock(command.id)
    if rule is None:
        raise NotFound(kind="PricingRule", id=str(command.id))
    require_owner(work.actor, "PricingRule", rule)
    rule.expect_version(command.expected_version)
    for name in ("name", "terms", "priority", "starts_at", "ends_at", "is_active"):
        value = getattr(command, name)
        if value is not UNCHANGED:
            setattr(rule, name, value)
    rule.check()
    rule.record(PricingRuleUpdated(title=rule.name, is_active=rule.is_active))
    return rule
