"""Stripe through its official SDK, offline: a server on loopback stands in for the API, the SDK itself signs webhooks."""

import json
import time
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
import stripe

from domain.money import Money
from domain.payments.providers import (
    ChargeStatus,
    ProviderEvent,
    ProviderRefused,
    ProviderUnreachable,
    RefundStatus,
    TransferStatus,
    WebhookRejected,
)
from server.payments import PaymentSettings, open_payments
from server.payments.stripe import StripeProvider
from server.payments.stripe_values import money, stripe_amount
from server.payments.stripe_webhooks import StripeWebhooks
from tests.sandbox.desk import ORDER, PAYMENT, TENANT, cad, charge_request, served
from tests.sandbox.stripe_double import DECLINED, StripeDouble, intent

# The SDK hands httpx a form under a name that httpx would rather have for something else.
pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")
SECRET, NEXT_SECRET = "whsec_tests", "whsec_tests_next"
METADATA = {"tenant_id": str(TENANT), "order_id": str(ORDER), "payment_id": str(PAYMENT), "agora_key": "pay-1"}


@pytest.fixture(scope="module")
def line() -> Iterator[tuple[StripeDouble, str]]:
    double = StripeDouble()
    with served(double.app) as url:
        yield double, url


@pytest.fixture
def double(line: tuple[StripeDouble, str]) -> StripeDouble:
    line[0].__dict__ |= {**StripeDouble().__dict__, "app": line[0].app}
    return line[0]


@pytest.fixture
async def provider(line: tuple[StripeDouble, str], double: StripeDouble) -> AsyncIterator[StripeProvider]:
    opened = StripeProvider("sk_test_tests", api_base=line[1], timeout_seconds=2, retries=0)
    yield opened
    await opened.close()


class TestCharge:
    async def test_makes_a_confirmed_payment_intent_with_our_ids(
        self, provider: StripeProvider, double: StripeDouble
    ) -> None:
        outcome = await provider.charge(charge_request("pm_1", description="ORD-1"))

        (_, path, form, key) = double.asked[0]
        assert (path, key) == ("/v1/payment_intents", "pay-1")
        assert (form["amount"], form["currency"], form["payment_method"]) == ("10000", "cad", "pm_1")
        assert (form["confirm"], form["capture_method"], form["description"]) == ("true", "automatic", "ORD-1")
        assert {name: form[f"metadata[{name}]"] for name in METADATA} == METADATA
        assert (outcome.status, outcome.reference, outcome.provider) == (ChargeStatus.CAPTURED, "pi_1", "stripe")
        assert (outcome.amount, outcome.fee) == (cad(10_000), cad(320))
        assert (outcome.brand, outcome.last4) == ("visa", "4242")

    async def test_happens_once_however_often_it_is_asked_for(
        self, provider: StripeProvider, double: StripeDouble
    ) -> None:
        answers = [await provider.charge(charge_request("pm_1")) for _ in range(3)]

        assert answers[0] == answers[1] == answers[2]
        assert double.made == 1

    async def test_is_told_as_it_is_now_when_it_is_asked_for_again(
        self, provider: StripeProvider, double: StripeDouble
    ) -> None:
        double.intent = intent(status="processing", latest_charge=None)
        pending = await provider.charge(charge_request("pm_1"))
        double.intent = intent()
        again = await provider.charge(charge_request("pm_1"))

        assert (pending.status, again.status) == (ChargeStatus.PENDING, ChargeStatus.CAPTURED)
        assert again.fee == cad(320)

    async def test_is_authorised_only_where_that_is_wanted(
        self, provider: StripeProvider, double: StripeDouble
    ) -> None:
        double.intent = intent(status="requires_capture", amount_received=0, amount_capturable=10_000)
        outcome = await provider.charge(charge_request("pm_1", capture=False))

        assert double.asked[0][2]["capture_method"] == "manual"
        assert (outcome.status, outcome.amount, outcome.fee) == (ChargeStatus.AUTHORIZED, cad(10_000), None)

    async def test_waits_for_the_buyer_where_the_bank_wants_to_see_him(
        self, provider: StripeProvider, double: StripeDouble
    ) -> None:
        double.intent = intent(status="requires_action", latest_charge=None)
        outcome = await provider.charge(charge_request("pm_1"))

        assert (outcome.status, outcome.reason, outcome.next_action) == (
            ChargeStatus.PENDING,
            "requires_action",
            "pi_1_secret",
        )

    async def test_is_declined_with_the_reason_of_the_bank(
        self, provider: StripeProvider, double: StripeDouble
    ) -> None:
        double.failures = [(402, DECLINED)]
        outcome = await provider.charge(charge_request("pm_1"))

        assert (outcome.status, outcome.reason) == (ChargeStatus.DECLINED, "insufficient_funds")
        assert (outcome.reference, outcome.last4, outcome.amount) == ("pi_declined", "9995", cad(10_000))

    async def test_does_not_guess_a_fee_in_another_currency(
        self, provider: StripeProvider, double: StripeDouble
    ) -> None:
        charge = intent()["latest_charge"] | {"balance_transaction": {"fee": 250, "currency": "usd"}}
        double.intent = intent(latest_charge=charge)

        assert (await provider.charge(charge_request("pm_1"))).fee is None

    @pytest.mark.parametrize(("status", "unknown"), [(500, True), (503, True), (409, True), (429, False)])
    async def test_is_open_when_stripe_stumbles(
        self, provider: StripeProvider, double: StripeDouble, status: int, unknown: bool
    ) -> None:
        double.failures = [(status, {"type": "api_error", "message": "no"})]

        with pytest.raises(ProviderUnreachable) as caught:
            await provider.charge(charge_request("pm_1"))
        assert caught.value.outcome_unknown is unknown
        assert (await provider.charge(charge_request("pm_1"))).status is ChargeStatus.CAPTURED

    @pytest.mark.parametrize(
        ("status", "error", "reason"),
        [
            (400, {"type": "invalid_request_error", "code": "parameter_missing", "message": "no"}, "parameter_missing"),
            (400, {"type": "idempotency_error", "message": "no"}, "IdempotencyError"),
            (401, {"type": "invalid_request_error", "message": "no"}, "AuthenticationError"),
            (403, {"type": "invalid_request_error", "message": "no"}, "PermissionError"),
        ],
    )
    async def test_is_refused_when_it_never_will_happen(
        self, provider: StripeProvider, double: StripeDouble, status: int, error: dict[str, str], reason: str
    ) -> None:
        double.failures = [(status, error)]

        with pytest.raises(ProviderRefused) as caught:
            await provider.charge(charge_request("pm_1"))
        assert caught.value.reason == reason

    async def test_over_a_dead_line_was_not_sent(self) -> None:
        provider = StripeProvider("sk_test_tests", api_base="http://127.0.0.1:9", timeout_seconds=1, retries=0)
        with pytest.raises(ProviderUnreachable) as caught:
            await provider.charge(charge_request("pm_1"))
        await provider.close()

        assert not caught.value.outcome_unknown


class TestAfterwards:
    async def test_captures_a_part(self, provider: StripeProvider, double: StripeDouble) -> None:
        outcome = await provider.capture("pi_7", cad(4_000), "cap-1")

        assert (outcome.status, outcome.amount, outcome.reference) == (ChargeStatus.CAPTURED, cad(4_000), "pi_7")
        assert double.asked[0][1:] == (
            "/v1/payment_intents/pi_7/capture",
            {"amount_to_capture": "4000", "expand[0]": "latest_charge.balance_transaction"},
            "cap-1",
        )

    async def test_lets_go(self, provider: StripeProvider, double: StripeDouble) -> None:
        outcome = await provider.void("pi_7", "void-1")

        assert outcome.status is ChargeStatus.VOIDED
        assert double.asked == [("POST", "/v1/payment_intents/pi_7/cancel", {}, "void-1")]

    async def test_says_when_it_was_too_late_to_let_go(self, provider: StripeProvider, double: StripeDouble) -> None:
        error = {"type": "invalid_request_error", "code": "payment_intent_unexpected_state", "message": "no"}
        double.failures = [(400, error)]

        assert (await provider.void("pi_7", "void-1")).status is ChargeStatus.CAPTURED

    async def test_refunds(self, provider: StripeProvider, double: StripeDouble) -> None:
        refund = await provider.refund("pi_7", cad(2_500), "ref-1")

        assert (refund.status, refund.reference, refund.amount) == (RefundStatus.COMPLETED, "re_1", cad(2_500))
        assert refund.key == "ref-1"
        assert double.asked[0][1:] == (
            "/v1/refunds",
            {"payment_intent": "pi_7", "amount": "2500", "metadata[agora_key]": "ref-1"},
            "ref-1",
        )

    async def test_refuses_what_stripe_refuses(self, provider: StripeProvider, double: StripeDouble) -> None:
        double.failures = [(400, {"type": "invalid_request_error", "code": "charge_already_refunded", "message": "no"})]
        with pytest.raises(ProviderRefused, match="charge_already_refunded"):
            await provider.refund("pi_7", cad(2_500), "ref-1")

        double.failures = [(402, {"type": "card_error", "code": "charge_expired_for_capture", "message": "no"})]
        with pytest.raises(ProviderRefused, match="charge_expired_for_capture"):
            await provider.capture("pi_7", cad(2_500), "cap-1")

    async def test_transfers_to_a_connected_account(self, provider: StripeProvider, double: StripeDouble) -> None:
        paid = await provider.transfer("acct_1", cad(9_000), "out-1", tenant_id=TENANT)

        assert (paid.status, paid.reference, paid.amount) == (TransferStatus.PAID, "tr_1", cad(9_000))
        assert double.asked[0][2]["destination"] == "acct_1"
        assert double.asked[0][2]["metadata[tenant_id]"] == str(TENANT)

    async def test_says_that_a_transfer_failed_for_want_of_money(
        self, provider: StripeProvider, double: StripeDouble
    ) -> None:
        double.failures = [(400, {"type": "invalid_request_error", "code": "balance_insufficient", "message": "no"})]
        failed = await provider.transfer("acct_1", cad(9_000), "out-1")

        assert (failed.status, failed.reason) == (TransferStatus.FAILED, "balance_insufficient")


class TestFind:
    async def test_sees_what_was_made_a_moment_ago(self, provider: StripeProvider, double: StripeDouble) -> None:
        others = [intent(id=f"pi_{each}") for each in range(4)]
        double.recent = [*others, intent(id="pi_mine", metadata=METADATA)]
        found = await provider.find("pay-1")

        assert found is not None
        assert (found.reference, found.fee) == ("pi_mine", cad(320))
        assert double.paths() == [("GET", "/v1/payment_intents")] * 3

    async def test_searches_for_what_is_older(self, provider: StripeProvider, double: StripeDouble) -> None:
        double.older = [intent(id="pi_old")]
        found = await provider.find("o'key\\")

        assert found is not None
        assert found.reference == "pi_old"
        assert double.asked[-1][2]["query"] == "metadata['agora_key']:'o\\'key\\\\'"

    async def test_gives_nothing_for_a_key_that_never_arrived(
        self, provider: StripeProvider, double: StripeDouble
    ) -> None:
        assert await provider.find("pay-1") is None


class TestAmounts:
    @pytest.mark.parametrize(
        ("amount", "written"),
        [
            (Money(1_050, "CAD"), 1_050),
            (Money(500, "JPY"), 500),
            (Money(5_120, "KWD"), 5_120),
            (Money(5, "ISK"), 500),
            (Money(7, "RSD"), 700),
        ],
    )
    def test_are_written_with_the_decimals_that_stripe_has(self, amount: Money, written: int) -> None:
        assert stripe_amount(amount) == {"amount": written, "currency": amount.currency.lower()}
        assert money(written, amount.currency.lower()) == amount

    @pytest.mark.parametrize("amount", [Money(5_124, "KWD"), Money(100, "UGX")])
    def test_are_refused_where_stripe_cannot_take_them(self, amount: Money) -> None:
        with pytest.raises(ProviderRefused):
            stripe_amount(amount)


def signed(
    kind: str, subject: dict[str, Any], secret: str = SECRET, age_seconds: int = 0
) -> tuple[bytes, dict[str, str]]:
    """Make a webhook as Stripe sends it, signed by the helper of its SDK."""
    event = {"id": "evt_1", "object": "event", "type": kind, "created": 1_800_000_000, "data": {"object": subject}}
    body = json.dumps(event)
    moment = int(time.time()) - age_seconds
    header = stripe.WebhookSignature.generate_signature_header(body, secret, moment)
    return body.encode(), {"stripe-signature": header}


@pytest.fixture
def webhooks(provider: StripeProvider) -> StripeWebhooks:
    return StripeWebhooks(provider, [SECRET, NEXT_SECRET])


async def read(webhooks: StripeWebhooks, kind: str, subject: dict[str, Any]) -> ProviderEvent:
    event = await webhooks.read(*signed(kind, subject))
    assert event is not None
    return event


class TestWebhooks:
    @pytest.mark.parametrize(
        ("kind", "status", "fact"),
        [
            ("payment_intent.succeeded", "succeeded", "charge.captured"),
            ("payment_intent.amount_capturable_updated", "requires_capture", "charge.authorized"),
            ("payment_intent.payment_failed", "requires_payment_method", "charge.declined"),
            ("payment_intent.processing", "processing", "charge.pending"),
            ("payment_intent.canceled", "canceled", "charge.voided"),
        ],
    )
    async def test_tell_what_became_of_a_payment_intent(
        self, webhooks: StripeWebhooks, kind: str, status: str, fact: str
    ) -> None:
        event = await read(webhooks, kind, intent(status=status, latest_charge="ch_1", metadata=METADATA))

        assert (event.fact, event.event_id, event.reference) == (fact, "evt_1", "pi_1")
        assert (event.tenant_id, event.order_id, event.payment_id) == (TENANT, ORDER, PAYMENT)
        assert event.charge is not None
        assert (event.amount, event.charge.fee) == (cad(10_000), None)

    async def test_tell_why_a_payment_failed(self, webhooks: StripeWebhooks) -> None:
        error = {"code": "card_declined", "decline_code": "lost_card"}
        subject = intent(status="requires_payment_method", last_payment_error=error, metadata=METADATA)

        assert (await read(webhooks, "payment_intent.payment_failed", subject)).reason == "lost_card"

    async def test_tell_how_much_of_a_charge_went_back(self, webhooks: StripeWebhooks) -> None:
        charge = {"id": "ch_1", "object": "charge", "payment_intent": "pi_1", "amount": 10_000, "currency": "cad"}
        event = await read(webhooks, "charge.refunded", charge | {"amount_refunded": 2_500, "metadata": METADATA})

        assert (event.fact, event.reference, event.amount) == ("charge.refunded", "pi_1", cad(2_500))

    @pytest.mark.parametrize(
        ("status", "fact"),
        [("succeeded", "refund.completed"), ("pending", "refund.pending"), ("failed", "refund.failed")],
    )
    async def test_ask_whose_refund_it_is(
        self, webhooks: StripeWebhooks, double: StripeDouble, status: str, fact: str
    ) -> None:
        double.intent = intent(metadata=METADATA)
        refund = {"id": "re_1", "object": "refund", "payment_intent": "pi_9", "amount": 2_500, "currency": "cad"}
        event = await read(webhooks, "refund.updated", refund | {"status": status, "metadata": {}})

        assert double.paths() == [("GET", "/v1/payment_intents/pi_9")]
        assert (event.fact, event.reference, event.tenant_id) == (fact, "pi_9", TENANT)
        assert event.refund is not None
        assert (event.refund.reference, event.refund.amount) == ("re_1", cad(2_500))

    @pytest.mark.parametrize(
        ("kind", "status", "fact"),
        [
            ("charge.dispute.created", "needs_response", "dispute.opened"),
            ("charge.dispute.closed", "won", "dispute.won"),
            ("charge.dispute.closed", "lost", "dispute.lost"),
        ],
    )
    async def test_tell_of_disputes(
        self, webhooks: StripeWebhooks, double: StripeDouble, kind: str, status: str, fact: str
    ) -> None:
        double.intent = intent(metadata=METADATA)
        dispute = {"id": "dp_1", "object": "dispute", "payment_intent": "pi_9", "amount": 10_000, "currency": "cad"}
        event = await read(webhooks, kind, dispute | {"status": status, "reason": "fraudulent", "metadata": {}})

        assert (event.fact, event.dispute_reference, event.reason) == (fact, "dp_1", "fraudulent")
        assert (event.reference, event.order_id) == ("pi_9", ORDER)

    async def test_mean_nothing_where_they_are_not_about_our_payments(
        self, webhooks: StripeWebhooks, double: StripeDouble
    ) -> None:
        assert await webhooks.read(*signed("customer.created", {"id": "cus_1", "object": "customer"})) is None
        assert await webhooks.read(*signed("payment_intent.succeeded", intent(metadata={}))) is None

    async def test_are_taken_with_the_next_secret_too(self, webhooks: StripeWebhooks) -> None:
        body, headers = signed("payment_intent.succeeded", intent(metadata=METADATA), NEXT_SECRET)

        assert await webhooks.read(body, headers) is not None

    async def test_are_refused_when_they_are_not_proved(self, webhooks: StripeWebhooks) -> None:
        body, headers = signed("payment_intent.succeeded", intent(metadata=METADATA))
        forged = signed("payment_intent.succeeded", intent(metadata=METADATA), "whsec_guessed")
        old = signed("payment_intent.succeeded", intent(metadata=METADATA), age_seconds=301)
        tampered = body.replace(b"10000", b"99999")

        for case in (
            (body, {}),
            (tampered, headers),
            forged,
            old,
            (b"\xff", headers),
            (b"", {"stripe-signature": "t=x"}),
        ):
            with pytest.raises(WebhookRejected):
                await webhooks.read(*case)

    async def test_are_refused_when_they_cannot_be_read(self, webhooks: StripeWebhooks) -> None:
        for subject in (
            {},
            intent(metadata={"tenant_id": "nobody"}),
            intent(metadata=METADATA, amount="x", amount_received="x"),
        ):
            with pytest.raises(WebhookRejected):
                await webhooks.read(*signed("payment_intent.succeeded", subject))

    async def test_are_never_right_without_a_secret(self, provider: StripeProvider) -> None:
        for secrets in ([], [""]):
            with pytest.raises(WebhookRejected):
                await StripeWebhooks(provider, secrets).read(*signed("payment_intent.succeeded", intent(), secret=""))

    async def test_come_with_the_provider_that_the_settings_name(self, line: tuple[StripeDouble, str]) -> None:
        settings = PaymentSettings(stripe_key="sk_test_tests", stripe_webhook_secrets=[SECRET], stripe_api_base=line[1])
        async with open_payments(settings) as payments:
            assert payments.router.choose("card", "pm_card_visa") == "stripe"
            assert [each.name for each in payments.receivers] == ["stripe"]
