"""A provider's statement of account, read from CSV."""

import csv
import io
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from domain.kernel import InvalidInput
from domain.money import Money

MAX_LINES = 100_000
COLUMNS = ("reference", "type", "amount", "currency")


class MovementKind(StrEnum):
    """What moved money at a provider."""

    CHARGE = "charge"
    REFUND = "refund"
    REFUND_RETURNED = "refund_returned"
    PAYOUT = "payout"


@dataclass(frozen=True, slots=True)
class Movement:
    """One movement of money, as a provider's statement or our own books have it; amounts are never negative.

    `fee` is None where a statement says nothing of it.
    """

    kind: MovementKind
    reference: str
    amount: Money
    fee: Money | None = None
    at: datetime | None = None


def parse_statement(text: str) -> list[Movement]:
    """Read a statement: CSV with the columns reference, type, amount, currency and, if wanted, fee and date (ISO 8601).

    Amounts are decimals in units of the currency; a minus before one that leaves the account is passed over.
    Raises: InvalidInput, which names the line.
    """
    rows = csv.DictReader(io.StringIO(text.removeprefix("\ufeff")))
    known = {name.strip().lower() for name in rows.fieldnames or ()}
    if missing := [name for name in COLUMNS if name not in known]:
        raise InvalidInput(field="statement", reason=f"it has no column {missing[0]!r}")
    found: list[Movement] = []
    for row in _rows(rows):
        if len(found) == MAX_LINES:
            raise InvalidInput(field="statement", reason=f"it has more than {MAX_LINES:,} lines")
        found.append(
            _movement({str(k).strip().lower(): v for k, v in row.items() if isinstance(v, str)}, rows.line_num)
        )
    return found


def _rows(rows: "csv.DictReader[str]") -> Iterator[dict[str, str]]:
    try:
        yield from rows
    except csv.Error as error:
        raise InvalidInput(field="statement", reason=f"line {rows.line_num}: {error}") from error


def _movement(row: dict[str, str], line: int) -> Movement:
    try:
        currency = row["currency"].strip().upper()
        amount = Money.parse(row["amount"].strip().removeprefix("-"), currency)
        stated = row.get("fee", "").strip().removeprefix("-")
        fee = Money.parse(stated, currency) if stated else None
        reference = row["reference"].strip()
        kind = MovementKind(row["type"].strip().lower())
        at = datetime.fromisoformat(row["date"].strip()) if row.get("date", "").strip() else None
    except (KeyError, ValueError, InvalidInput) as error:
        reason = error.reason if isinstance(error, InvalidInput) else str(error)
        raise InvalidInput(field="statement", reason=f"line {line}: {reason}") from error
    if not reference:
        raise InvalidInput(field="statement", reason=f"line {line}: it has no reference")
    return Movement(kind, reference, amount, fee, at)
