"""The router: who is asked, who is left alone, and what that looks like from outside."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from uuid import UUID

import pytest

from domain.money import Money
from domain.payments.providers import (
    ChargeOutcome,
    ChargeRequest,
    ChargeStatus,
    CircuitState,
    ProviderRefused,
    ProviderUnreachable,
    RefundOutcome,
    RefundStatus,
    TransferOutcome,
    TransferStatus,
    UnsupportedPaymentMethod,
)
from server.payments import PaymentSettings, open_payments
from server.payments.offline import BankTransfer, Cash
from server.payments.routing import ProviderCall, ProviderRouter
from tests.sandbox.desk import TENANT, cad, charge_request

NOW = datetime(2026, 3, 14, 15, 9, 26, tzinfo=UTC)


class Bank:
    """A provider in a dictionary, that can be out of order."""

    methods = ("card",)

    def __init__(self, name: str) -> None:
        self.name = name
        self.trouble: Exception | None = None
        self.silent = False
        self.charges: dict[str, ChargeOutcome] = {}
        self.asked: list[str] = []
        self.closed = False

    def accepts(self, method: str, method_token: str) -> bool:
        return method == "card" and method_token.startswith("tok_")

    def owns(self, reference: str) -> bool:
        return reference.startswith(f"{self.name}_")

    async def close(self) -> None:
        self.closed = True

    async def charge(self, request: ChargeRequest) -> ChargeOutcome:
        await self._answer("charge")
        made = ChargeOutcome(
            provider=self.name,
            status=ChargeStatus.CAPTURED,
            reference=f"{self.name}_{request.key}",
            amount=request.amount,
        )
        return self.charges.setdefault(request.key, made)

    async def capture(self, reference: str, amount: Money, key: str) -> ChargeOutcome:
        await self._answer("capture")
        return self.charges[reference.removeprefix(f"{self.name}_")]

    async def void(self, reference: str, key: str) -> ChargeOutcome:
        await self._answer("void")
        return self.charges[reference.removeprefix(f"{self.name}_")]

    async def refund(self, reference: str, amount: Money, key: str) -> RefundOutcome:
        await self._answer("refund")
        return RefundOutcome(provider=self.name, status=RefundStatus.COMPLETED, reference=f"re_{key}", amount=amount)

    async def transfer(
        self, destination: str, amount: Money, key: str, *, tenant_id: UUID | None = None
    ) -> TransferOutcome:
        await self._answer("transfer")
        return TransferOutcome(provider=self.name, status=TransferStatus.PAID, reference=f"tr_{key}", amount=amount)

    async def find(self, key: str) -> ChargeOutcome | None:
        await self._answer("find")
        return self.charges.get(key)

    async def _answer(self, operation: str) -> None:
        self.asked.append(operation)
        if self.silent:
            await asyncio.sleep(60)
        if self.trouble is not None:
            raise self.trouble


class Exchange:
    """A router over two banks, bank transfer and cash, on a clock that is turned by hand."""

    def __init__(self) -> None:
        self.seconds = 1_000.0
        self.north, self.south = Bank("north"), Bank("south")
        self.calls: list[ProviderCall] = []
        self.router = ProviderRouter(
            [self.north, self.south, BankTransfer(), Cash()],
            patience_seconds=0.05,
            clock=lambda: self.seconds,
            now=lambda: NOW,
            observe=self.calls.append,
        )

    async def fail(self, times: int) -> None:
        self.north.trouble = ProviderUnreachable(part="north")
        for attempt in range(times):
            with pytest.raises(ProviderUnreachable):
                await self.router.charge(charge_request("tok_1", f"failing-{attempt}"))
        self.north.trouble = None
        self.north.asked.clear()

    def state(self) -> CircuitState:
        return self.router.health()[0].state


@pytest.fixture
async def exchange() -> AsyncIterator[Exchange]:
    opened = Exchange()
    yield opened
    await opened.router.close()
    assert opened.north.closed
    assert opened.south.closed


class TestRoutes:
    async def test_lead_back_to_the_provider_of_a_reference(self, exchange: Exchange) -> None:
        outcome = await exchange.router.charge(charge_request("tok_1", provider="south"))
        await exchange.router.capture(outcome.reference, cad(1), "c")
        await exchange.router.refund(outcome.reference, cad(1), "r")
        await exchange.router.void(outcome.reference, "v")
        await exchange.router.transfer("south_account", cad(1), "t", tenant_id=TENANT)

        assert exchange.south.asked == ["charge", "capture", "refund", "void", "transfer"]
        assert exchange.north.asked == []

    async def test_end_where_nobody_knows_the_reference(self, exchange: Exchange) -> None:
        with pytest.raises(ProviderRefused):
            await exchange.router.refund("west_1", cad(1), "r")
        with pytest.raises(ProviderRefused):
            await exchange.router.charge(charge_request("tok_1", provider="west"))

    async def test_end_where_nobody_takes_the_method(self, exchange: Exchange) -> None:
        with pytest.raises(UnsupportedPaymentMethod):
            exchange.router.choose("card", "unknown")
        with pytest.raises(UnsupportedPaymentMethod):
            await exchange.router.charge(charge_request("tok_1", method="shells"))

    async def test_find_a_charge_wherever_it_was_made(self, exchange: Exchange) -> None:
        outcome = await exchange.router.charge(charge_request("tok_1", provider="south"))

        assert await exchange.router.find("pay-1") == outcome
        assert await exchange.router.find("pay-2") is None
        assert await exchange.router.find("pay-1", provider="north") is None

    async def test_do_not_call_a_charge_missing_while_somebody_is_silent(self, exchange: Exchange) -> None:
        exchange.north.trouble = ProviderUnreachable(part="north")

        with pytest.raises(ProviderUnreachable):
            await exchange.router.find("pay-1")


class TestBreaker:
    async def test_leaves_a_provider_alone_that_keeps_failing(self, exchange: Exchange) -> None:
        await exchange.fail(5)

        with pytest.raises(ProviderUnreachable) as caught:
            await exchange.router.charge(charge_request("tok_1"))
        assert not caught.value.outcome_unknown
        assert exchange.north.asked == []
        assert exchange.state() is CircuitState.OPEN

    async def test_tries_it_again_one_at_a_time(self, exchange: Exchange) -> None:
        await exchange.fail(5)
        exchange.seconds += 10
        assert exchange.state() is CircuitState.HALF_OPEN
        exchange.north.silent = True
        asked = [exchange.router.charge(charge_request("tok_1", f"pay-{each}")) for each in range(3)]
        await asyncio.gather(*asked, return_exceptions=True)

        assert exchange.north.asked == ["charge"]
        assert exchange.state() is CircuitState.OPEN

    async def test_closes_when_the_provider_answers(self, exchange: Exchange) -> None:
        await exchange.fail(5)
        exchange.seconds += 10
        await exchange.router.charge(charge_request("tok_1"))

        assert exchange.state() is CircuitState.CLOSED

    async def test_does_not_mind_declines_and_refusals(self, exchange: Exchange) -> None:
        exchange.north.trouble = ProviderRefused(provider="north", reason="no")
        for each in range(20):
            with pytest.raises(ProviderRefused):
                await exchange.router.charge(charge_request("tok_1", f"pay-{each}"))

        assert exchange.state() is CircuitState.CLOSED
        assert exchange.calls[-1].outcome == "refused"

    async def test_is_one_for_each_provider(self, exchange: Exchange) -> None:
        await exchange.fail(5)

        assert exchange.router.choose("card", "tok_1") == "south"
        assert (await exchange.router.charge(charge_request("tok_1", provider="south"))).provider == "south"

    async def test_never_sends_a_key_elsewhere_that_was_not_bound_to_a_provider(self, exchange: Exchange) -> None:
        exchange.north.trouble = ProviderUnreachable(part="north")
        for _ in range(7):
            with pytest.raises(ProviderUnreachable):
                await exchange.router.charge(charge_request("tok_1"))

        assert exchange.south.asked == []

    async def test_chooses_the_first_again_when_it_may_be_tried(self, exchange: Exchange) -> None:
        await exchange.fail(5)
        exchange.seconds += 10

        assert exchange.router.choose("card", "tok_1") == "north"
        assert exchange.state() is CircuitState.HALF_OPEN


class TestPatience:
    async def test_ends_and_leaves_the_outcome_open(self, exchange: Exchange) -> None:
        exchange.north.silent = True

        with pytest.raises(ProviderUnreachable) as caught:
            await exchange.router.charge(charge_request("tok_1"))
        assert caught.value.outcome_unknown


class TestHealth:
    async def test_tells_what_happened_lately(self, exchange: Exchange) -> None:
        await exchange.fail(1)
        for each in range(3):
            await exchange.router.charge(charge_request("tok_1", f"pay-{each}"))

        north, south = exchange.router.health()[:2]
        assert (north.attempts, north.failures, north.success_rate) == (4, 1, 0.75)
        assert (north.p95_milliseconds, north.last_failure_at, north.window_seconds) == (0.0, NOW, 300)
        assert (north.p50_milliseconds, north.p99_milliseconds, north.last_success_at) == (0.0, 0.0, NOW)
        assert (south.p50_milliseconds, south.last_success_at) == (None, None)
        assert (south.attempts, south.success_rate, south.p95_milliseconds) == (0, None, None)

    async def test_forgets_what_is_older_than_the_window(self, exchange: Exchange) -> None:
        await exchange.fail(1)
        exchange.seconds += 301

        assert exchange.router.health()[0].attempts == 0

    async def test_counts_each_call_for_the_metrics(self, exchange: Exchange) -> None:
        await exchange.fail(1)
        await exchange.router.charge(charge_request("tok_1"))

        assert [(call.provider, call.operation, call.outcome) for call in exchange.calls] == [
            ("north", "charge", "unreachable"),
            ("north", "charge", "answered"),
        ]


class TestBankTransfer:
    async def test_waits_under_a_reference_that_can_be_typed(self, exchange: Exchange) -> None:
        request = charge_request("", method="bank_transfer")
        outcome = await exchange.router.charge(request)

        assert (outcome.status, outcome.reason, outcome.provider) == (
            ChargeStatus.AUTHORIZED,
            "awaiting_transfer",
            "bank_transfer",
        )
        assert outcome == await exchange.router.charge(request)
        digits = outcome.reference[4:] + "2715" + outcome.reference[2:4]
        assert int(digits) % 97 == 1
        assert len(outcome.reference) == 24

    async def test_is_taken_when_somebody_saw_it_arrive(self, exchange: Exchange) -> None:
        outcome = await exchange.router.charge(charge_request("", method="bank_transfer"))
        taken = await exchange.router.capture(outcome.reference, cad(10_000), "seen-1")

        assert (taken.status, taken.amount, taken.fee) == (ChargeStatus.CAPTURED, cad(10_000), cad(0))

    async def test_goes_back_and_out_by_somebodys_hand(self, exchange: Exchange) -> None:
        outcome = await exchange.router.charge(charge_request("", method="bank_transfer"))
        refund = await exchange.router.refund(outcome.reference, cad(500), "r")
        payout = await exchange.router.transfer("DE89370400440532013000", cad(500), "t")

        assert (refund.status, payout.status) == (RefundStatus.PENDING, TransferStatus.PENDING)
        assert refund.reference != outcome.reference
        assert payout == await exchange.router.transfer("DE89370400440532013000", cad(500), "t")


class TestCash:
    async def test_is_promised_and_then_taken(self, exchange: Exchange) -> None:
        promised = await exchange.router.charge(charge_request("", method="cash"))
        taken = await exchange.router.capture(promised.reference, cad(10_000), "till-1")
        refund = await exchange.router.refund(promised.reference, cad(10_000), "r")
        voided = await exchange.router.void(promised.reference, "v")

        assert (promised.status, promised.reason) == (ChargeStatus.AUTHORIZED, "awaiting_cash")
        assert (taken.status, refund.status) == (ChargeStatus.CAPTURED, RefundStatus.COMPLETED)
        assert (voided.status, voided.amount.amount_minor) == (ChargeStatus.VOIDED, 0)
        assert await exchange.router.find("pay-1") is None


class TestOpenPayments:
    async def test_opens_those_with_a_key(self) -> None:
        async with open_payments(PaymentSettings()) as payments:
            assert [each.provider for each in payments.router.health()] == ["bank_transfer", "cash"]
            assert payments.receivers == []
        settings = PaymentSettings(sandbox_url="http://127.0.0.1:9", sandbox_key="k", sandbox_webhook_secrets=["s"])
        async with open_payments(settings) as payments:
            assert payments.router.choose("card", "sbx_card_ok") == "sandbox"
            assert [each.name for each in payments.receivers] == ["sandbox"]
