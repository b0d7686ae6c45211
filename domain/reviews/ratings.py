"""What the published reviews of a product come to."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from typing import ClassVar, Protocol
from uuid import UUID

from domain.kernel import Aggregate, Event, event
from domain.reviews.review import STARS


@event("rating.updated")
@dataclass(frozen=True, kw_only=True)
class RatingUpdated(Event):
    product_id: UUID
    average: str
    total: int


@dataclass(eq=False, kw_only=True)
class ProductRating(Aggregate):
    """The published ratings of one product, counted by stars."""

    product_id: UUID
    one: int = 0
    two: int = 0
    three: int = 0
    four: int = 0
    five: int = 0

    NAMES: ClassVar[Sequence[str]] = ("one", "two", "three", "four", "five")

    @property
    def total(self) -> int:
        return sum(self.distribution)

    @property
    def distribution(self) -> list[int]:
        return [getattr(self, name) for name in self.NAMES]

    @property
    def average(self) -> Decimal:
        """The mean, with two decimals; 0.00 where nobody rated yet."""
        weighted = sum(stars * count for stars, count in zip(STARS, self.distribution, strict=True))
        mean = Decimal(weighted) / self.total if self.total else Decimal(0)
        return mean.quantize(Decimal("0.01"), rounding=ROUND_HALF_UP)

    def recount(self, removed: int | None, added: int | None) -> None:
        """Take one rating out and put another in; either may be missing."""
        if removed == added:
            return
        for stars, step in ((removed, -1), (added, 1)):
            if stars is not None:
                name = self.NAMES[stars - 1]
                setattr(self, name, getattr(self, name) + step)
        self.record(RatingUpdated(product_id=self.product_id, average=str(self.average), total=self.total))


class Ratings(Protocol):
    """Rating summaries for change, locked until the transaction ends."""

    async def lock_or_create(self, blank: ProductRating) -> ProductRating: ...
