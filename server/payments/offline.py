"""Ways of paying that no machine answers for: a bank transfer that has to arrive, and cash at the door.

They keep nothing. What they answer follows from the request alone, so the same key gets the same answer.
"""

import re
from collections.abc import Collection
from hashlib import sha256
from typing import ClassVar
from uuid import UUID

from domain.money import Money
from domain.payments.providers import (
    ChargeOutcome,
    ChargeRequest,
    ChargeStatus,
    RefundOutcome,
    RefundStatus,
    TransferOutcome,
    TransferStatus,
    require_key,
    require_positive,
)

_ACCOUNT = re.compile(r"[A-Z]{2}[0-9]{2}[A-Z0-9]{4,30}")
_CASH = "cash_"
# The letters RF and no check digits yet, as ISO 11649 writes them in numbers.
_RF_00 = "271500"


class OfflineProvider:
    """Implements `PaymentProvider` for people with money in their hands.

    A charge waits in `waits_as` until somebody who saw the money says so by `capture`.
    """

    name: ClassVar[str]
    waits_as: ClassVar[ChargeStatus]
    reason: ClassVar[str]
    refund_status: ClassVar[RefundStatus]

    @property
    def methods(self) -> Collection[str]:
        return (self.name,)

    async def close(self) -> None:
        """There is nothing to close."""

    def accepts(self, method: str, method_token: str) -> bool:  # noqa: ARG002 — there is no token for this.
        return method == self.name

    def owns(self, reference: str) -> bool:
        raise NotImplementedError

    async def charge(self, request: ChargeRequest) -> ChargeOutcome:
        return ChargeOutcome(
            provider=self.name,
            status=self.waits_as,
            reference=self._reference(request.key),
            amount=request.amount,
            reason=self.reason,
        )

    async def capture(self, reference: str, amount: Money, key: str) -> ChargeOutcome:
        require_key(key)
        require_positive(amount)
        nothing = Money(0, amount.currency)
        return ChargeOutcome(
            provider=self.name, status=ChargeStatus.CAPTURED, reference=reference, amount=amount, fee=nothing
        )

    async def void(self, reference: str, key: str) -> ChargeOutcome:
        require_key(key)
        # Nothing is known of the sum, and nothing was taken: XXX is ISO 4217's code for no currency.
        return ChargeOutcome(
            provider=self.name, status=ChargeStatus.VOIDED, reference=reference, amount=Money(0, "XXX")
        )

    async def refund(self, reference: str, amount: Money, key: str) -> RefundOutcome:
        require_positive(amount)
        refund = self._reference(f"{reference} {key}")
        return RefundOutcome(provider=self.name, status=self.refund_status, reference=refund, amount=amount, key=key)

    async def transfer(
        self, destination: str, amount: Money, key: str, *, tenant_id: UUID | None = None
    ) -> TransferOutcome:
        require_positive(amount)
        reference = self._reference(f"{destination} {tenant_id} {key}")
        return TransferOutcome(
            provider=self.name, status=TransferStatus.PENDING, reference=reference, amount=amount, key=key
        )

    async def find(self, key: str) -> ChargeOutcome | None:
        """Give nothing: charging again is harmless here."""
        require_key(key)
        return None

    def _reference(self, text: str) -> str:
        raise NotImplementedError


class BankTransfer(OfflineProvider):
    """A transfer that the buyer makes; the reference is what to write on it.

    The order stands meanwhile, as with cash, but nothing of it is packed before somebody has seen the money.
    Refunds and payouts go to an IBAN by somebody's hand and stay pending until they are seen on a statement.
    """

    name = "bank_transfer"
    waits_as = ChargeStatus.AUTHORIZED
    reason = "awaiting_transfer"
    refund_status = RefundStatus.PENDING

    def owns(self, reference: str) -> bool:
        return _ACCOUNT.fullmatch(reference) is not None

    def _reference(self, text: str) -> str:
        """Make a creditor reference, whose check digits catch what people mistype.

        Source: ISO 11649 (RF), check digits of ISO/IEC 7064 MOD 97-10.
        """
        number = f"{int.from_bytes(sha256(text.encode()).digest()[:8]):020d}"
        return f"RF{98 - int(number + _RF_00) % 97:02d}{number}"


class Cash(OfflineProvider):
    """Notes and coins, promised at checkout and taken at the counter or at the door."""

    name = "cash"
    waits_as = ChargeStatus.AUTHORIZED
    reason = "awaiting_cash"
    refund_status = RefundStatus.COMPLETED

    def owns(self, reference: str) -> bool:
        return reference.startswith(_CASH)

    def _reference(self, text: str) -> str:
        return _CASH + sha256(text.encode()).hexdigest()[:24]
