"""The rules of the sandbox provider: charges, refunds, transfers and disputes, each key once."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from secrets import token_hex
from typing import Any

import orjson

from server.payments.sandbox_books import Answer, Body, Refusal, SandboxBooks
from server.payments.sandbox_cards import CARDS, TRANSFER_DELAYED, TRANSFER_REFUSED, Behaviour, Card

_UNTOLD = frozenset({Behaviour.ANSWER_TWICE, Behaviour.TIME_OUT_AFTER, Behaviour.FAIL_AFTER, Behaviour.NEEDS_ACTION})
_LATE = frozenset({Behaviour.CONFIRM_LATE, Behaviour.DECLINE_LATE, Behaviour.OUT_OF_ORDER})


@dataclass
class SandboxBank:
    """Carries requests out, each key once.

    `late_seconds` is how long a late confirmation takes, `told_seconds` is how much later a webhook comes that tells what an
    answer has told. Amounts are minor units. The fee is 2.9 % and 30 minor units of
    what is captured. With `tells_all` unset, only those facts are sent as webhooks that no answer has told.
    """

    books: SandboxBooks
    late_seconds: float = 2.0
    told_seconds: float = 0.0
    tells_all: bool = True

    def charge(self, key: str, request: Mapping[str, Any]) -> Answer:
        """Take money by a card."""
        return self.books.once(key, {"charge": dict(request)}, lambda: self._charge(request))

    def confirm(self, charge_id: str, client_secret: str) -> Body:
        """Go on with a charge whose buyer has proved who they are, as their client tells by the secret that it got.

        Raises: Refusal.
        """
        with self.books.transaction():
            charge = self._of(charge_id, "charge")
            if charge["status"] != "pending" or charge.get("client_secret") != client_secret:
                raise Refusal(409, "nothing_to_confirm")
            del charge["client_secret"]
            self._decide(charge, CARDS[charge["method"]], capture=charge.pop("capture"))
            return charge

    def capture(self, key: str, charge_id: str, request: Mapping[str, Any]) -> Answer:
        """Take what was authorised, or a part of it; the rest is let go."""
        return self.books.once(key, {"capture": charge_id, **request}, lambda: self._capture(charge_id, request))

    def void(self, key: str, charge_id: str) -> Answer:
        """Let go what was authorised; a charge that is still being decided cannot be stopped."""
        return self.books.once(key, {"void": charge_id}, lambda: self._void(charge_id))

    def refund(self, key: str, charge_id: str, request: Mapping[str, Any]) -> Answer:
        """Give back what was captured, or a part of it."""
        return self.books.once(key, {"refund": charge_id, **request}, lambda: self._refund(charge_id, request, key))

    def transfer(self, key: str, request: Mapping[str, Any]) -> Answer:
        """Send money to a seller."""
        return self.books.once(key, {"transfer": dict(request)}, lambda: self._transfer(request, key))

    def close_dispute(self, dispute_id: str, *, won: bool) -> Body:
        """Decide a dispute, as the card's bank would.

        Raises: Refusal.
        """
        with self.books.transaction():
            dispute = self._of(dispute_id, "dispute")
            if dispute["status"] != "opened":
                raise Refusal(409, "dispute_is_closed")
            dispute["status"] = "won" if won else "lost"
            self.books.put(dispute)
            self._tell(f"dispute.{dispute['status']}", dispute)
            return dispute

    def charge_of(self, charge_id: str) -> Body:
        """Give a charge as it is now.

        Raises: Refusal.
        """
        return self._of(charge_id, "charge")

    def charge_under(self, key: str) -> Body | None:
        """Give the charge made under a key as it is now."""
        made = self.books.answer_under(key)
        return self.charge_of(made["id"]) if made and made["object"] == "charge" else None

    def movements(self) -> Iterator[Body]:
        """Give everything that moved money, oldest first: what a statement lists."""
        for body in map(self._as_of_now, self.books.all()):
            kind = body["object"]
            if kind == "charge" and body["captured"]:
                yield body | {"type": "charge", "moved": body["captured"]}
            elif kind in {"refund", "transfer"} and body["status"] in {"completed", "paid"}:
                yield body | {"type": "payout" if kind == "transfer" else kind, "moved": -body["amount"]}

    def _charge(self, request: Mapping[str, Any]) -> Body:
        card = CARDS.get(request["method"])
        declined = "invalid_card" if card is None else card.reason if card.behaviour is Behaviour.DECLINE else None
        charge = {
            "object": "charge",
            "id": _new("ch"),
            "method": request["method"],
            "status": "declined" if declined else "pending",
            "reason": declined,
            "amount": request["amount"],
            "currency": request["currency"],
            "captured": 0,
            "refunded": 0,
            "fee": 0,
            "last4": card.last4 if card else None,
            "brand": card.brand if card else None,
            "metadata": request.get("metadata") or {},
            "created": self.books.clock(),
        }
        if declined or card is None:
            self.books.put(charge)
            self._tell("charge.declined", charge)
        elif card.behaviour is Behaviour.NEEDS_ACTION:
            charge |= {"client_secret": f"{charge['id']}_secret_{token_hex(12)}", "capture": request["capture"]}
            self.books.put(charge)
            self._tell("charge.pending", charge)
        elif card.behaviour in _LATE:
            self._decide_later(charge, card, capture=request["capture"])
        else:
            self._decide(charge, card, capture=request["capture"])
        return charge

    def _decide(self, charge: Body, card: Card, *, capture: bool) -> None:
        if capture:
            wrong = card.behaviour is Behaviour.WRONG_AMOUNT
            _take(charge, max(1, charge["amount"] // 2) if wrong else charge["amount"])
        else:
            charge["status"] = "authorized"
        self.books.put(charge)
        self._tell(f"charge.{charge['status']}", charge, known=card.behaviour not in _UNTOLD)
        if card.behaviour is Behaviour.ANSWER_TWICE:
            self._tell_twice(charge)
        if card.behaviour is Behaviour.DISPUTE and capture:
            self._dispute(charge)

    def _decide_later(self, charge: Body, card: Card, *, capture: bool) -> None:
        """Answer "pending" now; what the webhook will say is true at once in the books, as it is at a bank."""
        answer = dict(charge)
        status = "declined" if card.behaviour is Behaviour.DECLINE_LATE else "captured" if capture else "authorized"
        charge["status"] = status
        charge["reason"] = card.reason
        if status == "captured":
            _take(charge, charge["amount"])
        # What is pending in the answer is decided by the time that the webhook is due.
        charge["decided_at"] = self.books.clock() + self.late_seconds
        self.books.put(charge)
        decided = {name: value for name, value in charge.items() if name != "decided_at"}
        self._tell(f"charge.{status}", decided, after=self.late_seconds, known=False)
        late = 1.5 * self.late_seconds if card.behaviour is Behaviour.OUT_OF_ORDER else 0.0
        self._tell("charge.pending", answer, after=late, happened=charge["created"], known=not late)
        charge.clear()
        charge.update(answer)

    def _tell_twice(self, charge: Body) -> None:
        """The same message once more, and the same fact in another message."""
        self.books.queue(*self.books.last_queued(), self.late_seconds / 2)
        self._tell(f"charge.{charge['status']}", charge, after=self.late_seconds, known=False)

    def _dispute(self, charge: Body) -> None:
        dispute = {
            "object": "dispute",
            "id": _new("dp"),
            "charge": charge["id"],
            "status": "opened",
            "reason": "fraudulent",
            "amount": charge["captured"],
            "currency": charge["currency"],
            "metadata": charge["metadata"],
            "created": self.books.clock(),
        }
        self.books.put(dispute)
        self._tell("dispute.opened", dispute, after=self.late_seconds, known=False)

    def _capture(self, charge_id: str, request: Mapping[str, Any]) -> Body:
        charge = self._of(charge_id, "charge")
        if charge["status"] != "authorized":
            raise Refusal(409, f"charge_is_{charge['status']}")
        _require_at_most(charge["amount"], charge, request)
        _take(charge, request["amount"])
        self.books.put(charge)
        self._tell("charge.captured", charge)
        return charge

    def _void(self, charge_id: str) -> Body:
        charge = self._of(charge_id, "charge")
        if charge["status"] not in {"authorized", "voided"}:
            raise Refusal(409, f"charge_is_{charge['status']}")
        charge["status"] = "voided"
        self.books.put(charge)
        self._tell("charge.voided", charge)
        return charge

    def _refund(self, charge_id: str, request: Mapping[str, Any], key: str) -> Body:
        charge = self._of(charge_id, "charge")
        if charge["status"] != "captured":
            raise Refusal(409, f"charge_is_{charge['status']}")
        _require_at_most(charge["captured"] - charge["refunded"], charge, request)
        behaviour = CARDS[charge["method"]].behaviour
        refund = {
            "object": "refund",
            "id": _new("re"),
            "key": key,
            "charge": charge_id,
            "status": "pending" if behaviour is Behaviour.REFUND_LATE else "completed",
            "reason": None,
            "amount": request["amount"],
            "currency": charge["currency"],
            "metadata": charge["metadata"],
            "created": self.books.clock(),
        }
        if behaviour is Behaviour.REFUND_FAILS:
            refund |= {"status": "failed", "reason": "account_closed"}
        elif behaviour is Behaviour.REFUND_RETURNS and not charge.get("came_back"):
            return self._returned(charge, refund)
        else:
            charge["refunded"] += request["amount"]
            self.books.put(charge)
        self._answer_or_later(refund, "completed")
        return refund

    def _returned(self, charge: Body, refund: Body) -> Body:
        """Answer "completed" now; the money comes back once, as the webhook will say, and the next refund arrives."""
        charge["came_back"] = True
        self.books.put(charge)
        self._tell("refund.completed", refund)
        back = refund | {"status": "failed", "reason": "account_closed"}
        self.books.put(back)
        self._tell("refund.failed", back, after=self.late_seconds, known=False)
        return refund

    def _transfer(self, request: Mapping[str, Any], key: str) -> Body:
        destination = request["destination"]
        refused = destination == TRANSFER_REFUSED
        transfer = {
            "object": "transfer",
            "id": _new("tr"),
            "key": key,
            "destination": destination,
            "status": "failed" if refused else "pending" if destination == TRANSFER_DELAYED else "paid",
            "reason": "account_closed" if refused else None,
            "amount": request["amount"],
            "currency": request["currency"],
            "metadata": request.get("metadata") or {},
            "created": self.books.clock(),
        }
        self._answer_or_later(transfer, "paid")
        return transfer

    def _answer_or_later(self, made: Body, in_the_end: str) -> None:
        kind = made["object"]
        if made["status"] != "pending":
            self.books.put(made)
            self._tell(f"{kind}.{made['status']}", made)
            return
        done = made | {"status": in_the_end}
        self.books.put(done)
        self._tell(f"{kind}.{in_the_end}", done, after=self.late_seconds, known=False)

    def _of(self, identifier: str, kind: str) -> Body:
        return self._as_of_now(self.books.get(identifier, kind))

    def _as_of_now(self, body: Body) -> Body:
        decided_at = body.pop("decided_at", 0)
        if decided_at <= self.books.clock():
            return body
        return body | {"status": "pending", "reason": None, "captured": 0, "fee": 0}

    def _tell(
        self, kind: str, subject: Body, after: float = 0.0, *, happened: float | None = None, known: bool = True
    ) -> None:
        """Queue a webhook, unless an answer has told the same and only the rest is wanted."""
        if known and not self.tells_all:
            return
        if known:
            after += self.told_seconds
        event_id = _new("evt")
        moment = self.books.clock() + after if happened is None else happened
        body = {"id": event_id, "type": kind, "created": moment, "data": subject}
        self.books.queue(event_id, orjson.dumps(body), after)


def _require_at_most(most: int, charge: Body, request: Mapping[str, Any]) -> None:
    if request["currency"] != charge["currency"]:
        raise Refusal(422, "currency_mismatch")
    if request["amount"] > most:
        raise Refusal(422, "amount_too_large")


def _take(charge: Body, amount: int) -> None:
    charge["status"] = "captured"
    charge["captured"] = amount
    # 2.9 % and 30 minor units, half up, and never more than there is.
    charge["fee"] = min(amount, (amount * 29 + 500) // 1000 + 30)


def _new(prefix: str) -> str:
    return f"sbx_{prefix}_{token_hex(12)}"
