from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from uuid import uuid4

import pytest

from domain.kernel import InvalidInput, InvalidStateTransition
from domain.reviews import OwnReview, ProductRating, Review, ReviewState, UpdateReview, VoteKind

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def review(**values: Any) -> Review:
    given = {"rating": 4, "title": "Good", "content": "Keeps my tea warm.", **values}
    return Review(tenant_id=uuid4(), product_id=uuid4(), author_id=uuid4(), created_at=NOW, **given)


class TestSubmit:
    def test_publishes_plain_words_at_once(self) -> None:
        handed_in = review()
        handed_in.submit()
        assert handed_in.state == ReviewState.PUBLISHED

    @pytest.mark.parametrize(
        "content", ["see https://cheap.example", "write to me@spam.example", "call +1 (416) 555-0100"]
    )
    def test_leaves_addresses_to_a_moderator(self, content: str) -> None:
        handed_in = review(content=content)
        handed_in.submit()
        assert handed_in.state == ReviewState.SUBMITTED

    @pytest.mark.parametrize("values", [{"rating": 0}, {"rating": 6}, {"title": "a" * 256}, {"content": "a\x00b"}])
    def test_refuses_what_is_no_review(self, values: dict[str, Any]) -> None:
        with pytest.raises(InvalidInput):
            review(**values).submit()


class TestEdit:
    def test_screens_the_new_words(self) -> None:
        handed_in = review()
        handed_in.submit()
        handed_in.edit(UpdateReview(id=handed_in.id, content="www.cheap.example"), NOW)
        assert (handed_in.state, handed_in.title, handed_in.edited_at) == (ReviewState.SUBMITTED, "Good", NOW)


class TestMoveTo:
    def test_refuses_to_hide_what_was_never_shown(self) -> None:
        with pytest.raises(InvalidStateTransition):
            review().move_to(ReviewState.HIDDEN)

    def test_refuses_to_publish_twice(self) -> None:
        shown = review(state=ReviewState.PUBLISHED)
        with pytest.raises(InvalidStateTransition):
            shown.move_to(ReviewState.PUBLISHED)
        assert shown.version == 0


class TestCountVote:
    def test_replaces_an_earlier_vote(self) -> None:
        shown = review(state=ReviewState.PUBLISHED, helpful_count=1)
        shown.count_vote(uuid4(), VoteKind.NOT_HELPFUL, VoteKind.HELPFUL)
        assert (shown.helpful_count, shown.unhelpful_count) == (0, 1)

    def test_refuses_the_authors_own_vote(self) -> None:
        shown = review(state=ReviewState.PUBLISHED)
        with pytest.raises(OwnReview):
            shown.count_vote(shown.author_id, VoteKind.HELPFUL, None)
        assert shown.helpful_count == 0


class TestProductRating:
    def test_averages_with_two_decimals(self) -> None:
        rating = ProductRating(tenant_id=uuid4(), product_id=uuid4())
        for stars in (5, 5, 4):
            rating.recount(None, stars)
        assert (rating.average, rating.total, rating.distribution) == (Decimal("4.67"), 3, [0, 0, 0, 1, 2])

    def test_follows_an_edit(self) -> None:
        rating = ProductRating(tenant_id=uuid4(), product_id=uuid4(), five=1)
        rating.recount(5, 1)
        assert (rating.average, rating.total) == (Decimal("1.00"), 1)

    def test_is_zero_before_the_first_review(self) -> None:
        assert ProductRating(tenant_id=uuid4(), product_id=uuid4()).average == Decimal("0.00")
