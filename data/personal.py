"""Which tables and columns say something about people, whose it is, and what becomes of it at their erasure.

Each context declares its own in `data/<context>/personal.py` (or where its tables are); exports, erasures and the page on
privacy are made of these declarations, and a test finds what is not declared.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from sqlalchemy import Table

USER = "user_id = $1"


class Category(StrEnum):
    """What kind of thing a column says about a person; what is secret is in no export."""

    IDENTITY = "identity"
    CONTACT = "contact"
    LOCATION = "location"
    DEVICE = "device"
    WORDS = "own words"
    BEHAVIOUR = "behaviour"
    MONEY = "money"
    SECRET = "secret"  # noqa: S105 — a category, not one of them.


class Fate(StrEnum):
    """What an erasure does to rows about a person."""

    ERASED = "erased"
    BLANKED = "made anonymous"
    KEPT = "kept"


@dataclass(frozen=True, kw_only=True)
class Holding:
    """Rows of a table that are about one person.

    `whose` is SQL over the table's columns, in which `$1` is the person's id. `blank` gives, for columns, the SQL that they
    are set to. Of what is kept `reason` says why, and `years` for how long.
    """

    table: Table
    whose: str
    columns: Mapping[str, Category]
    fate: Fate
    blank: Mapping[str, str] = field(default_factory=dict)
    reason: str = ""
    years: int | None = None

    @property
    def context(self) -> str:
        return str(self.table.schema)

    @property
    def secrets(self) -> list[str]:
        return sorted(name for name, category in self.columns.items() if category is Category.SECRET)


@dataclass(frozen=True)
class LegalHold:
    """What a person is bound by: while the SQL finds a row, they cannot be erased."""

    context: str
    reason: str
    statement: str


@dataclass(frozen=True)
class Files:
    """Objects in the store that belong to a person; the SQL gives their keys as `key`."""

    context: str
    statement: str


HOLDINGS: list[Holding] = []
LEGAL_HOLDS: list[LegalHold] = []
FILES: list[Files] = []
NEUTRAL: dict[str, frozenset[str]] = {}
"""Columns, by table, that sound like something personal and say nothing about a person."""
NEUTRAL_FACTS: set[str] = set()


def erased(table: Table, whose: str = USER, **columns: Category) -> None:
    """Declare rows that go with the person."""
    _declare(Holding(table=table, whose=whose, columns=columns, fate=Fate.ERASED))


def blanked(
    table: Table, whose: str, columns: Mapping[str, tuple[Category, str]], *, reason: str, years: int | None = None
) -> None:
    """Declare rows that stay without the person: to each column belongs the SQL that it is set to."""
    _declare(
        Holding(
            table=table,
            whose=whose,
            columns={name: category for name, (category, _) in columns.items()},
            fate=Fate.BLANKED,
            blank={name: value for name, (_, value) in columns.items()},
            reason=reason,
            years=years,
        )
    )


def kept(table: Table, whose: str, *, reason: str, years: int | None = None, **columns: Category) -> None:
    """Declare rows that stay as they are, for a lawful reason; the person's id in them leads to nobody any more."""
    _declare(Holding(table=table, whose=whose, columns=columns, fate=Fate.KEPT, reason=reason, years=years))


def neutral(table: Table, *columns: str) -> None:
    """Declare columns that say nothing about a person, whatever they are called."""
    _check(table, columns)
    NEUTRAL[table.fullname] = NEUTRAL.get(table.fullname, frozenset()) | frozenset(columns)


def neutral_facts(*fields: str) -> None:
    """Declare fields of events, `context.fact.field`, that say nothing about a person, whatever they are called."""
    NEUTRAL_FACTS.update(fields)


def legal_hold(context: str, reason: str, statement: str) -> None:
    """Declare what somebody has to bring to its end before they can be erased."""
    LEGAL_HOLDS.append(LegalHold(context, reason, statement))


def files(context: str, statement: str) -> None:
    """Declare objects that go with the person."""
    FILES.append(Files(context, statement))


def contexts() -> Sequence[str]:
    """Name the contexts that hold something about people; the platform comes last, for it keeps what the others did."""
    return sorted({each.context for each in HOLDINGS}, key=lambda name: (name == "platform", name))


def _declare(holding: Holding) -> None:
    _check(holding.table, [*holding.columns, *holding.blank])
    HOLDINGS.append(holding)


def _check(table: Table, columns: Sequence[str]) -> None:
    if unknown := set(columns) - {column.name for column in table.c}:
        raise ValueError(f"{table.fullname} has no {', '.join(sorted(unknown))}")
