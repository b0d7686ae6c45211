"""The sandbox provider through its adapter: every card does what it is for, and every key takes effect once."""

import asyncio
import csv
import io
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest

from domain.kernel import InvalidInput
from domain.money import Money
from domain.payments.providers import (
    ChargeStatus,
    ProviderRefused,
    ProviderUnreachable,
    RefundStatus,
    TransferStatus,
)
from domain.payments.statements import Movement, MovementKind, parse_statement
from server.payments.sandbox import SandboxProvider
from server.payments.sandbox_app import SandboxApp, SandboxConfig
from server.payments.sandbox_cards import CARDS
from tests.sandbox.desk import (
    API_KEY,
    ORDER,
    PAYMENT,
    SECRET,
    TENANT,
    SandboxDesk,
    cad,
    charge_request,
    event_ids,
    served,
)


@pytest.fixture
async def desk() -> AsyncIterator[SandboxDesk]:
    opened = SandboxDesk()
    yield opened
    await opened.aclose()


class TestCharge:
    async def test_takes_the_amount_and_tells_the_fee_and_the_card(self, desk: SandboxDesk) -> None:
        outcome = await desk.provider.charge(charge_request(amount=12_345))

        assert outcome.status is ChargeStatus.CAPTURED
        assert outcome.amount == cad(12_345)
        assert outcome.fee == cad(388)  # 2.9 % of 123.45 is 3.58, and 0.30.
        assert (outcome.brand, outcome.last4, outcome.provider) == ("visa", "4242", "sandbox")

    async def test_happens_once_however_often_it_is_asked_for(self, desk: SandboxDesk) -> None:
        answers = [await desk.provider.charge(charge_request()) for _ in range(3)]

        assert answers[0] == answers[1] == answers[2]
        assert len(desk.charges()) == 1

    async def test_happens_once_when_asked_for_at_the_same_time(self, desk: SandboxDesk) -> None:
        answers = await asyncio.gather(*(desk.provider.charge(charge_request()) for _ in range(16)))

        assert len({answer.reference for answer in answers}) == 1
        assert len(desk.charges()) == 1

    async def test_refuses_a_key_that_was_used_for_something_else(self, desk: SandboxDesk) -> None:
        await desk.provider.charge(charge_request(amount=100))

        with pytest.raises(ProviderRefused, match="idempotency_key_reused"):
            await desk.provider.charge(charge_request(amount=200))
        assert [charge["captured"] for charge in desk.charges()] == [100]

    @pytest.mark.parametrize(
        ("token", "reason"),
        [
            ("sbx_card_declined", "card_declined"),
            ("sbx_card_insufficient_funds", "insufficient_funds"),
            ("sbx_card_expired", "expired_card"),
            ("sbx_nobody_knows_this", "invalid_card"),
        ],
    )
    async def test_says_why_a_card_is_declined(self, desk: SandboxDesk, token: str, reason: str) -> None:
        outcome = await desk.provider.charge(charge_request(token))

        assert (outcome.status, outcome.reason, outcome.fee) == (ChargeStatus.DECLINED, reason, None)
        assert outcome == await desk.provider.charge(charge_request(token))

    async def test_refuses_an_amount_that_is_not_positive_before_anything_is_sent(self) -> None:
        with pytest.raises(InvalidInput):
            charge_request(amount=0)
        with pytest.raises(InvalidInput):
            charge_request(key="with a space")

    async def test_needs_the_api_key(self, desk: SandboxDesk) -> None:
        stranger = SandboxProvider("", "guessed", app=desk.sandbox.app)
        with pytest.raises(ProviderRefused, match="unauthorized"):
            await stranger.charge(charge_request())
        await stranger.close()
        assert desk.charges() == []

    async def test_survives_a_restart(self, tmp_path: Path) -> None:
        before = SandboxDesk(path=tmp_path / "sandbox.db")
        outcome = await before.provider.charge(charge_request())
        await before.aclose()

        after = SandboxDesk(path=tmp_path / "sandbox.db")
        assert await after.provider.charge(charge_request()) == outcome
        assert len(after.charges()) == 1
        await after.aclose()


class TestProcesses:
    """Several processes with one file: a server and its workers, say."""

    async def test_take_the_money_of_a_key_once(self, tmp_path: Path) -> None:
        desks = [SandboxDesk(path=tmp_path / "sandbox.db") for _ in range(3)]
        asked = (desk.provider.charge(charge_request(key=f"pay-{key}")) for key in range(5) for desk in desks)
        answers = await asyncio.gather(*asked)

        assert len({answer.reference for answer in answers}) == len(desks[0].charges()) == 5
        for desk in desks:
            await desk.aclose()

    async def test_send_each_webhook_once(self, tmp_path: Path) -> None:
        desks = [SandboxDesk(path=tmp_path / "sandbox.db") for _ in range(3)]
        for key in range(6):
            await desks[key % 3].provider.charge(charge_request(key=f"pay-{key}"))
        await asyncio.gather(*(desk.later(0) for desk in desks))

        assert len(event_ids([sent for desk in desks for sent in desk.sent])) == 6
        for desk in desks:
            await desk.aclose()


class TestTrouble:
    @pytest.mark.parametrize("token", ["sbx_card_timeout_after", "sbx_card_fail_after"])
    async def test_after_charging_leaves_one_charge_that_a_repetition_finds(
        self, desk: SandboxDesk, token: str
    ) -> None:
        with pytest.raises(ProviderUnreachable) as caught:
            await desk.provider.charge(charge_request(token))

        assert caught.value.outcome_unknown
        found = await desk.provider.find("pay-1")
        assert found is not None
        assert (found.status, found.amount) == (ChargeStatus.CAPTURED, cad(10_000))
        assert await desk.provider.charge(charge_request(token)) == found
        assert len(desk.charges()) == 1

    @pytest.mark.parametrize("token", ["sbx_card_timeout_before", "sbx_card_fail_before"])
    async def test_before_charging_leaves_nothing_until_it_is_repeated(self, desk: SandboxDesk, token: str) -> None:
        with pytest.raises(ProviderUnreachable):
            await desk.provider.charge(charge_request(token))

        assert await desk.provider.find("pay-1") is None
        assert desk.charges() == []
        assert (await desk.provider.charge(charge_request(token))).status is ChargeStatus.CAPTURED

    async def test_on_a_real_line_is_a_time_out_and_not_a_second_charge(self) -> None:
        sandbox = SandboxApp(SandboxConfig(api_key=API_KEY, webhook_secret=SECRET, silence_seconds=1))
        with served(sandbox.app) as url:
            provider = SandboxProvider(url, API_KEY, timeout_seconds=0.3)
            with pytest.raises(ProviderUnreachable) as caught:
                await provider.charge(charge_request("sbx_card_timeout_after"))
            outcome = await provider.charge(charge_request("sbx_card_timeout_after"))
            await provider.close()

        assert caught.value.outcome_unknown
        assert outcome.status is ChargeStatus.CAPTURED

    async def test_of_a_line_that_is_dead_says_that_nothing_was_sent(self) -> None:
        provider = SandboxProvider("http://127.0.0.1:9", API_KEY, timeout_seconds=1)
        with pytest.raises(ProviderUnreachable) as caught:
            await provider.charge(charge_request())
        await provider.close()

        assert not caught.value.outcome_unknown


class TestCapture:
    async def test_takes_a_part_of_what_was_authorised(self, desk: SandboxDesk) -> None:
        held = await desk.provider.charge(charge_request(capture=False))
        assert (held.status, held.fee) == (ChargeStatus.AUTHORIZED, None)

        taken = await desk.provider.capture(held.reference, cad(4_000), "cap-1")

        assert (taken.status, taken.amount, taken.fee) == (ChargeStatus.CAPTURED, cad(4_000), cad(146))
        assert await desk.provider.capture(held.reference, cad(4_000), "cap-1") == taken

    async def test_refuses_more_than_was_authorised(self, desk: SandboxDesk) -> None:
        held = await desk.provider.charge(charge_request(capture=False))

        with pytest.raises(ProviderRefused, match="amount_too_large"):
            await desk.provider.capture(held.reference, cad(10_001), "cap-1")
        assert desk.charges()[0]["status"] == "authorized"

    async def test_refuses_another_currency(self, desk: SandboxDesk) -> None:
        held = await desk.provider.charge(charge_request(capture=False))

        with pytest.raises(ProviderRefused, match="currency_mismatch"):
            await desk.provider.capture(held.reference, Money(100, "EUR"), "cap-1")
        assert desk.charges()[0]["captured"] == 0

    async def test_refuses_what_was_let_go(self, desk: SandboxDesk) -> None:
        held = await desk.provider.charge(charge_request(capture=False))
        answers = [await desk.provider.void(held.reference, "void-1") for _ in range(2)]
        assert [answer.status for answer in answers] == [ChargeStatus.VOIDED, ChargeStatus.VOIDED]

        with pytest.raises(ProviderRefused, match="charge_is_voided"):
            await desk.provider.capture(held.reference, cad(1), "cap-1")
        found = await desk.provider.find("pay-1")
        assert found is not None
        assert found.status is ChargeStatus.VOIDED


class TestRefund:
    async def test_gives_back_in_parts_until_nothing_is_left(self, desk: SandboxDesk) -> None:
        charge = await desk.provider.charge(charge_request())
        first = await desk.provider.refund(charge.reference, cad(6_000), "ref-1")
        again = await desk.provider.refund(charge.reference, cad(6_000), "ref-1")

        assert first == again
        assert (first.status, first.amount) == (RefundStatus.COMPLETED, cad(6_000))
        with pytest.raises(ProviderRefused, match="amount_too_large"):
            await desk.provider.refund(charge.reference, cad(4_001), "ref-2")
        assert desk.charges()[0]["refunded"] == 6_000

    async def test_never_gives_back_more_than_was_taken_when_many_ask(self, desk: SandboxDesk) -> None:
        charge = await desk.provider.charge(charge_request())
        asked = (desk.provider.refund(charge.reference, cad(3_000), f"ref-{each}") for each in range(10))
        answers = await asyncio.gather(*asked, return_exceptions=True)

        assert sum(not isinstance(answer, BaseException) for answer in answers) == 3
        assert desk.charges()[0]["refunded"] == 9_000

    async def test_may_be_completed_late(self, desk: SandboxDesk) -> None:
        charge = await desk.provider.charge(charge_request("sbx_card_refund_late"))
        refund = await desk.provider.refund(charge.reference, cad(10_000), "ref-1")
        assert refund.status is RefundStatus.PENDING

        await desk.later(2)
        told = (await desk.events())[-1]
        assert told.fact == "refund.completed"
        assert told.refund is not None
        assert (told.refund.reference, told.reference) == (refund.reference, charge.reference)
        assert told.refund.key == refund.key == "ref-1"

    async def test_may_fail_and_leave_the_money_where_it_is(self, desk: SandboxDesk) -> None:
        charge = await desk.provider.charge(charge_request("sbx_card_refund_fails"))
        refund = await desk.provider.refund(charge.reference, cad(10_000), "ref-1")

        assert (refund.status, refund.reason) == (RefundStatus.FAILED, "account_closed")
        assert desk.charges()[0]["refunded"] == 0

    async def test_may_come_back_once_and_arrive_then(self, desk: SandboxDesk) -> None:
        charge = await desk.provider.charge(charge_request("sbx_card_refund_returns"))
        first = await desk.provider.refund(charge.reference, cad(10_000), "ref-1")
        assert (first.status, desk.charges()[0]["refunded"]) == (RefundStatus.COMPLETED, 0)

        await desk.later(2)
        told = (await desk.events())[-1]
        assert (told.fact, told.reason) == ("refund.failed", "account_closed")
        assert told.refund is not None
        assert told.refund.key == "ref-1"
        second = await desk.provider.refund(charge.reference, cad(10_000), "ref-1:1")
        assert (second.status, desk.charges()[0]["refunded"]) == (RefundStatus.COMPLETED, 10_000)

    async def test_is_not_possible_for_a_charge_that_nobody_knows(self, desk: SandboxDesk) -> None:
        with pytest.raises(ProviderRefused, match="no_such_charge"):
            await desk.provider.refund("sbx_ch_unknown", cad(1), "ref-1")


class TestTransfer:
    async def test_is_paid_late_or_refused_as_the_account_says(self, desk: SandboxDesk) -> None:
        paid = await desk.provider.transfer("sbx_acct_1", cad(9_000), "out-1", tenant_id=TENANT)
        slow = await desk.provider.transfer("sbx_acct_slow", cad(9_000), "out-2", tenant_id=TENANT)
        closed = await desk.provider.transfer("sbx_acct_closed", cad(9_000), "out-3", tenant_id=TENANT)
        await desk.later(2)

        assert (paid.status, slow.status, closed.status) == (
            TransferStatus.PAID,
            TransferStatus.PENDING,
            TransferStatus.FAILED,
        )
        assert await desk.facts() == ["transfer.paid", "transfer.failed", "transfer.paid"]
        last = (await desk.events())[-1]
        assert last.transfer is not None
        assert (last.reference, last.transfer.key, last.tenant_id) == (slow.reference, "out-2", TENANT)


class TestWebhooks:
    async def test_say_whose_charge_it_was(self, desk: SandboxDesk) -> None:
        outcome = await desk.provider.charge(charge_request())
        await desk.later(0)

        (event,) = await desk.events()
        assert (event.tenant_id, event.order_id, event.payment_id) == (TENANT, ORDER, PAYMENT)
        assert (event.fact, event.charge, event.amount) == ("charge.captured", outcome, cad(10_000))

    async def test_confirm_late(self, desk: SandboxDesk) -> None:
        outcome = await desk.provider.charge(charge_request("sbx_card_late"))
        assert (outcome.status, outcome.fee) == (ChargeStatus.PENDING, None)
        await desk.later(1)
        assert await desk.facts() == ["charge.pending"]
        early = await desk.provider.find("pay-1")
        assert early is not None
        assert early.status is ChargeStatus.PENDING

        await desk.later(1)

        assert await desk.facts() == ["charge.pending", "charge.captured"]
        found = await desk.provider.find("pay-1")
        assert found is not None
        assert (found.status, found.reference, found.fee) == (ChargeStatus.CAPTURED, outcome.reference, cad(320))

    async def test_decline_late(self, desk: SandboxDesk) -> None:
        outcome = await desk.provider.charge(charge_request("sbx_card_late_decline"))
        await desk.later(2)

        assert outcome.reason is None
        last = (await desk.events())[-1]
        assert (last.fact, last.reason) == ("charge.declined", "card_declined")

    async def test_cannot_be_stopped_while_the_charge_is_being_decided(self, desk: SandboxDesk) -> None:
        pending = await desk.provider.charge(charge_request("sbx_card_late"))

        assert await desk.provider.void(pending.reference, "void-1") == pending
        await desk.later(2)
        assert (await desk.provider.void(pending.reference, "void-1")).status is ChargeStatus.CAPTURED
        assert (await desk.facts())[-1] == "charge.captured"

    async def test_are_not_needed_by_who_asks_again(self, desk: SandboxDesk) -> None:
        pending = await desk.provider.charge(charge_request("sbx_card_late"))
        assert await desk.provider.charge(charge_request("sbx_card_late")) == pending
        await desk.later(2)

        again = await desk.provider.charge(charge_request("sbx_card_late"))
        assert (again.status, again.reference) == (ChargeStatus.CAPTURED, pending.reference)

    async def test_come_twice_and_once_more_in_other_words(self, desk: SandboxDesk) -> None:
        await desk.provider.charge(charge_request("sbx_card_twice"))
        await desk.later(2)

        first, second, third = event_ids(desk.sent)
        assert first == second != third
        assert await desk.facts() == ["charge.captured"] * 3
        assert len(desk.charges()) == 1

    async def test_come_out_of_order(self, desk: SandboxDesk) -> None:
        await desk.provider.charge(charge_request("sbx_card_out_of_order"))
        await desk.later(2)
        await desk.later(1)

        captured, pending = await desk.events()
        assert (captured.fact, pending.fact) == ("charge.captured", "charge.pending")
        assert pending.occurred_at < captured.occurred_at

    async def test_may_tell_another_amount_than_was_asked_for(self, desk: SandboxDesk) -> None:
        outcome = await desk.provider.charge(charge_request("sbx_card_wrong_amount"))
        assert (outcome.status, outcome.amount) == (ChargeStatus.CAPTURED, cad(5_000))

    async def test_tell_of_a_dispute_and_of_its_end(self, desk: SandboxDesk) -> None:
        outcome = await desk.provider.charge(charge_request("sbx_card_disputed"))
        await desk.later(2)
        opened = (await desk.events())[-1]
        assert opened.dispute_reference is not None
        desk.sandbox.bank.close_dispute(opened.dispute_reference, won=False)
        await desk.later(0)

        assert (opened.fact, opened.reference, opened.amount) == ("dispute.opened", outcome.reference, cad(10_000))
        assert (await desk.facts())[-1] == "dispute.lost"

    async def test_are_sent_again_until_they_are_taken(self, desk: SandboxDesk) -> None:
        desk.answers = [500, 503, 200]
        await desk.provider.charge(charge_request())
        await desk.later(0)
        await desk.later(1)
        await desk.later(5)
        await desk.later(1_000)

        assert len(desk.sent) == 3
        assert len(set(event_ids(desk.sent))) == 1
        assert len({headers["sandbox-signature"] for _, headers in desk.sent}) == 3

    async def test_are_given_up_in_the_end(self, desk: SandboxDesk) -> None:
        desk.answers = [500]
        await desk.provider.charge(charge_request())
        for _ in range(10):
            await desk.later(600)

        assert len(desk.sent) == 6

    async def test_may_be_limited_to_what_no_answer_has_told(self) -> None:
        desk = SandboxDesk(tells_all=False)
        await desk.provider.charge(charge_request("sbx_card_ok", "a"))
        await desk.provider.charge(charge_request("sbx_card_late", "b"))
        with pytest.raises(ProviderUnreachable):
            await desk.provider.charge(charge_request("sbx_card_timeout_after", "c"))
        await desk.later(2)

        assert [event.charge.last4 for event in await desk.events() if event.charge] == ["0101", "0202"]
        await desk.aclose()


class TestStatement:
    async def test_lists_every_movement_to_the_cent(self, desk: SandboxDesk) -> None:
        charge = await desk.provider.charge(charge_request())
        await desk.provider.charge(charge_request("sbx_card_declined", "pay-2"))
        await desk.provider.refund(charge.reference, cad(2_500), "ref-1")
        await desk.provider.transfer("sbx_acct_1", cad(1_000), "out-1")
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app=desk.sandbox.app)) as client:
            answer = await client.get("http://x/v1/statement", headers={"authorization": f"Bearer {API_KEY}"})

        rows = list(csv.DictReader(io.StringIO(answer.text)))
        assert [(row["type"], row["amount"], row["fee"], row["currency"]) for row in rows] == [
            ("charge", "100.00", "3.20", "CAD"),
            ("refund", "-25.00", "", "CAD"),
            ("payout", "-10.00", "", "CAD"),
        ]
        assert (rows[0]["reference"], rows[1]["charge"]) == (charge.reference, charge.reference)

    async def test_can_be_reconciled(self, desk: SandboxDesk) -> None:
        charge = await desk.provider.charge(charge_request())
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app=desk.sandbox.app)) as client:
            answer = await client.get("http://x/v1/statement", headers={"authorization": f"Bearer {API_KEY}"})

        moment = datetime.fromtimestamp(desk.now, UTC)
        assert parse_statement(answer.text) == [
            Movement(MovementKind.CHARGE, charge.reference, cad(10_000), cad(320), moment)
        ]


class TestCards:
    async def test_all_end_in_one_charge_when_repeated(self, desk: SandboxDesk) -> None:
        for token in CARDS:
            for _ in range(3):
                try:
                    outcome = await desk.provider.charge(charge_request(token, f"pay-{token}"))
                except ProviderUnreachable:
                    continue
            assert outcome.reference.startswith("sbx_ch_")

        assert len(desk.charges()) == len(CARDS)
