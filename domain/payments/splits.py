"""Whom the parts of a payment are for: the goods of each seller, the tax on them, and what the platform charges itself."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from uuid import UUID

from domain.kernel import DomainError, InvalidInput
from domain.money import Money

DEFAULT_COMMISSION = Decimal("0.10")


@dataclass(eq=False)
class SplitsDoNotAddUp(DomainError):
    """The parts of a payment, in minor units, come to another sum than the payment."""

    expected_minor: int
    actual_minor: int
    template = "The parts come to {actual_minor} where the payment is {expected_minor}."


@dataclass(eq=False)
class RefundExceedsPayment(DomainError):
    """More is to be given back, in minor units, than is left of a payment or of one of its parts."""

    requested_minor: int
    refundable_minor: int
    template = "{requested_minor} cannot be refunded: {refundable_minor} is left."


@dataclass(frozen=True, kw_only=True)
class Split:
    """One part, in minor units: a sub-order's goods for its seller and the tax on them.

    Without a seller it is what the platform charges itself, such as delivery. `goods_minor` is what is left after
    discounts; the commission is taken from it when it is released, at the rate that held when it was sold.
    """

    sub_order_id: UUID | None = None
    seller_id: UUID | None = None
    goods_minor: int = 0
    tax_minor: int = 0
    commission_rate: Decimal = DEFAULT_COMMISSION
    goods_refunded_minor: int = 0
    tax_refunded_minor: int = 0

    @property
    def total_minor(self) -> int:
        return self.goods_minor + self.tax_minor

    @property
    def goods_left_minor(self) -> int:
        return self.goods_minor - self.goods_refunded_minor

    @property
    def tax_left_minor(self) -> int:
        return self.tax_minor - self.tax_refunded_minor

    def less(self, part: "RefundPart") -> "Split":
        """Give the split after a refund of one of its parts, or (with negative amounts) after taking one back."""
        goods = self.goods_refunded_minor + part.goods_minor
        tax = self.tax_refunded_minor + part.tax_minor
        if not (0 <= goods <= self.goods_minor and 0 <= tax <= self.tax_minor):
            raise RefundExceedsPayment(
                requested_minor=part.total_minor, refundable_minor=self.goods_left_minor + self.tax_left_minor
            )
        return replace(self, goods_refunded_minor=goods, tax_refunded_minor=tax)


@dataclass(frozen=True, kw_only=True)
class RefundPart:
    """What is given back of one split, in minor units; no sub-order means the platform's own charge."""

    sub_order_id: UUID | None = None
    goods_minor: int = 0
    tax_minor: int = 0

    @property
    def total_minor(self) -> int:
        return self.goods_minor + self.tax_minor

    def __neg__(self) -> "RefundPart":
        return replace(self, goods_minor=-self.goods_minor, tax_minor=-self.tax_minor)


def check_splits(splits: Sequence[Split], amount_minor: int) -> None:
    """Refuse splits that do not come to the amount, or that nobody could tell apart.

    Raises: SplitsDoNotAddUp, InvalidInput.
    """
    if any(min(each.goods_minor, each.tax_minor) < 0 for each in splits):
        raise InvalidInput(field="splits", reason="no part of a payment can be negative")
    if any((each.seller_id is None) != (each.sub_order_id is None) for each in splits):
        raise InvalidInput(field="splits", reason="a seller's part names its sub-order, the platform's own neither")
    if len({each.sub_order_id for each in splits}) != len(splits):
        raise InvalidInput(field="splits", reason="every sub-order has one part")
    total = sum(each.total_minor for each in splits)
    if total != amount_minor:
        raise SplitsDoNotAddUp(expected_minor=amount_minor, actual_minor=total)


def spread(splits: Sequence[Split], amount: Money) -> tuple[RefundPart, ...]:
    """Spread a refund over what is left of all parts, in proportion and to the cent.

    Raises: RefundExceedsPayment.
    """
    left = [weight for each in splits for weight in (each.goods_left_minor, each.tax_left_minor)]
    if not 0 < amount.amount_minor <= sum(left):
        raise RefundExceedsPayment(requested_minor=amount.amount_minor, refundable_minor=sum(left))
    shares = [share.amount_minor for share in amount.allocate(left)]
    parts = (
        RefundPart(sub_order_id=each.sub_order_id, goods_minor=goods, tax_minor=tax)
        for each, goods, tax in zip(splits, shares[::2], shares[1::2], strict=True)
    )
    return tuple(part for part in parts if part.total_minor)


def take(splits: Sequence[Split], parts: Sequence[RefundPart]) -> tuple[Split, ...]:
    """Note parts as given back (negative ones as taken back).

    Raises: RefundExceedsPayment, InvalidInput for a sub-order that the payment has not.
    """
    wanted = {part.sub_order_id: part for part in parts}
    if len(wanted) != len(parts) or wanted.keys() - {each.sub_order_id for each in splits}:
        raise InvalidInput(field="parts", reason="each names one part of the payment, once")
    return tuple(each.less(wanted[each.sub_order_id]) if each.sub_order_id in wanted else each for each in splits)
