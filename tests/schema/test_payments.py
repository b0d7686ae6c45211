import asyncio
from collections.abc import Awaitable, Callable
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import select

from data.event_log import event_log
from data.payments.tables import provider_credential
from data.transactions import SqlTransactions
from domain.kernel import Principal, Work, uuid7
from domain.money import Money
from domain.payments import (
    EscrowHolds,
    FraudAssessment,
    FraudSignal,
    Ledger,
    Method,
    MethodKind,
    OpenDispute,
    Payment,
    Payments,
    ReleaseEscrow,
    ReturnRefund,
    Split,
    open_dispute,
    release_escrow,
    return_refund,
    settle_capture,
)
from domain.payments.fraud import Decision
from domain.tenancy import Cipher
from resolvers.kernel import Context

CARD = Method(kind=MethodKind.CARD, provider="sandbox", token="tok_ok", brand="visa", last4="4242")
TRANSFER = Method(kind=MethodKind.BANK_TRANSFER, provider="bank_transfer")
SELLER, BUYER = uuid7(), uuid7()
WATCHED = FraudAssessment(
    score=60, signals=(FraudSignal(code="card_failed_often", points=60),), decision=Decision.REVIEW
)

Buy = Callable[..., Awaitable[Payment]]


def person(user_id: UUID, tenant_id: UUID, *permissions: str) -> Principal:
    return Principal(user_id=user_id, tenant_id=tenant_id, permissions=frozenset(permissions))


@pytest.fixture
def buy(transactions: SqlTransactions, work: Work) -> Buy:
    """Pay 100.00 for goods, 13.00 of tax and 5.00 for delivery; or have a payment set aside as suspicious."""

    async def handle(
        asked: tuple[FraudAssessment | None, Method],
        work: Work,
        payments: Payments,
        holds: EscrowHolds,
        ledger: Ledger,
    ) -> Payment:
        assessment, method = asked
        splits = [
            Split(sub_order_id=uuid7(), seller_id=SELLER, goods_minor=100_00, tax_minor=13_00),
            Split(goods_minor=5_00),
        ]
        amount = Money(118_00, "CAD")
        payment = Payment.open(uuid7(), amount, method, splits, work, user_id=BUYER, assessment=assessment)
        payments.add(payment)
        if assessment is None:
            await settle_capture(payment, f"ch_{payment.id}", amount, Money(3_00, "CAD"), work, holds, ledger)
        return payment

    async def run(assessment: FraudAssessment | None = None, method: Method = CARD) -> Payment:
        return await transactions.run(handle, (assessment, method), work)

    return run


PAYMENT = """
query($id: ID!) {
  payment(id: $id) {
    id orderId state methodKind cardBrand cardLast4 amount { amount currency } refunded { amountMinor }
    refunds { state amount { amountMinor } }
  }
}
"""
INSIDE = "query($id: ID!) { payment(id: $id) { reference feeMinor fraudScore fraudSignals { code points } } }"
REFUND = """
mutation($id: ID!, $amount: BigInt!, $key: String!) {
  refundPayment(input: {paymentId: $id, amount: {amountMinor: $amount, currency: "CAD"}}, idempotencyKey: $key) {
    __typename
    ... on Refund { id state amount { amountMinor } }
    ... on Error { code }
    ... on RefundExceedsPayment { requestedMinor refundableMinor }
  }
}
"""
BALANCES = "{ ledgerBalances { kind owner amount { amountMinor } } }"


async def books(graph: Any) -> dict[str, int]:
    answer = await graph(BALANCES)
    rows = answer.data["ledgerBalances"]
    assert sum(row["amount"]["amountMinor"] for row in rows) == 0
    return {row["kind"]: row["amount"]["amountMinor"] for row in rows}


class TestPayment:
    async def test_shows_the_buyer_what_was_paid(self, graph: Any, buy: Buy, tenant_id: UUID) -> None:
        made = await buy()
        answer = await graph(PAYMENT, {"id": str(made.id)}, principal=person(BUYER, tenant_id))
        assert answer.data["payment"] == {
            "id": str(made.id),
            "orderId": str(made.order_id),
            "state": "CAPTURED",
            "methodKind": "CARD",
            "cardBrand": "visa",
            "cardLast4": "4242",
            "amount": {"amount": "118.00", "currency": "CAD"},
            "refunded": {"amountMinor": 0},
            "refunds": [],
        }
        assert answer.statements == 2

    async def test_shows_nobody_else_that_there_is_one(
        self, graph: Any, buy: Buy, tenant_id: UUID, make_tenant: Any, admin: Principal
    ) -> None:
        made = await buy()
        stranger = await graph(PAYMENT, {"id": str(made.id)}, principal=person(uuid7(), tenant_id))
        other: UUID = make_tenant()
        elsewhere = await graph(PAYMENT, {"id": str(made.id)}, principal=admin, tenant=other)
        nobody = await graph(PAYMENT, {"id": str(made.id)}, principal=None)
        assert (stranger.data, elsewhere.data, nobody.codes) == (
            {"payment": None},
            {"payment": None},
            ["UNAUTHENTICATED"],
        )

    async def test_keeps_fees_and_suspicions_to_the_staff(self, graph: Any, buy: Buy, tenant_id: UUID) -> None:
        made = await buy(WATCHED)
        staff = await graph(INSIDE, {"id": str(made.id)})
        assert staff.data["payment"] == {
            "reference": None,
            "feeMinor": 0,
            "fraudScore": 60,
            "fraudSignals": [{"code": "card_failed_often", "points": 60}],
        }
        buyer = await graph(INSIDE, {"id": str(made.id)}, principal=person(BUYER, tenant_id))
        assert "FORBIDDEN" in buyer.codes

    async def test_lists_of_any_length_take_two_statements(self, graph: Any, buy: Buy) -> None:
        for _ in range(3):
            await buy()
        answer = await graph("{ payments(first: 10) { nodes { id refunds { id } } } }")
        assert (len(answer.data["payments"]["nodes"]), answer.statements) == (3, 2)

    async def test_hangs_on_its_order(self, graph: Any, buy: Buy) -> None:
        made = await buy()
        answer = await graph("query($id: ID!) { paymentsByOrder(orderId: $id) { id } }", {"id": str(made.order_id)})
        assert answer.data["paymentsByOrder"] == [{"id": str(made.id)}]


class TestRefundPayment:
    async def test_gives_the_same_answer_to_the_same_request(self, graph: Any, buy: Buy) -> None:
        made = await buy()
        request = {"id": str(made.id), "amount": 30_00, "key": "r1"}
        first = await graph(REFUND, request)
        again = await graph(REFUND, request)
        assert first.data["refundPayment"]["state"] == "PENDING"
        assert again.data == first.data
        assert (await books(graph))["REFUNDS"] == -30_00

    async def test_gives_one_answer_to_one_key_however_many_ask_at_once(self, graph: Any, buy: Buy) -> None:
        made = await buy()
        request = {"id": str(made.id), "amount": 30_00, "key": "r1"}
        answers = await asyncio.gather(*(graph(REFUND, request) for _ in range(8)))
        assert [each.data for each in answers] == [answers[0].data] * 8
        assert answers[0].data["refundPayment"]["state"] == "PENDING"
        assert (await books(graph))["REFUNDS"] == -30_00

    async def test_stops_at_what_the_condition_of_a_role_allows(self, graph: Any, buy: Buy, tenant_id: UUID) -> None:
        made = await buy()
        limit = "object.amount_minor <= 2000 && object.currency == 'CAD'"
        clerk = Principal(user_id=uuid7(), tenant_id=tenant_id, conditions=(("payments.refund", limit),))
        beyond = await graph(REFUND, {"id": str(made.id), "amount": 20_01, "key": "c1"}, principal=clerk)
        assert (beyond.data, beyond.codes) == (None, ["FORBIDDEN"])
        assert "REFUNDS" not in await books(graph)
        within = await graph(REFUND, {"id": str(made.id), "amount": 20_00, "key": "c2"}, principal=clerk)
        assert within.data["refundPayment"]["state"] == "PENDING"
        assert (await books(graph))["REFUNDS"] == -20_00

    async def test_refuses_more_than_was_paid(self, graph: Any, buy: Buy) -> None:
        made = await buy()
        answer = await graph(REFUND, {"id": str(made.id), "amount": 118_01, "key": "r2"})
        assert answer.data["refundPayment"] == {
            "__typename": "RefundExceedsPayment",
            "code": "REFUND_EXCEEDS_PAYMENT",
            "requestedMinor": 118_01,
            "refundableMinor": 118_00,
        }
        assert "REFUNDS" not in await books(graph)

    @pytest.mark.parametrize("amount", [0, -5])
    async def test_refuses_amounts_that_make_no_sense(self, graph: Any, buy: Buy, amount: int) -> None:
        made = await buy()
        answer = await graph(REFUND, {"id": str(made.id), "amount": amount, "key": "r3"})
        assert answer.data["refundPayment"]["code"] == "REFUND_EXCEEDS_PAYMENT"

    async def test_is_not_for_buyers(self, graph: Any, buy: Buy, tenant_id: UUID) -> None:
        made = await buy()
        request = {"id": str(made.id), "amount": 1, "key": "r4"}
        answer = await graph(REFUND, request, principal=person(BUYER, tenant_id))
        assert answer.codes == ["FORBIDDEN"]
        assert "REFUNDS" not in await books(graph)


RETRY = """
mutation($id: ID!, $key: String!) {
  retryRefund(input: {refundId: $id}, idempotencyKey: $key) {
    __typename ... on Refund { state attempts } ... on Error { code }
  }
}
"""
RETURNED = "{ returnedRefunds(first: 10) { totalCount nodes { id state attempts failure amount { amountMinor } } } }"


COMPLETE = """
mutation($id: ID!, $key: String!) {
  completeRefund(input: {refundId: $id, reference: "LINE-7"}, idempotencyKey: $key) {
    __typename ... on Refund { state } ... on Error { code } ... on RefundSentByProvider { provider }
  }
}
"""


class TestCompleteRefund:
    async def test_is_for_transfers_that_somebody_has_made(self, graph: Any, buy: Buy) -> None:
        made = await buy(method=TRANSFER)
        request = {"id": str(made.id), "amount": 30_00, "key": "r1"}
        refund_id = (await graph(REFUND, request)).data["refundPayment"]["id"]
        done = [await graph(COMPLETE, {"id": refund_id, "key": "c1"}) for _ in range(2)]
        assert [each.data["completeRefund"] for each in done] == [{"__typename": "Refund", "state": "COMPLETED"}] * 2
        assert "REFUNDS" not in {kind for kind, minor in (await books(graph)).items() if minor}
        another = await graph(COMPLETE, {"id": refund_id, "key": "c2"})
        assert another.data["completeRefund"]["code"] == "INVALID_STATE_TRANSITION"

    async def test_believes_nobody_where_a_provider_knows(self, graph: Any, buy: Buy) -> None:
        made = await buy()
        request = {"id": str(made.id), "amount": 30_00, "key": "r1"}
        refund_id = (await graph(REFUND, request)).data["refundPayment"]["id"]
        answer = await graph(COMPLETE, {"id": refund_id, "key": "c1"})
        assert answer.data["completeRefund"] == {
            "__typename": "RefundSentByProvider", "code": "REFUND_SENT_BY_PROVIDER", "provider": "sandbox",
        }  # fmt: skip
        assert (await books(graph))["REFUNDS"] == -30_00

    async def test_finds_nothing_of_another_tenant(
        self, graph: Any, buy: Buy, make_tenant: Any, admin: Principal
    ) -> None:
        made = await buy(method=TRANSFER)
        request = {"id": str(made.id), "amount": 30_00, "key": "r1"}
        refund_id = (await graph(REFUND, request)).data["refundPayment"]["id"]
        elsewhere = await graph(COMPLETE, {"id": refund_id, "key": "c1"}, principal=admin, tenant=make_tenant())
        assert elsewhere.data["completeRefund"]["code"] == "NOT_FOUND"
        assert (await books(graph))["REFUNDS"] == -30_00

    async def test_is_not_for_buyers(self, graph: Any, tenant_id: UUID) -> None:
        answer = await graph(COMPLETE, {"id": str(uuid7()), "key": "c"}, principal=person(BUYER, tenant_id))
        assert answer.codes == ["FORBIDDEN"]


class TestReturnedRefunds:
    async def test_wait_for_somebody_who_has_them_sent_again(
        self, graph: Any, buy: Buy, transactions: SqlTransactions, work: Work
    ) -> None:
        made = await buy()
        first, second = [
            (await graph(REFUND, {"id": str(made.id), "amount": 30_00, "key": key})).data["refundPayment"]["id"]
            for key in ("r1", "r2")
        ]
        for each in (first, second):
            back = ReturnRefund(refund_id=UUID(each), failure="account_closed")
            await transactions.run(return_refund, back, work)
        listed = await graph(RETURNED)
        assert [(each["id"], each["state"], each["failure"]) for each in listed.data["returnedRefunds"]["nodes"]] == [
            (first, "RETURNED", "account_closed"), (second, "RETURNED", "account_closed"),
        ]  # fmt: skip
        assert (listed.data["returnedRefunds"]["totalCount"], listed.statements) == (2, 2)
        tries = [await graph(RETRY, {"id": first, "key": "again"}) for _ in range(2)]
        assert [each.data["retryRefund"] for each in tries] == [
            {"__typename": "Refund", "state": "PENDING", "attempts": 1}
        ] * 2
        refused = await graph(RETRY, {"id": first, "key": "another"})
        assert refused.data["retryRefund"]["code"] == "INVALID_STATE_TRANSITION"
        assert [each["id"] for each in (await graph(RETURNED)).data["returnedRefunds"]["nodes"]] == [second]
        # Nothing has arrived, and both are owed.
        assert (await books(graph))["REFUNDS"] == -60_00

    async def test_are_not_for_buyers(self, graph: Any, tenant_id: UUID) -> None:
        buyer = person(BUYER, tenant_id)
        assert (await graph(RETURNED, principal=buyer)).codes == ["FORBIDDEN"]
        assert (await graph(RETRY, {"id": str(uuid7()), "key": "k"}, principal=buyer)).codes == ["FORBIDDEN"]


REVIEW = """
mutation($id: ID!, $approve: Boolean!, $key: String! = "once") {
  reviewFraud(input: {paymentId: $id, approve: $approve}, idempotencyKey: $key) {
    __typename ... on Payment { state failureReason } ... on Error { code }
  }
}
"""


class TestFraudQueue:
    async def test_is_worked_off_by_people(self, graph: Any, buy: Buy) -> None:
        first, second = await buy(WATCHED), await buy(WATCHED)
        queue = await graph("{ fraudQueue { nodes { id fraudScore } totalCount } }")
        assert queue.data["fraudQueue"]["totalCount"] == 2
        approved = await graph(REVIEW, {"id": str(first.id), "approve": True})
        assert approved.data["reviewFraud"] == {"__typename": "Payment", "state": "PENDING", "failureReason": None}
        refused = await graph(REVIEW, {"id": str(second.id), "approve": False, "key": "2"})
        assert refused.data["reviewFraud"]["state"] == "FAILED"
        again = await graph(REVIEW, {"id": str(second.id), "approve": True, "key": "3"})
        assert again.data["reviewFraud"]["code"] == "INVALID_STATE_TRANSITION"


ACCOUNT = """
mutation($destination: String!) {
  setPayoutAccount(input: {currency: "CAD", provider: "sandbox", destination: $destination}) {
    __typename ... on PayoutAccount { sellerId destination } ... on Error { code }
  }
}
"""
REQUEST = """
mutation($key: String!) {
  requestPayout(input: {currency: "CAD"}, idempotencyKey: $key) {
    __typename ... on Payout { id state amount { amountMinor } destination }
    ... on PayoutTooSmall { availableMinor minimumMinor } ... on Error { code }
  }
}
"""
BALANCE = "{ escrowBalance { currency held { amountMinor } due { amountMinor } } }"


class TestPayout:
    async def test_goes_to_the_seller_when_the_escrow_is_released(
        self, graph: Any, buy: Buy, transactions: SqlTransactions, work: Work, tenant_id: UUID
    ) -> None:
        seller = person(SELLER, tenant_id)
        made = await buy()
        held = await graph(BALANCE, principal=seller)
        await transactions.run(release_escrow, ReleaseEscrow(order_id=made.order_id), work)
        await graph(ACCOUNT, {"destination": "acct_1"}, principal=seller)
        due = await graph(BALANCE, principal=seller)
        answer = await graph(REQUEST, {"key": "p1"}, principal=seller)
        once_more = await graph(REQUEST, {"key": "p2"}, principal=seller)
        listed = await graph("{ payouts { nodes { sellerId amount { amountMinor } } } }", principal=seller)
        assert held.data["escrowBalance"] == [
            {"currency": "CAD", "held": {"amountMinor": 100_00}, "due": {"amountMinor": 0}}
        ]
        assert due.data["escrowBalance"] == [
            {"currency": "CAD", "held": {"amountMinor": 0}, "due": {"amountMinor": 90_00}}
        ]
        assert answer.data["requestPayout"]["amount"] == {"amountMinor": 90_00}
        assert once_more.data["requestPayout"]["availableMinor"] == 0
        assert listed.data["payouts"]["nodes"] == [{"sellerId": str(SELLER), "amount": {"amountMinor": 90_00}}]

    async def test_needs_to_know_where_to_go(self, graph: Any, tenant_id: UUID) -> None:
        answer = await graph(REQUEST, {"key": "p1"}, principal=person(uuid7(), tenant_id))
        assert answer.data["requestPayout"]["code"] == "NO_PAYOUT_ACCOUNT"

    async def test_never_goes_to_a_card_number(self, graph: Any, tenant_id: UUID) -> None:
        answer = await graph(ACCOUNT, {"destination": "4242424242424242"}, principal=person(SELLER, tenant_id))
        assert answer.data["setPayoutAccount"]["code"] == "CARD_NUMBER_REFUSED"

    async def test_of_others_is_shown_to_nobody(self, graph: Any, tenant_id: UUID) -> None:
        document = "query($id: ID!) { escrowBalance(sellerId: $id) { currency } }"
        answer = await graph(document, {"id": str(SELLER)}, principal=person(uuid7(), tenant_id))
        assert answer.codes == ["FORBIDDEN"]


SAVE = """
mutation($token: String!) {
  savePaymentMethod(input: {provider: "sandbox", token: $token, brand: "visa", last4: "4242"}) {
    __typename ... on PaymentMethod { id last4 isDefault } ... on Error { code message }
  }
}
"""


class TestPaymentMethods:
    async def test_are_kept_by_token(self, graph: Any) -> None:
        saved = await graph(SAVE, {"token": "tok_1"})
        mine = await graph("{ myPaymentMethods { id brand last4 isDefault } }")
        kept = saved.data["savePaymentMethod"]
        assert mine.data["myPaymentMethods"] == [
            {"id": kept["id"], "brand": "visa", "last4": "4242", "isDefault": True}
        ]

    async def test_never_hold_a_card_number(self, graph: Any) -> None:
        answer = await graph(SAVE, {"token": "4242 4242 4242 4242"})
        assert answer.data["savePaymentMethod"]["code"] == "CARD_NUMBER_REFUSED"
        assert "4242" not in answer.data["savePaymentMethod"]["message"]
        mine = await graph("{ myPaymentMethods { id } }")
        assert mine.data["myPaymentMethods"] == []


RECONCILE = """
mutation($statement: String!) {
  runReconciliation(input: {provider: "sandbox", since: "2020-01-01", until: "2030-01-01", statement: $statement}) {
    __typename
    ... on ReconciliationRun { matched discrepancyCount
      discrepancies { nodes { id kind reference ours { amountMinor } theirs { amountMinor } state } } }
    ... on Error { code message }
  }
}
"""
RESOLVE = """
mutation($id: ID!) {
  resolveDiscrepancy(input: {id: $id, note: "booked twice by the bank"}) {
    __typename ... on Discrepancy { state note } ... on Error { code }
  }
}
"""


class TestReconciliation:
    async def test_finds_what_differs_until_somebody_explains_it(self, graph: Any, buy: Buy) -> None:
        made = await buy()
        statement = f"reference,type,amount,currency\n{made.reference},charge,117.99,CAD\n"
        run = (await graph(RECONCILE, {"statement": statement})).data["runReconciliation"]
        (found,) = run["discrepancies"]["nodes"]
        assert (run["matched"], run["discrepancyCount"], found["kind"]) == (0, 1, "AMOUNT_DIFFERS")
        assert (found["ours"]["amountMinor"], found["theirs"]["amountMinor"]) == (118_00, 117_99)
        resolved = await graph(RESOLVE, {"id": found["id"]})
        assert resolved.data["resolveDiscrepancy"]["state"] == "RESOLVED"
        open_ = await graph("{ discrepancies(state: OPEN) { nodes { id } } }")
        assert open_.data["discrepancies"]["nodes"] == []

    async def test_names_the_line_that_it_cannot_read(self, graph: Any) -> None:
        answer = await graph(RECONCILE, {"statement": "reference,type,amount,currency\nx,charge,abc,CAD\n"})
        assert answer.data["runReconciliation"]["message"].startswith("statement: line 2")


class TestDisputes:
    async def test_are_answered_with_evidence(
        self, graph: Any, buy: Buy, transactions: SqlTransactions, work: Work
    ) -> None:
        made = await buy()
        command = OpenDispute(
            payment_id=made.id, reference="dp_1", amount=Money(118_00, "CAD"), reason="product_not_received"
        )
        opened = await transactions.run(open_dispute, command, work)
        document = """
        mutation($id: ID!) {
          submitDisputeEvidence(input: {disputeId: $id, evidence: {tracking: "CP123"}}) {
            __typename ... on PaymentDispute { state evidence } ... on Error { code }
          }
        }
        """
        answer = await graph(document, {"id": str(opened.id)})
        assert answer.data["submitDisputeEvidence"] == {
            "__typename": "PaymentDispute",
            "state": "EVIDENCE",
            "evidence": {"tracking": "CP123"},
        }
        listed = await graph("{ paymentDisputes { nodes { reference amount { amountMinor } } } }")
        assert listed.data["paymentDisputes"]["nodes"] == [{"reference": "dp_1", "amount": {"amountMinor": 118_00}}]


PROVIDERS = "{ paymentProviders { name methods isActive hasCredentials credentialsChangedAt webhookEndpoint } }"
CONFIGURE = """
mutation($input: ConfigureProviderInput!) {
  configureProvider(input: $input) {
    __typename ... on PaymentProvider { name isActive hasCredentials } ... on Error { code }
  }
}
"""
EXCHANGE = """
mutation($input: UpdateProviderCredentialsInput!) {
  updateProviderCredentials(input: $input) {
    __typename ... on PaymentProvider { name isActive hasCredentials } ... on Error { code }
  }
}
"""


class TestProviders:
    async def test_are_taken_out_of_use_for_one_tenant(
        self, graph: Any, services: Any, tenant_id: UUID, make_tenant: Any, transactions: SqlTransactions, work: Work
    ) -> None:
        before = (await graph(PROVIDERS)).data["paymentProviders"]
        assert {each["name"]: each["isActive"] for each in before} == {
            "sandbox": True, "bank_transfer": True, "cash": True,
        }  # fmt: skip
        answer = await graph(CONFIGURE, {"input": {"provider": "cash", "isActive": False}})
        assert answer.data["configureProvider"] == {
            "__typename": "PaymentProvider", "name": "cash", "isActive": False, "hasCredentials": False,
        }  # fmt: skip
        after = (await graph(PROVIDERS)).data["paymentProviders"]
        assert [each["name"] for each in after if not each["isActive"]] == ["cash"]
        elsewhere = await graph(PROVIDERS, tenant=make_tenant())
        assert all(each["isActive"] for each in elsewhere.data["paymentProviders"])
        again = await graph(CONFIGURE, {"input": {"provider": "cash"}})
        assert again.data["configureProvider"]["isActive"]
        assert await told(services, tenant_id, "payments.provider_configured") == [
            {"provider": "cash", "is_active": False}, {"provider": "cash", "is_active": True},
        ]  # fmt: skip

    async def test_keep_secrets_that_nobody_reads_again(self, graph: Any, services: Any, tenant_id: UUID) -> None:
        secret = "sk_live_of_a_tenant"
        first = await graph(CONFIGURE, {"input": {"provider": "sandbox", "credentials": secret}})
        assert first.data["configureProvider"]["hasCredentials"]
        second = await graph(EXCHANGE, {"input": {"provider": "sandbox", "credentials": f"{secret}_2"}})
        assert second.data["updateProviderCredentials"]["hasCredentials"]
        async with services.database.session(tenant_id) as session:
            kept = (await session.execute(select(provider_credential))).one()
        assert secret not in kept.sealed
        place = f"{tenant_id}/payments/sandbox"
        assert services.by_port[Cipher].decrypt(kept.sealed, place) == f"{secret}_2"
        assert await told(services, tenant_id, "payments.credentials_updated") == [{"provider": "sandbox"}] * 2
        (shown,) = [each for each in (await graph(PROVIDERS)).data["paymentProviders"] if each["name"] == "sandbox"]
        assert (shown["hasCredentials"], shown["methods"]) == (True, ["card", "wallet"])
        assert shown["webhookEndpoint"] == str(kept.id)

    @pytest.mark.parametrize("given", [{"provider": "moneybag"}, {"provider": "cash", "credentials": ""}])
    async def test_refuse_what_makes_no_sense(self, graph: Any, services: Any, tenant_id: UUID, given: Any) -> None:
        answer = await graph(CONFIGURE, {"input": given | {"isActive": False}})
        assert answer.data["configureProvider"]["code"] in {"NOT_FOUND", "INVALID_INPUT"}
        assert all(each["isActive"] for each in (await graph(PROVIDERS)).data["paymentProviders"])
        assert await told(services, tenant_id, "payments.provider_configured") == []

    async def test_are_the_business_of_those_who_manage_payments(self, graph: Any, tenant_id: UUID) -> None:
        for person_ in (person(uuid7(), tenant_id), person(uuid7(), tenant_id, "payments.read")):
            for document in (PROVIDERS, "{ providerHealth { provider } }"):
                assert (await graph(document, principal=person_)).codes == ["FORBIDDEN"]
            answer = await graph(CONFIGURE, {"input": {"provider": "cash", "isActive": False}}, principal=person_)
            assert answer.codes == ["FORBIDDEN"]

    async def test_tell_how_they_are(self, graph: Any) -> None:
        document = """{ providerHealth { provider state windowSeconds attempts failures successRate
          p50Milliseconds p95Milliseconds p99Milliseconds lastSuccessAt lastFailureAt } }"""
        answer = await graph(document)
        shown = {each["provider"]: each for each in answer.data["providerHealth"]}
        assert set(shown) == {"sandbox", "bank_transfer", "cash"}
        assert (shown["cash"]["state"], shown["cash"]["windowSeconds"], answer.statements) == ("CLOSED", 300, 0)


async def told(services: Any, tenant_id: UUID, name: str) -> list[Any]:
    async with services.database.session(tenant_id) as session:
        wanted = select(event_log.c.data).where(event_log.c.name == name).order_by(event_log.c.sequence)
        return list((await session.execute(wanted)).scalars())


class TestPolicy:
    async def test_has_defaults_and_can_be_changed(self, graph: Any) -> None:
        before = await graph(
            "{ payoutPolicy { commissionRate payoutMinimumMinor payoutSchedule payoutDelayDays transferDays } }"
        )
        assert before.data["payoutPolicy"] == {
            "transferDays": 7,
            "commissionRate": "0.10",
            "payoutMinimumMinor": 20_00,
            "payoutSchedule": "DAILY",
            "payoutDelayDays": 1,
        }
        document = """
        mutation($rate: Decimal!) {
          updatePayoutPolicy(input: {commissionRate: $rate}) {
            __typename ... on PayoutPolicy { commissionRate payoutMinimumMinor } ... on Error { code }
          }
        }
        """
        changed = await graph(document, {"rate": "0.08"})
        assert changed.data["updatePayoutPolicy"]["payoutMinimumMinor"] == 20_00
        refused = await graph(document, {"rate": "1.5"})
        assert refused.data["updatePayoutPolicy"]["code"] == "INVALID_INPUT"

    async def test_has_events_of_its_own_beside_those_of_the_tenant(self, graph: Any, tenant_id: UUID) -> None:
        document = """mutation { updatePayoutPolicy(input: {reviewScore: 60}) {
          __typename ... on PayoutPolicy { version } ... on Error { message } } }"""
        answers = [await graph(document) for _ in range(2)]
        events = "query($id: ID!) { eventStream(aggregateId: $id) { nodes { id } } }"
        of_tenant = await graph(events, {"id": str(tenant_id)})
        assert [each.data["updatePayoutPolicy"].get("version") for each in answers] == [1, 2]
        assert of_tenant.data["eventStream"]["nodes"] == []


class TestLedger:
    async def test_shows_every_posting_of_an_order(self, graph: Any, buy: Buy) -> None:
        made = await buy()
        document = """
        query($id: ID!) {
          ledgerPostings(orderId: $id) { nodes { kind reference entries { kind amount { amountMinor } } } }
        }
        """
        answer = await graph(document, {"id": str(made.order_id)})
        (posting,) = answer.data["ledgerPostings"]["nodes"]
        assert (posting["kind"], posting["reference"]) == ("CAPTURE", str(made.id))
        assert sorted((each["kind"], each["amount"]["amountMinor"]) for each in posting["entries"]) == [
            ("BUYER_CLEARING", 115_00),
            ("ESCROW", -100_00),
            ("PLATFORM_FEES", -5_00),
            ("PROVIDER_FEES", 3_00),
            ("TAX_PAYABLE", -13_00),
        ]
        assert answer.statements == 2


class TestPaymentStatusChanged:
    async def test_follows_a_payment_until_the_money_is_there_or_will_not_come(
        self, supergraph: Any, services: Any, graph: Any, buy: Buy, tenant_id: UUID, relay: None
    ) -> None:
        made = await buy(WATCHED)
        reads = services.database.reads(tenant_id)
        context = Context(
            reads=reads,
            transactions=services.transactions,
            services=services.by_port,
            principal=person(BUYER, tenant_id),
            tenant_id=tenant_id,
        )
        document = "subscription($id: ID!) { paymentStatusChanged(orderId: $id) { payment { state } } }"
        variables = {"id": str(made.order_id)}
        stream = await supergraph.subscribe(document, variable_values=variables, context_value=context)
        seen = [(await anext(stream)).data["paymentStatusChanged"]["payment"]["state"]]
        await graph(REVIEW, {"id": str(made.id), "approve": False})
        seen += [answer.data["paymentStatusChanged"]["payment"]["state"] async for answer in stream]
        await reads.end()
        assert list(dict.fromkeys(seen)) == ["REVIEW", "FAILED"]
