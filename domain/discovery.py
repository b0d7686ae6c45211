"""What shoppers look for and what they click: the log of searches, and the orders to the index."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol
from uuid import UUID

from domain.jobs import JobQueue, Jobs
from domain.kernel import InvalidInput, Work, uuid7
from domain.search import (
    AttributeFilter,
    AttributeIn,
    AttributeRange,
    Filters,
    PriceRange,
    SearchEngine,
    SearchSettings,
    refuse_unsearchable,
)

MAX_SYNONYM_GROUPS = 10_000
MAX_SYNONYMS = 50
MAX_STOP_WORDS = 10_000
MAX_WORD = 100
TRENDING_DAYS = 7

jobs = Jobs()


@dataclass(frozen=True, kw_only=True)
class AttributeCondition:
    """A condition on one attribute: one of some texts, a range of numbers, or a flag."""

    name: str
    values: Sequence[str] = ()
    minimum: float | None = None
    maximum: float | None = None
    flag: bool | None = None

    def condition(self) -> AttributeFilter:
        """Give the condition as the engine reads it.

        Raises: InvalidInput when it asks for several kinds at once, or for none.
        """
        ranged = self.minimum is not None or self.maximum is not None
        if bool(self.values) + ranged + (self.flag is not None) != 1:
            raise InvalidInput(field="attributes", reason=f"ask {self.name!r} for values, for a range or for a flag")
        if ranged:
            return AttributeRange(self.name, self.minimum, self.maximum)
        return AttributeIn(self.name, tuple(self.values) if self.values else (bool(self.flag),))


@dataclass(frozen=True, kw_only=True)
class PriceFilter:
    """Prices in minor units, both ends included."""

    minimum_minor: int | None = None
    maximum_minor: int | None = None
    currency: str = ""


@dataclass(frozen=True, kw_only=True)
class SearchFilters:
    """Every condition has to hold; `category_path` holds slugs from the root down."""

    category_path: Sequence[str] = ()
    brands: Sequence[str] = ()
    price: PriceFilter | None = None
    attributes: Sequence[AttributeCondition] = ()
    in_stock: bool | None = None
    minimum_rating: float | None = None
    store_id: UUID | None = None

    def filters(self) -> Filters:
        price = self.price
        return Filters(
            category_path=tuple(self.category_path),
            brands=tuple(self.brands),
            price=PriceRange(price.minimum_minor, price.maximum_minor, price.currency) if price else None,
            attributes=tuple(each.condition() for each in self.attributes),
            in_stock=self.in_stock,
            minimum_rating=self.minimum_rating,
            store_id=self.store_id,
        )


@dataclass(frozen=True, kw_only=True)
class PerformedSearch:
    """One search as the log keeps it."""

    id: UUID = field(default_factory=uuid7)
    tenant_id: UUID
    user_id: UUID | None
    query: str
    hits: int
    latency_ms: float
    performed_at: datetime


class SearchLog(Protocol):
    """Takes notes of searches without making anybody wait."""

    def note(self, search: PerformedSearch) -> None: ...


class SearchClicks(Protocol):
    """Keeps what was clicked."""

    async def add(self, search_id: UUID, product_id: UUID, work: Work) -> None: ...


class SearchLogReads(Protocol):
    """What is being searched for, and what is asked of the index."""

    async def trending(self, since: datetime, limit: int) -> Sequence[Any]: ...

    async def rebuild_requested_at(self) -> datetime | None:
        """Say since when the tenant waits for a rebuild that it asked for."""
        ...


class IndexRebuild(Protocol):
    """Fills the index anew from the database, and swaps; it takes long, hence no transaction is open meanwhile."""

    async def run(self) -> int: ...


class IndexRequests(Protocol):
    """Asks, in the transaction at hand, for work on the index that takes longer than a transaction may."""

    async def ask(self, work: Work, category_id: UUID | None = None) -> None:
        """Have the products below a category written anew, or without one the whole index; to ask twice is to ask once."""
        ...


@dataclass(frozen=True, kw_only=True)
class TrackSearchClick:
    """Say which result of a search was opened."""

    search_id: UUID
    product_id: UUID


@dataclass(frozen=True, kw_only=True)
class RebuildSearchIndex:
    """Fill the index anew; searches go on against the old one until the swap."""


@dataclass(frozen=True, kw_only=True)
class SynonymGroup:
    """Words that find each other."""

    words: Sequence[str]


@dataclass(frozen=True, kw_only=True)
class UpdateSearchSettings:
    """Replace the synonyms and stop words."""

    synonyms: Sequence[SynonymGroup] = ()
    stop_words: Sequence[str] = ()


@dataclass(frozen=True, kw_only=True)
class Accepted:
    """Work that a worker will do; `job` is what it is called."""

    job: str


async def track_search_click(command: TrackSearchClick, work: Work, clicks: SearchClicks) -> Accepted:
    await clicks.add(command.search_id, command.product_id, work)
    return Accepted(job="search.click")


async def rebuild_search_index(command: RebuildSearchIndex, work: Work, requests: IndexRequests) -> Accepted:  # noqa: ARG001 — a handler's calling convention.
    await requests.ask(work)
    return Accepted(job="search.rebuild")


async def update_search_settings(command: UpdateSearchSettings, queue: JobQueue) -> Accepted:
    groups = [list(group.words) for group in command.synonyms]
    if len(groups) > MAX_SYNONYM_GROUPS or any(not 2 <= len(group) <= MAX_SYNONYMS for group in groups):
        raise InvalidInput(
            field="synonyms", reason=f"at most {MAX_SYNONYM_GROUPS:,} groups of 2 to {MAX_SYNONYMS} words each"
        )
    _check_words("synonyms", [word for group in groups for word in group])
    if len(command.stop_words) > MAX_STOP_WORDS:
        raise InvalidInput(field="stopWords", reason=f"at most {MAX_STOP_WORDS:,}")
    _check_words("stopWords", command.stop_words)
    await queue.defer(
        "search.configure", {"synonyms": groups, "stop_words": list(command.stop_words)}, key="search.configure"
    )
    return Accepted(job="search.configure")


def _check_words(name: str, words: Sequence[str]) -> None:
    for word in words:
        refuse_unsearchable(name, word)
        if not word.strip() or len(word) > MAX_WORD:
            raise InvalidInput(field=name, reason=f"a word has between 1 and {MAX_WORD} letters")


@jobs.on("search.configure")
async def configure_index(payload: Mapping[str, Any], engine: SearchEngine) -> None:
    present = await engine.settings()
    await engine.configure(
        SearchSettings(
            weights=present.weights,
            synonyms=tuple(tuple(group) for group in payload["synonyms"]),
            stop_words=frozenset(payload["stop_words"]),
            one_typo_letters=present.one_typo_letters,
            two_typos_letters=present.two_typos_letters,
        )
    )
