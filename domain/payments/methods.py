"""How somebody pays: by a token of the provider; card numbers never come near us."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from typing import Protocol
from uuid import UUID

from domain.kernel import Aggregate, DomainError, Event, InvalidInput, NotFound, Work, event

_TOKEN = re.compile(r"[A-Za-z0-9_\-.:|]{1,200}")
_DIGITS = re.compile(r"[0-9]{12,19}")
_LAST4 = re.compile(r"[0-9]{4}")
MAX_SAVED = 20


class MethodKind(StrEnum):
    """What somebody pays with."""

    CARD = "card"
    WALLET = "wallet"
    BANK_TRANSFER = "bank_transfer"
    CASH = "cash"


@dataclass(eq=False)
class CardNumberRefused(DomainError):
    """Something that looks like a card number came where a token belongs; it is kept nowhere."""

    field: str
    template = "{field} looks like a card number: send the payment provider's token instead."


@dataclass(frozen=True, kw_only=True)
class Method:
    """What one payment is paid with; of a card, only its brand and last four digits are known.

    `fingerprint` is the provider's name for the same card under whatever token.
    Raises: CardNumberRefused, InvalidInput.
    """

    kind: MethodKind
    provider: str
    token: str = ""
    brand: str | None = None
    last4: str | None = None
    fingerprint: str | None = None

    def __post_init__(self) -> None:
        refuse_card_number("token", self.token)
        if self.kind in {MethodKind.CARD, MethodKind.WALLET} and not _TOKEN.fullmatch(self.token):
            raise InvalidInput(field="token", reason="it is not a token of a payment provider")
        if self.last4 is not None and not _LAST4.fullmatch(self.last4):
            raise InvalidInput(field="last4", reason="only the last four digits of a card may be given")


def refuse_card_number(field: str, text: str) -> None:
    """Refuse digits that pass for a card number, however they are spaced.

    Raises: CardNumberRefused.
    Source: ISO/IEC 7812 (12 to 19 digits, Luhn's check digit).
    """
    digits = re.sub(r"[ \-]", "", text)
    if _DIGITS.fullmatch(digits) and _luhn(digits):
        raise CardNumberRefused(field=field)


def _luhn(digits: str) -> bool:
    doubled = [int(digit) * (2 if place % 2 else 1) for place, digit in enumerate(reversed(digits))]
    return sum(value - 9 if value > 9 else value for value in doubled) % 10 == 0


@event("payments.method_saved")
@dataclass(frozen=True, kw_only=True)
class PaymentMethodSaved(Event):
    user_id: UUID
    provider: str
    kind: MethodKind


@event("payments.method_deleted")
@dataclass(frozen=True, kw_only=True)
class PaymentMethodDeleted(Event):
    user_id: UUID


@dataclass(eq=False, kw_only=True)
class SavedMethod(Aggregate):
    """A method that somebody keeps for later payments; the token works at its provider only."""

    user_id: UUID
    kind: MethodKind
    provider: str
    token: str
    brand: str | None = None
    last4: str | None = None
    expires_on: date | None = None
    is_default: bool = False

    def save(self) -> None:
        """Note that it is kept from now on."""
        self.record(PaymentMethodSaved(user_id=self.user_id, provider=self.provider, kind=self.kind))

    def delete(self) -> None:
        """Note that it is kept no longer."""
        self.record(PaymentMethodDeleted(user_id=self.user_id))


class SavedMethods(Protocol):
    """Kept methods, for change."""

    async def of_user(self, user_id: UUID) -> Sequence[SavedMethod]: ...

    def add(self, method: SavedMethod) -> None: ...

    async def remove(self, method: SavedMethod) -> None: ...


@dataclass(frozen=True, kw_only=True)
class SavePaymentMethod:
    """Keep a method of payment by its provider's token; the first one is the default."""

    provider: str
    token: str
    kind: MethodKind = MethodKind.CARD
    brand: str | None = None
    last4: str | None = None
    expires_on: date | None = None
    is_default: bool = False


@dataclass(frozen=True, kw_only=True)
class DeletePaymentMethod:
    """Forget a kept method of payment."""

    id: UUID


async def save_payment_method(command: SavePaymentMethod, work: Work, methods: SavedMethods) -> SavedMethod:
    """Keep a method for the caller.

    Raises: CardNumberRefused, InvalidInput, Unauthenticated.
    """
    user_id = work.actor.require_user()
    method = Method(
        kind=command.kind, provider=command.provider, token=command.token, brand=command.brand, last4=command.last4
    )
    kept = await methods.of_user(user_id)
    same = next((each for each in kept if (each.provider, each.token) == (method.provider, method.token)), None)
    if same is not None:
        return same
    if len(kept) >= MAX_SAVED:
        raise InvalidInput(field="token", reason=f"at most {MAX_SAVED} methods can be kept")
    if command.is_default:
        for each in kept:
            each.is_default = False
    saved = SavedMethod(
        tenant_id=work.tenant_id,
        user_id=user_id,
        kind=method.kind,
        provider=method.provider,
        token=method.token,
        brand=method.brand,
        last4=method.last4,
        expires_on=command.expires_on,
        is_default=command.is_default or not kept,
    )
    saved.save()
    methods.add(saved)
    return saved


async def delete_payment_method(command: DeletePaymentMethod, work: Work, methods: SavedMethods) -> SavedMethod:
    """Forget one of the caller's methods; another becomes the default where this was it.

    Raises: NotFound, Unauthenticated.
    """
    kept = await methods.of_user(work.actor.require_user())
    method = next((each for each in kept if each.id == command.id), None)
    if method is None:
        raise NotFound(kind="PaymentMethod", id=str(command.id))
    method.delete()
    await methods.remove(method)
    others = [each for each in kept if each is not method]
    if method.is_default and others:
        others[0].is_default = True
    return method
