"""What is being ordered, and whether its amounts add up."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date
from functools import cached_property
from uuid import UUID

from domain.kernel import DomainError, InvalidInput, uuid7
from domain.money import CurrencyMismatch, Money
from domain.orders.states import DeliveryMethod, OrderState, OrderType

MAX_LINES = 100
MAX_ADDRESS_LINE = 200
# What a server has to accept in its envelope, RFC 5321 section 4.5.3.1.3 less the angle brackets.
MAX_EMAIL = 254
NUMBERS_A_DAY = 1_000_000
# Odd and no multiple of five, hence coprime to a power of ten: a run of a million serials meets every number once.
_STRIDE = 387_420_489

_EMAIL = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+")


@dataclass(eq=False)
class MoneyDoesNotAddUp(DomainError):
    """The amounts of an order contradict each other."""

    what: str
    expected_minor: int
    actual_minor: int
    template = "The {what} would have to be {expected_minor}, and is {actual_minor} (in minor units)."


@dataclass(eq=False)
class EmptyOrder(DomainError):
    """There is nothing in it."""

    template = "An order needs at least one line."


def order_number(day: date, serial: int) -> str:
    """Write an order's number: `ORD-20260314-004711`, unique for a million successive serials of a day.

    Successive serials lie far apart, so that a number tells neither how much is sold nor what the neighbours are called.
    """
    return f"ORD-{day:%Y%m%d}-{serial * _STRIDE % NUMBERS_A_DAY:06d}"


@dataclass(frozen=True, kw_only=True)
class DeliveryAddress:
    """Where an order goes, as it was when the order was placed."""

    name: str | None = None
    street_line1: str
    street_line2: str | None = None
    city: str
    province: str | None = None
    postal_code: str | None = None
    country: str
    phone: str | None = None


PERSONAL = frozenset(
    {
        "guest_email",
        "notes",
        *(f"address.{name}" for name in ("name", "street_line1", "street_line2", "city", "postal_code", "phone")),
    }
)
"""What of a draft, and of the order that it becomes, says who the buyer is; country and province stay for the tax."""


def check_address(address: DeliveryAddress) -> None:
    """Refuse an address that nobody could deliver to.

    Raises: InvalidInput.
    """
    for name, text in vars(address).items():
        if text is not None and len(text) > MAX_ADDRESS_LINE:
            raise InvalidInput(field=f"address.{name}", reason=f"it has at most {MAX_ADDRESS_LINE} characters")
    if not (address.street_line1.strip() and address.city.strip()):
        raise InvalidInput(field="address", reason="it has a street and a city")


def check_email(field: str, email: str) -> None:
    """Refuse what is no address to write to.

    Raises: InvalidInput.
    """
    if len(email) > MAX_EMAIL or _EMAIL.fullmatch(email) is None:
        raise InvalidInput(field=field, reason="it is not an e-mail address")


@dataclass(frozen=True, kw_only=True)
class OrderLine:
    """So many units of one SKU; `discount`, `tax` and `total` are for all of them.

    Raises: InvalidInput.
    """

    id: UUID = field(default_factory=uuid7)
    product_id: UUID
    variant_id: UUID | None = None
    sku: str
    seller_id: UUID
    store_id: UUID
    name: str
    variant_name: str | None = None
    quantity: int
    unit: Money
    discount: Money
    tax: Money
    total: Money

    def __post_init__(self) -> None:
        if self.quantity < 1:
            raise InvalidInput(field="quantity", reason="a line has at least one unit")

    @property
    def gross_minor(self) -> int:
        return self.unit.amount_minor * self.quantity

    def check(self, currency: str, *, tax_inclusive: bool) -> None:
        """Compare the line's total with what it is made of.

        Raises: CurrencyMismatch, MoneyDoesNotAddUp.
        """
        for amount in (self.unit, self.discount, self.tax, self.total):
            if amount.currency != currency:
                raise CurrencyMismatch(expected=currency, actual=amount.currency)
            if amount.amount_minor < 0:
                raise MoneyDoesNotAddUp(
                    what=f"amounts of {self.sku}", expected_minor=0, actual_minor=amount.amount_minor
                )
        net = self.gross_minor - self.discount.amount_minor
        due = net if tax_inclusive else net + self.tax.amount_minor
        _same(f"total of {self.sku}", due, self.total.amount_minor)

    def share_of(self, units: int) -> int:
        """Give what the first `units` units cost, in minor units, rounded so that all units together cost the total."""
        return self.total.amount_minor * units // self.quantity


@dataclass(frozen=True, kw_only=True)
class SubOrder:
    """The part of an order that one seller sells from one store; amounts are in minor units of the order's currency."""

    id: UUID = field(default_factory=uuid7)
    number: str
    seller_id: UUID
    store_id: UUID
    line_ids: tuple[UUID, ...]
    subtotal_minor: int
    discount_minor: int
    tax_minor: int
    delivery_fee_minor: int
    total_minor: int
    state: OrderState = OrderState.PENDING


@dataclass(frozen=True, kw_only=True)
class OrderDraft:
    """All that a buyer agrees to by placing an order; its amounts are checked when it is placed.

    `tax` is that of the lines and of the delivery (`delivery_tax`, part of it). With `tax_inclusive`, tax is part of the
    prices and of the fee; otherwise it is added to them.
    """

    number: str
    cart_id: UUID | None = None
    customer_id: UUID | None = None
    guest_email: str | None = None
    lines: tuple[OrderLine, ...]
    currency: str
    subtotal: Money
    discount: Money
    tax: Money
    delivery_fee: Money
    total: Money
    delivery_tax: Money | None = None
    tax_inclusive: bool = False
    address: DeliveryAddress | None = None
    delivery_method: DeliveryMethod = DeliveryMethod.DELIVERY
    payment_method: str = "card"
    order_type: OrderType = OrderType.ONLINE
    codes: tuple[str, ...] = ()
    notes: str | None = None
    live_session_id: UUID | None = None

    def check(self) -> None:
        """Refuse a draft whose amounts do not add up to the cent.

        Raises: EmptyOrder, InvalidInput, CurrencyMismatch, MoneyDoesNotAddUp.
        """
        if not self.lines:
            raise EmptyOrder
        if len(self.lines) > MAX_LINES:
            raise InvalidInput(field="lines", reason=f"an order has at most {MAX_LINES}")
        if self.customer_id is None and not self.guest_email:
            raise InvalidInput(field="guestEmail", reason="an order needs a customer or an address to write to")
        if self.guest_email is not None:
            check_email("guestEmail", self.guest_email)
        if self.delivery_method is DeliveryMethod.DELIVERY and self.address is None:
            raise InvalidInput(field="address", reason="what is delivered needs an address")
        if self.address is not None:
            check_address(self.address)
        self._check_amounts()

    def _check_amounts(self) -> None:
        for amount in (self.subtotal, self.discount, self.tax, self.delivery_fee, self.total, self._delivery_tax):
            if amount.currency != self.currency:
                raise CurrencyMismatch(expected=self.currency, actual=amount.currency)
        if self.delivery_fee.amount_minor < 0 or self._delivery_tax.amount_minor < 0:
            raise MoneyDoesNotAddUp(what="delivery fee", expected_minor=0, actual_minor=self.delivery_fee.amount_minor)
        for line in self.lines:
            line.check(self.currency, tax_inclusive=self.tax_inclusive)
        _same("subtotal", sum(line.gross_minor for line in self.lines), self.subtotal.amount_minor)
        _same("discount", sum(line.discount.amount_minor for line in self.lines), self.discount.amount_minor)
        tax = sum(line.tax.amount_minor for line in self.lines) + self._delivery_tax.amount_minor
        _same("tax", tax, self.tax.amount_minor)
        _same(
            "total", sum(line.total.amount_minor for line in self.lines) + self._delivery_cost, self.total.amount_minor
        )

    @property
    def _delivery_tax(self) -> Money:
        return self.delivery_tax or Money(0, self.currency)

    @property
    def _delivery_cost(self) -> int:
        return self.delivery_fee.amount_minor + (0 if self.tax_inclusive else self._delivery_tax.amount_minor)

    @cached_property
    def sub_orders(self) -> tuple[SubOrder, ...]:
        """The order by sellers and stores; the fee for delivery is split by what each part costs, to the cent."""
        parts: dict[tuple[UUID, UUID], list[OrderLine]] = {}
        for line in self.lines:
            parts.setdefault((line.seller_id, line.store_id), []).append(line)
        lines = list(parts.values())
        # Where everything is free, everybody carries the same.
        weights = [sum(line.total.amount_minor for line in part) for part in lines]
        weights = weights if any(weights) else [1] * len(lines)
        fees = self.delivery_fee.allocate(weights)
        taxes = self._delivery_tax.allocate(weights)
        shares = zip(lines, fees, taxes, strict=True)
        return tuple(self._part(place, part, fee, tax) for place, (part, fee, tax) in enumerate(shares, start=1))

    def _part(self, place: int, lines: Sequence[OrderLine], fee: Money, delivery_tax: Money) -> SubOrder:
        cost = fee.amount_minor + (0 if self.tax_inclusive else delivery_tax.amount_minor)
        return SubOrder(
            number=f"{self.number}-{place}",
            seller_id=lines[0].seller_id,
            store_id=lines[0].store_id,
            line_ids=tuple(line.id for line in lines),
            subtotal_minor=sum(line.gross_minor for line in lines),
            discount_minor=sum(line.discount.amount_minor for line in lines),
            tax_minor=sum(line.tax.amount_minor for line in lines) + delivery_tax.amount_minor,
            delivery_fee_minor=fee.amount_minor,
            total_minor=sum(line.total.amount_minor for line in lines) + cost,
        )


def _same(what: str, expected: int, actual: int) -> None:
    if expected != actual:
        raise MoneyDoesNotAddUp(what=what, expected_minor=expected, actual_minor=actual)
