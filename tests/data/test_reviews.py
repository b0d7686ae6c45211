"""Reviews on the real database: who comes first, what adds up, and how many statements it takes to read."""

import asyncio
import time
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text

from data.database import Database
from data.transactions import SqlTransactions
from domain.catalog import CreateProduct, PublishProduct, create_product, publish_product
from domain.kernel import AlreadyExists, ConcurrentModification, InvalidInput, Principal, Work, uuid7
from domain.money import Money
from domain.paging import PageRequest
from domain.processes.reviewing import add_to_wishlist, create_review
from domain.reviews import (
    AddToWishlist,
    AlreadyReviewed,
    CreateReview,
    DeleteReview,
    ReviewFilter,
    ReviewReads,
    ReviewSort,
    UpdateReview,
    VoteKind,
    VoteReview,
    delete_review,
    update_review,
    vote_review,
)

NOW = datetime(2026, 3, 14, 15, 9, 26, tzinfo=UTC)
_REVIEWS = text(
    "INSERT INTO reviews.review (id, tenant_id, version, product_id, author_id, rating, state, is_verified_purchase, "
    "helpful_count, unhelpful_count) SELECT platform.new_id(), :tenant, 1, product, gen_random_uuid(), 5, 'published', "
    "false, number % 4, 0 FROM unnest(CAST(:products AS uuid[])) AS product, generate_series(1, :number) AS number"
)


class Readers:
    """People who do things to one product, each in a transaction of their own."""

    def __init__(self, transactions: SqlTransactions, work: Work, product_id: UUID) -> None:
        self.transactions = transactions
        self.work = work
        self.product_id = product_id

    def someone(self) -> Work:
        return replace(self.work, actor=Principal(user_id=uuid7(), tenant_id=self.work.tenant_id))

    async def review(self, rating: int, who: Work | None = None) -> Any:
        command = CreateReview(product_id=self.product_id, rating=rating)
        return await self.transactions.run(create_review, command, who or self.someone())

    async def rating(self, database: Database) -> tuple[Any, ...]:
        rows = await read(
            database, self.work, "SELECT version, one, two, three, four, five FROM reviews.product_rating"
        )
        return tuple(rows[0]) if rows else ()


async def read(database: Database, work: Work, statement: str) -> list[Any]:
    reads = database.reads(work.tenant_id)
    try:
        return await reads.text(statement)
    finally:
        await reads.close()


@pytest.fixture
async def readers(transactions: SqlTransactions, work: Work) -> Readers:
    command = CreateProduct(name="Mug", sku=uuid7().hex, price=Money(1_000, "CAD"))
    product = await transactions.run(create_product, command, work)
    await transactions.run(publish_product, PublishProduct(id=product.id), work)
    return Readers(transactions, work, product.id)


class TestARace:
    async def test_of_thirty_reviews_counts_every_one(self, readers: Readers, database: Database) -> None:
        await asyncio.gather(*(readers.review(1 + number % 5) for number in range(30)))
        assert await readers.rating(database) == (30, 6, 6, 6, 6, 6)
        rows = await read(database, readers.work, "SELECT count(*) AS total FROM reviews.review")
        assert rows[0].total == 30
        facts = await read(
            database,
            readers.work,
            "SELECT data->>'total' AS total FROM platform.event_log WHERE name = 'rating.updated'",
        )
        assert sorted(int(row.total) for row in facts) == list(range(1, 31))

    async def test_of_one_author_is_won_once(self, readers: Readers, database: Database) -> None:
        author = readers.someone()
        made = await asyncio.gather(*(readers.review(4, author) for _ in range(8)), return_exceptions=True)
        refused = [each for each in made if isinstance(each, AlreadyReviewed)]
        assert len(refused) == 7
        assert {each.product_id for each in refused} == {str(readers.product_id)}
        assert await readers.rating(database) == (1, 0, 0, 0, 1, 0)

    async def test_of_votes_counts_every_one(self, readers: Readers, database: Database) -> None:
        review = await readers.review(5)
        voters = [readers.someone() for _ in range(30)]

        async def vote(who: Work, kind: VoteKind) -> None:
            await readers.transactions.run(vote_review, VoteReview(id=review.id, vote=kind), who)

        await asyncio.gather(*(vote(who, VoteKind.HELPFUL) for who in voters))
        assert await self._votes(readers, database) == (30, 0, 30)
        # Each of ten changes the vote, and comes twice.
        await asyncio.gather(*(vote(who, VoteKind.NOT_HELPFUL) for who in voters[:10] * 2))
        assert await self._votes(readers, database) == (20, 10, 30)

    async def _votes(self, readers: Readers, database: Database) -> tuple[int, int, int]:
        statement = (
            "SELECT helpful_count, unhelpful_count, (SELECT count(*) FROM reviews.vote) AS votes FROM reviews.review"
        )
        (row,) = await read(database, readers.work, statement)
        return (row.helpful_count, row.unhelpful_count, row.votes)

    async def test_of_edits_deletions_and_new_reviews_adds_up(self, readers: Readers, database: Database) -> None:
        authors = [readers.someone() for _ in range(12)]
        reviews = await asyncio.gather(*(readers.review(1, who) for who in authors))
        changes = [
            readers.transactions.run(update_review, UpdateReview(id=review.id, rating=5), who)
            for who, review in zip(authors[:8], reviews[:8], strict=True)
        ]
        changes += [
            readers.transactions.run(delete_review, DeleteReview(id=review.id), who)
            for who, review in zip(authors[6:], reviews[6:], strict=True)
        ]
        done = await asyncio.gather(*changes, *(readers.review(3) for _ in range(5)), return_exceptions=True)
        assert not [each for each in done if isinstance(each, Exception) and not hasattr(each, "code")]
        (counted,) = await read(
            database,
            readers.work,
            "SELECT count(*) FILTER (WHERE rating = 1) AS one, count(*) FILTER (WHERE rating = 3) AS three, "
            "count(*) FILTER (WHERE rating = 5) AS five FROM reviews.review",
        )
        _, one, two, three, four, five = await readers.rating(database)
        assert (one, two, three, four, five) == (counted.one, 0, counted.three, 0, counted.five)
        assert (one, three, five) == (0, 5, 6)

    async def test_for_one_wish_is_won_once(self, readers: Readers, database: Database) -> None:
        owner = readers.someone()
        wish = AddToWishlist(product_id=readers.product_id)
        made = await asyncio.gather(
            *(readers.transactions.run(add_to_wishlist, wish, owner) for _ in range(6)), return_exceptions=True
        )
        assert sum(isinstance(each, AlreadyExists) for each in made) == 5
        (row,) = await read(database, readers.work, "SELECT count(*) AS total FROM reviews.wishlist_item")
        assert row.total == 1

    async def test_to_edit_one_version_is_won_once(self, readers: Readers) -> None:
        author = readers.someone()
        review = await readers.review(1, author)
        edits = [UpdateReview(id=review.id, rating=stars, expected_version=1) for stars in (2, 3, 4)]
        made = await asyncio.gather(
            *(readers.transactions.run(update_review, edit, author) for edit in edits), return_exceptions=True
        )
        assert sum(isinstance(each, ConcurrentModification) for each in made) == 2


class TestScreening:
    @pytest.mark.parametrize("content", ["@" * 10_000, "a" * 10_000, "a@" * 5_000, "1(" * 5_000, "1 " + "(" * 9_998])
    async def test_takes_no_time_however_the_words_are_chosen(self, readers: Readers, content: str) -> None:
        started = time.process_time()
        command = CreateReview(product_id=readers.product_id, rating=5, content=content)
        await readers.transactions.run(create_review, command, readers.someone())
        assert time.process_time() - started < 0.5


class TestReading:
    @pytest.fixture
    async def full(self, readers: Readers, database: Database) -> Readers:
        async with database.session(readers.work.tenant_id) as session:
            values = {"tenant": readers.work.tenant_id, "products": [readers.product_id], "number": 25}
            await session.execute(_REVIEWS, values)
        return readers

    @pytest.mark.parametrize("sort", list(ReviewSort))
    async def test_pages_have_no_gaps_and_no_repeats(self, full: Readers, database: Database, sort: ReviewSort) -> None:
        wanted = ReviewFilter(product_id=full.product_id, sort=sort)
        everything = await self._page(database, full, wanted, PageRequest(first=100))
        found, page, pages = [], await self._page(database, full, wanted, PageRequest(first=4)), 1
        found += page.nodes
        while page.has_next_page:
            # A vote that comes in between moves no review that was not voted for.
            page = await self._page(database, full, wanted, PageRequest(first=4, after=page.end_cursor))
            found, pages = [*found, *page.nodes], pages + 1
        assert ([row.id for row in found], pages) == ([row.id for row in everything.nodes], 7)
        back = await self._page(database, full, wanted, PageRequest(last=4, before=page.start_cursor))
        assert [row.id for row in back.nodes] == [row.id for row in everything.nodes[20:24]]
        if sort is ReviewSort.MOST_HELPFUL:
            counts = [row.helpful_count for row in found]
            assert counts == sorted(counts, reverse=True)
            assert set(counts) == {0, 1, 2, 3}
        else:
            assert [row.id for row in found] == sorted((row.id for row in found), reverse=True)

    async def _page(self, database: Database, readers: Readers, wanted: ReviewFilter, page: PageRequest) -> Any:
        reads = database.reads(readers.work.tenant_id)
        try:
            return await reads.port(ReviewReads).matching(wanted, page)
        finally:
            await reads.close()

    async def test_refuses_a_cursor_of_another_order(self, full: Readers, database: Database) -> None:
        newest = ReviewFilter(product_id=full.product_id)
        page = await self._page(database, full, newest, PageRequest(first=1))
        helpful = ReviewFilter(product_id=full.product_id, sort=ReviewSort.MOST_HELPFUL)
        with pytest.raises(InvalidInput):
            await self._page(database, full, helpful, PageRequest(first=1, after=page.end_cursor))

    async def test_gives_each_product_its_own_first_page(
        self, full: Readers, database: Database, transactions: SqlTransactions, work: Work
    ) -> None:
        bare = uuid7()
        reads = database.reads(work.tenant_id)
        pages = await reads.port(ReviewReads).by_product(
            [bare, full.product_id], ReviewSort.NEWEST, PageRequest(first=3)
        )
        assert ([len(page.nodes) for page in pages], reads.statements) == ([0, 3], 1)
        assert [page.has_next_page for page in pages] == [False, True]
        ratings = await reads.port(ReviewReads).ratings([bare, full.product_id])
        await reads.close()
        assert ratings == [None, None]
