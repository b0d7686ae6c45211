"""Products that people want to remember."""

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol
from uuid import UUID

from domain.kernel import Aggregate, Event, NotFound, Work, event
from domain.reviews.texts import check_text

MAX_NOTES = 1_000


@event("wishlist.item_added")
@dataclass(frozen=True, kw_only=True)
class ItemWishlisted(Event):
    product_id: UUID
    user_id: UUID


@event("wishlist.item_removed")
@dataclass(frozen=True, kw_only=True)
class WishlistItemRemoved(Event):
    product_id: UUID
    user_id: UUID


@dataclass(eq=False, kw_only=True)
class WishlistItem(Aggregate):
    """A product that a person wants to remember."""

    user_id: UUID
    product_id: UUID
    notes: str | None = None
    added_at: datetime

    def wish(self) -> None:
        """Put it on the list.

        Raises: InvalidInput.
        """
        check_text("notes", self.notes, MAX_NOTES)
        self.record(ItemWishlisted(product_id=self.product_id, user_id=self.user_id))


class Wishlists(Protocol):
    """Wishlists for change."""

    def add(self, item: WishlistItem) -> None: ...

    async def find(self, user_id: UUID, product_id: UUID) -> WishlistItem | None: ...

    async def remove(self, item: WishlistItem) -> None: ...


@dataclass(frozen=True, kw_only=True)
class AddToWishlist:
    """Remember a product."""

    product_id: UUID
    notes: str | None = None


@dataclass(frozen=True, kw_only=True)
class RemoveFromWishlist:
    """Forget a product."""

    product_id: UUID


async def remove_from_wishlist(command: RemoveFromWishlist, work: Work, wishlists: Wishlists) -> WishlistItem:
    user_id = work.actor.require_user()
    item = await wishlists.find(user_id, command.product_id)
    if item is None:
        raise NotFound(kind="WishlistItem", id=str(command.product_id))
    item.record(WishlistItemRemoved(product_id=item.product_id, user_id=user_id))
    await wishlists.remove(item)
    return item
