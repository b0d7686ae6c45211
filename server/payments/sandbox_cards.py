"""The cards of the sandbox: each behaves in one way that real ones do, some of them nasty."""

from dataclasses import dataclass
from enum import StrEnum


class Behaviour(StrEnum):
    """What happens when a card is charged; every trouble happens once per key, a repetition is answered at once."""

    SUCCEED = "succeed"
    DECLINE = "decline"
    TIME_OUT_AFTER = "time_out_after_charging"
    TIME_OUT_BEFORE = "time_out_before_charging"
    FAIL_AFTER = "fail_after_charging"
    FAIL_BEFORE = "fail_before_charging"
    ANSWER_TWICE = "answer_twice"
    CONFIRM_LATE = "confirm_late"
    DECLINE_LATE = "decline_late"
    OUT_OF_ORDER = "out_of_order"
    WRONG_AMOUNT = "wrong_amount"
    DISPUTE = "dispute"
    REFUND_LATE = "refund_late"
    REFUND_FAILS = "refund_fails"
    REFUND_RETURNS = "refund_returns"
    NEEDS_ACTION = "needs_action"


@dataclass(frozen=True)
class Card:
    """A token with what it stands for; `reason` is the word for a refusal."""

    token: str
    behaviour: Behaviour
    last4: str
    brand: str = "visa"
    reason: str | None = None


CARDS = {
    card.token: card
    for card in (
        Card("sbx_card_ok", Behaviour.SUCCEED, "4242"),
        Card("sbx_card_mastercard", Behaviour.SUCCEED, "4444", "mastercard"),
        Card("sbx_card_declined", Behaviour.DECLINE, "0002", reason="card_declined"),
        Card("sbx_card_insufficient_funds", Behaviour.DECLINE, "9995", reason="insufficient_funds"),
        Card("sbx_card_expired", Behaviour.DECLINE, "0069", "mastercard", "expired_card"),
        Card("sbx_card_timeout_after", Behaviour.TIME_OUT_AFTER, "0101"),
        Card("sbx_card_timeout_before", Behaviour.TIME_OUT_BEFORE, "0102"),
        Card("sbx_card_fail_after", Behaviour.FAIL_AFTER, "0103"),
        Card("sbx_card_fail_before", Behaviour.FAIL_BEFORE, "0104"),
        Card("sbx_card_twice", Behaviour.ANSWER_TWICE, "0201"),
        Card("sbx_card_late", Behaviour.CONFIRM_LATE, "0202"),
        Card("sbx_card_late_decline", Behaviour.DECLINE_LATE, "0203", reason="card_declined"),
        Card("sbx_card_out_of_order", Behaviour.OUT_OF_ORDER, "0204"),
        Card("sbx_card_wrong_amount", Behaviour.WRONG_AMOUNT, "0301"),
        Card("sbx_card_disputed", Behaviour.DISPUTE, "0259"),
        Card("sbx_card_refund_late", Behaviour.REFUND_LATE, "7726"),
        Card("sbx_card_refund_fails", Behaviour.REFUND_FAILS, "5126"),
        Card("sbx_card_refund_returns", Behaviour.REFUND_RETURNS, "7734"),
        Card("sbx_card_3ds", Behaviour.NEEDS_ACTION, "3155"),
    )
}
TRANSFER_DELAYED = "sbx_acct_slow"
TRANSFER_REFUSED = "sbx_acct_closed"
