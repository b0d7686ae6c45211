"""Reviews, ratings and wishlists as readers, authors, stores and moderators meet them."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text

from domain.kernel import NOBODY, Principal, uuid7

FIELDS = "id version rating title content state helpfulCount unhelpfulCount response editedAt attributes { name score }"
LISTED = """query($id: ID!, $first: Int, $after: String, $sort: ReviewSort! = NEWEST, $rating: Int) {
  reviews(productId: $id, first: $first, after: $after, sort: $sort, rating: $rating) {
    nodes { id rating title } pageInfo { hasNextPage endCursor } totalCount } }"""
RATING = "query($id: ID!) { product(id: $id) { rating { average total distribution } } }"
REVIEW = f"query($id: ID!) {{ review(id: $id) {{ {FIELDS} }} }}"


@dataclass
class Forum:
    """The people round one product: authors, readers, the store and its moderator."""

    graph: Any
    tenant_id: UUID
    product: str
    store: str

    def person(self, *permissions: str, store: str | None = None) -> Principal:
        stores = frozenset({UUID(store)}) if store else frozenset()
        return Principal(
            user_id=uuid7(), tenant_id=self.tenant_id, permissions=frozenset(permissions), store_ids=stores
        )

    async def do(self, who: Principal, mutation: str, fields: str = FIELDS, **given: Any) -> Any:
        kind = mutation[0].upper() + mutation[1:]
        returned = "WishlistItem" if "Wishlist" in mutation else "Review"
        answer = await self.graph(
            f"mutation($input: {kind}Input!) {{ {mutation}(input: $input) {{ __typename "
            f"... on {returned} {{ {fields} }} ... on Error {{ code message }} }} }}",
            {"input": given},
            principal=who,
        )
        return answer.codes[0] if answer.errors else answer.data[mutation]

    async def review(self, who: Principal, rating: int = 5, **given: Any) -> Any:
        made = await self.do(who, "createReview", productId=self.product, rating=rating, **given)
        assert made["__typename"] == "Review", made
        return made

    async def ask(self, document: str, who: Principal = NOBODY, **variables: Any) -> Any:
        answer = await self.graph(document, variables, principal=who)
        assert answer.errors == []
        return answer.data

    async def listed(self, **given: Any) -> list[str]:
        data = await self.ask(LISTED, id=self.product, **given)
        return [node["id"] for node in data["reviews"]["nodes"]]

    async def rating(self) -> Any:
        found = (await self.ask(RATING, id=self.product))["product"]["rating"]
        return found and (found["average"], found["total"], found["distribution"])


@pytest.fixture
def forum(graph: Any, goods: Any, tenant_id: UUID) -> Forum:
    return Forum(graph, tenant_id, goods.product, goods.store)


@pytest.fixture
def make_stranger(make_tenant: Callable[..., UUID]) -> Callable[[], Principal]:
    return lambda: Principal(user_id=uuid7(), tenant_id=make_tenant(), permissions=frozenset({"*"}))


class TestCreateReview:
    async def test_shows_at_once_and_counts(self, forum: Forum) -> None:
        assert await forum.rating() is None
        made = await forum.review(
            forum.person(), 4, title="Good", content="Keeps tea warm.", attributes=[{"name": "fit", "score": 5}]
        )
        assert (made["state"], made["version"], made["attributes"]) == ("PUBLISHED", 1, [{"name": "fit", "score": 5}])
        assert await forum.listed() == [made["id"]]
        await forum.review(forum.person(), 5)
        assert await forum.rating() == ("4.50", 2, [0, 0, 0, 1, 1])
        alone = await forum.ask("query($id: ID!) { productRating(productId: $id) { average } }", id=forum.product)
        assert alone == {"productRating": {"average": "4.50"}}

    async def test_is_refused_the_second_time(self, forum: Forum) -> None:
        author = forum.person()
        await forum.review(author)
        again = await forum.do(author, "createReview", productId=forum.product, rating=1)
        assert (again["code"], forum.product in again["message"]) == ("ALREADY_REVIEWED", True)
        assert await forum.rating() == ("5.00", 1, [0, 0, 0, 0, 1])

    async def test_of_what_is_not_on_sale_is_refused(self, forum: Forum, make_stranger: Any) -> None:
        author, unknown = forum.person(), str(uuid7())
        never = await forum.do(author, "createReview", productId=unknown, rating=1)
        stranger = make_stranger()
        foreign = await forum.graph(
            "mutation($id: ID!) { createReview(input: {productId: $id, rating: 1}) { ... on Error { code message } } }",
            {"id": forum.product},
            principal=stranger,
            tenant=stranger.tenant_id,
        )
        assert never["code"] == "NOT_FOUND"
        assert foreign.data["createReview"]["message"].replace(forum.product, unknown) == never["message"]
        assert await forum.rating() is None

    async def test_names_a_store_of_the_tenant_only(self, forum: Forum) -> None:
        made = await forum.do(forum.person(), "createReview", productId=forum.product, rating=1, storeId=str(uuid7()))
        assert made["code"] == "NOT_FOUND"

    async def test_is_for_people_who_are_logged_in(self, forum: Forum) -> None:
        assert await forum.do(NOBODY, "createReview", productId=forum.product, rating=1) == "UNAUTHENTICATED"

    @pytest.mark.parametrize(
        "given",
        [
            {"rating": 0},
            {"rating": 6},
            {"title": "x" * 256},
            {"content": "x" * 10_001},
            {"content": "a\0b"},
            {"attributes": [{"name": "fit", "score": 6}]},
            {"attributes": [{"name": "", "score": 5}]},
            {"attributes": [{"name": "a\0", "score": 5}]},
            {"attributes": [{"name": str(number), "score": 5} for number in range(21)]},
        ],
        ids=lambda given: str(given)[:50],
    )
    async def test_refuses_what_is_no_review(self, forum: Forum, given: Any) -> None:
        refused = await forum.do(forum.person(), "createReview", **{"productId": forum.product, "rating": 5, **given})
        assert refused["code"] == "INVALID_INPUT"
        assert await forum.rating() is None

    async def test_is_held_back_for_a_moderator_when_it_has_addresses(self, forum: Forum) -> None:
        author, reader, moderator = forum.person(), forum.person(), forum.person("reviews.moderate")
        made = await forum.review(author, content="Cheaper at https://spam.example")
        assert (made["state"], await forum.rating(), await forum.listed()) == ("SUBMITTED", None, [])
        assert await forum.ask(REVIEW, reader, id=made["id"]) == {"review": None}
        assert await forum.ask(REVIEW, id=made["id"]) == {"review": None}
        assert (await forum.ask(REVIEW, author, id=made["id"]))["review"]["state"] == "SUBMITTED"
        mine = await forum.ask("{ myReviews { nodes { id product { name } } } }", author)
        assert mine["myReviews"]["nodes"] == [{"id": made["id"], "product": {"name": "Mug"}}]
        assert (await forum.do(reader, "voteReview", id=made["id"], vote="HELPFUL"))["code"] == "NOT_FOUND"
        pending = await forum.ask("{ pendingReviews { nodes { id } } }", moderator)
        assert pending["pendingReviews"]["nodes"] == [{"id": made["id"]}]
        shown = await forum.do(moderator, "moderateReview", id=made["id"], state="PUBLISHED")
        assert shown["state"] == "PUBLISHED"
        assert (await forum.listed(), await forum.rating()) == ([made["id"]], ("5.00", 1, [0, 0, 0, 0, 1]))


class TestUpdateReview:
    async def test_moves_the_rating(self, forum: Forum) -> None:
        author = forum.person()
        made = await forum.review(author, 1, title="Bad")
        await forum.review(forum.person(), 5)
        edited = await forum.do(author, "updateReview", id=made["id"], rating=4, title=None, expectedVersion=1)
        assert (edited["rating"], edited["title"], edited["editedAt"] is not None) == (4, None, True)
        assert await forum.rating() == ("4.50", 2, [0, 0, 0, 1, 1])

    async def test_takes_spam_from_the_public(self, forum: Forum) -> None:
        author = forum.person()
        made = await forum.review(author, 1)
        edited = await forum.do(author, "updateReview", id=made["id"], content="www.spam.example")
        assert (edited["state"], await forum.rating()) == ("SUBMITTED", None)

    async def test_does_not_bring_back_what_a_moderator_hid(self, forum: Forum) -> None:
        author, moderator = forum.person(), forum.person("reviews.moderate")
        made = await forum.review(author, content="Rubbish, and so is its maker.")
        await forum.do(moderator, "moderateReview", id=made["id"], state="HIDDEN", reason="rude")
        edited = await forum.do(author, "updateReview", id=made["id"], content="Rubbish.")
        assert (edited["state"], await forum.listed(), await forum.rating()) == ("SUBMITTED", [], None)

    async def test_is_for_its_author(self, forum: Forum, make_stranger: Any) -> None:
        made = await forum.review(forum.person())
        for who in (forum.person(), forum.person("reviews.moderate")):
            assert (await forum.do(who, "updateReview", id=made["id"], rating=1))["code"] == "NOT_FOUND"
        assert await forum.rating() == ("5.00", 1, [0, 0, 0, 0, 1])

    async def test_refuses_a_stale_version(self, forum: Forum) -> None:
        author = forum.person()
        made = await forum.review(author)
        await forum.do(author, "updateReview", id=made["id"], rating=2, expectedVersion=1)
        stale = await forum.do(author, "updateReview", id=made["id"], rating=3, expectedVersion=1)
        assert stale["code"] == "CONCURRENT_MODIFICATION"
        assert await forum.rating() == ("2.00", 1, [0, 1, 0, 0, 0])


class TestModerateReview:
    async def test_hides_what_was_shown(self, forum: Forum) -> None:
        made = await forum.review(forum.person())
        hidden = await forum.do(
            forum.person("reviews.moderate"), "moderateReview", id=made["id"], state="HIDDEN", reason="off topic"
        )
        assert (hidden["state"], await forum.listed(), await forum.rating()) == ("HIDDEN", [], None)

    async def test_refuses_what_the_state_does_not_allow(self, forum: Forum) -> None:
        made = await forum.review(forum.person())
        moderator = forum.person("reviews.moderate")
        for state in ("PUBLISHED", "REJECTED"):
            refused = await forum.do(moderator, "moderateReview", id=made["id"], state=state)
            assert refused["code"] == "INVALID_STATE_TRANSITION"
        assert await forum.do(forum.person(), "moderateReview", id=made["id"], state="HIDDEN") == "FORBIDDEN"
        assert await forum.rating() == ("5.00", 1, [0, 0, 0, 0, 1])

    async def test_refuses_a_reason_that_cannot_be_kept(self, forum: Forum) -> None:
        made = await forum.review(forum.person())
        moderator = forum.person("reviews.moderate")
        refused = await forum.do(moderator, "moderateReview", id=made["id"], state="HIDDEN", reason="a\0")
        assert (refused["code"], await forum.listed()) == ("INVALID_INPUT", [made["id"]])


class TestDeleteReview:
    async def test_takes_the_rating_back_and_lets_its_author_write_again(self, forum: Forum) -> None:
        author, reader = forum.person(), forum.person()
        made = await forum.review(author, 1)
        await forum.review(reader, 3)
        await forum.do(reader, "voteReview", id=made["id"], vote="HELPFUL")
        assert (await forum.do(author, "deleteReview", id=made["id"]))["id"] == made["id"]
        assert await forum.rating() == ("3.00", 1, [0, 0, 1, 0, 0])
        assert await forum.ask(REVIEW, author, id=made["id"]) == {"review": None}
        assert (await forum.do(author, "deleteReview", id=made["id"]))["code"] == "NOT_FOUND"
        again = await forum.review(author, 5)
        assert again["helpfulCount"] == 0

    async def test_is_for_its_author_and_for_moderators(self, forum: Forum) -> None:
        made = await forum.review(forum.person())
        assert (await forum.do(forum.person(), "deleteReview", id=made["id"]))["code"] == "NOT_FOUND"
        assert await forum.listed() == [made["id"]]
        assert (await forum.do(forum.person("reviews.moderate"), "deleteReview", id=made["id"]))["id"] == made["id"]
        assert (await forum.listed(), await forum.rating()) == ([], None)


class TestVoteReview:
    async def test_counts_a_voter_once_and_lets_the_vote_be_changed(self, forum: Forum) -> None:
        made = await forum.review(forum.person())
        voter = forum.person()
        for vote, counts in (("HELPFUL", (1, 0)), ("HELPFUL", (1, 0)), ("NOT_HELPFUL", (0, 1)), ("HELPFUL", (1, 0))):
            voted = await forum.do(voter, "voteReview", id=made["id"], vote=vote)
            assert (voted["helpfulCount"], voted["unhelpfulCount"]) == counts
        voted = await forum.do(forum.person(), "voteReview", id=made["id"], vote="HELPFUL")
        assert voted["helpfulCount"] == 2

    async def test_refuses_the_authors_own(self, forum: Forum) -> None:
        author = forum.person()
        made = await forum.review(author)
        for _ in range(2):
            refused = await forum.do(author, "voteReview", id=made["id"], vote="HELPFUL")
            assert refused["code"] == "OWN_REVIEW"
        assert (await forum.ask(REVIEW, id=made["id"]))["review"]["helpfulCount"] == 0

    async def test_knows_no_review_of_another_tenant(self, forum: Forum, make_stranger: Any) -> None:
        made = await forum.review(forum.person())
        stranger = make_stranger()
        document = """mutation($id: ID!) {
          voteReview(input: {id: $id, vote: HELPFUL}) { ... on Error { code message } }
          updateReview(input: {id: $id, rating: 1}) { ... on Error { code } }
          deleteReview(input: {id: $id}) { ... on Error { code } }
          respondToReview(input: {id: $id, text: "Hm"}) { ... on Error { code } }
          moderateReview(input: {id: $id, state: HIDDEN}) { ... on Error { code } } }"""
        answers = []
        for id_ in (made["id"], str(uuid7())):
            answer = await forum.graph(document, {"id": id_}, principal=stranger, tenant=stranger.tenant_id)
            answers.append(str(answer.data).replace(id_, "<id>"))
        assert answers[0] == answers[1]
        assert answers[0].count("NOT_FOUND") == 5
        read = await forum.graph(
            "query($id: ID!, $product: ID!) { review(id: $id) { id } reviews(productId: $product) { nodes { id } } "
            "productRating(productId: $product) { total } }",
            {"id": made["id"], "product": forum.product},
            principal=stranger,
            tenant=stranger.tenant_id,
        )
        assert read.data == {"review": None, "reviews": {"nodes": []}, "productRating": None}
        assert await forum.rating() == ("5.00", 1, [0, 0, 0, 0, 1])


class TestRespondToReview:
    async def test_is_for_those_who_work_at_the_store(self, forum: Forum) -> None:
        made = await forum.review(forum.person(), storeId=forum.store)
        answer = {"id": made["id"], "text": "Thank you."}
        assert await forum.do(forum.person(), "respondToReview", **answer) == "FORBIDDEN"
        elsewhere = forum.person("reviews.respond", store=str(uuid7()))
        assert await forum.do(elsewhere, "respondToReview", **answer) == "FORBIDDEN"
        assert (await forum.ask(REVIEW, id=made["id"]))["review"]["response"] is None
        clerk = forum.person("reviews.respond", store=forum.store)
        assert (await forum.do(clerk, "respondToReview", **answer))["response"] == "Thank you."
        edited = await forum.do(clerk, "respondToReview", id=made["id"], text="Thanks!")
        assert edited["response"] == "Thanks!"
        assert (await forum.ask(REVIEW, id=made["id"]))["review"]["response"] == "Thanks!"

    @pytest.mark.parametrize("text", ["", "  ", "a\0", "x" * 10_001])
    async def test_refuses_what_is_no_answer(self, forum: Forum, text: str) -> None:
        made = await forum.review(forum.person(), storeId=forum.store)
        clerk = forum.person("reviews.respond", store=forum.store)
        assert (await forum.do(clerk, "respondToReview", id=made["id"], text=text))["code"] == "INVALID_INPUT"

    async def test_of_what_nobody_sees_is_refused(self, forum: Forum) -> None:
        made = await forum.review(forum.person(), storeId=forum.store, content="www.spam.example")
        clerk = forum.person("reviews.respond", store=forum.store)
        assert (await forum.do(clerk, "respondToReview", id=made["id"], text="Hm"))["code"] == "NOT_FOUND"


class TestWishlist:
    LIST = "{ myWishlist { nodes { notes product { id name isWishlisted } } totalCount } }"

    async def test_remembers_and_forgets(self, forum: Forum) -> None:
        owner, other = forum.person(), forum.person()
        added = await forum.do(owner, "addToWishlist", "notes", productId=forum.product, notes="For June")
        assert added == {"__typename": "WishlistItem", "notes": "For June"}
        assert (await forum.ask(self.LIST, owner))["myWishlist"] == {
            "nodes": [{"notes": "For June", "product": {"id": forum.product, "name": "Mug", "isWishlisted": True}}],
            "totalCount": 1,
        }
        assert (await forum.ask(self.LIST, other))["myWishlist"]["totalCount"] == 0
        for who, wished in ((owner, True), (other, False), (NOBODY, False)):
            seen = await forum.ask("query($id: ID!) { product(id: $id) { isWishlisted } }", who, id=forum.product)
            assert seen == {"product": {"isWishlisted": wished}}
        removed = await forum.do(owner, "removeFromWishlist", "notes", productId=forum.product)
        assert removed == {"__typename": "WishlistItem", "notes": "For June"}
        assert (await forum.ask(self.LIST, owner))["myWishlist"]["totalCount"] == 0
        again = await forum.do(owner, "removeFromWishlist", "notes", productId=forum.product)
        assert again["code"] == "NOT_FOUND"

    async def test_holds_a_product_once(self, forum: Forum) -> None:
        owner = forum.person()
        await forum.do(owner, "addToWishlist", "notes", productId=forum.product)
        again = await forum.do(owner, "addToWishlist", "notes", productId=forum.product)
        assert (again["__typename"], again["code"]) == ("AlreadyExists", "ALREADY_EXISTS")
        assert (await forum.ask(self.LIST, owner))["myWishlist"]["totalCount"] == 1

    @pytest.mark.parametrize("notes", ["a\0", "x" * 1_001])
    async def test_refuses_notes_that_cannot_be_kept(self, forum: Forum, notes: str) -> None:
        refused = await forum.do(forum.person(), "addToWishlist", "notes", productId=forum.product, notes=notes)
        assert refused["code"] == "INVALID_INPUT"

    async def test_knows_no_product_of_another_tenant(self, forum: Forum, make_stranger: Any) -> None:
        stranger = make_stranger()
        document = """mutation($id: ID!) {
          addToWishlist(input: {productId: $id}) { ... on Error { code } }
          removeFromWishlist(input: {productId: $id}) { ... on Error { code } } }"""
        for id_ in (forum.product, str(uuid7())):
            answer = await forum.graph(document, {"id": id_}, principal=stranger, tenant=stranger.tenant_id)
            assert answer.data == {"addToWishlist": {"code": "NOT_FOUND"}, "removeFromWishlist": {"code": "NOT_FOUND"}}

    async def test_keeps_what_is_no_longer_on_sale(self, forum: Forum, graph: Any) -> None:
        owner = forum.person()
        await forum.do(owner, "addToWishlist", "notes", productId=forum.product, notes="Gone soon")
        await graph("mutation($id: ID!) { archiveProduct(input: {id: $id}) { __typename } }", {"id": forum.product})
        answer = await graph(self.LIST, principal=owner)
        assert answer.data["myWishlist"]["nodes"] == [{"notes": "Gone soon", "product": None}]


class TestAuthor:
    async def test_is_a_user_with_a_public_name(self, forum: Forum, graph: Any) -> None:
        address = f"{uuid7().hex}@example.com"
        registered = await graph(
            """mutation($email: String!) { register(email: $email, password: "correct horse battery", displayName: "Ada") {
              __typename } }""",
            {"email": address},
            principal=NOBODY,
        )
        assert registered.errors == []
        users = await graph("{ users(first: 10) { nodes { id displayName } } }")
        (ada,) = [each for each in users.data["users"]["nodes"] if each["displayName"] == "Ada"]
        author = Principal(user_id=UUID(ada["id"]), tenant_id=forum.tenant_id)
        made = await forum.review(author)
        seen = await forum.ask("query($id: ID!) { review(id: $id) { author { id displayName } } }", id=made["id"])
        assert seen == {"review": {"author": {"id": ada["id"], "displayName": "Ada"}}}


class TestAList:
    PRODUCTS = """query($first: Int!) { products(first: $first) { nodes {
      id isWishlisted rating { average total }
      reviews(first: 3) { nodes { id rating author { id } } pageInfo { hasNextPage } } } } }"""

    async def test_of_twenty_takes_as_many_statements_as_one_of_a_hundred(
        self, graph: Any, database: Any, admin: Any, tenant_id: UUID
    ) -> None:
        async with database.session(tenant_id) as session:
            products = text(
                "INSERT INTO catalog.product (id, tenant_id, version, seller_id, state, name, slug, sku) "
                "SELECT platform.new_id(), :tenant, 1, :tenant, 'active', 'Mug', md5(random()::text), "
                "md5(random()::text) FROM generate_series(1, 100) RETURNING id"
            )
            ids = list(await session.scalars(products, {"tenant": tenant_id}))
            reviews = text(
                "INSERT INTO reviews.review (id, tenant_id, version, product_id, author_id, rating, state, "
                "is_verified_purchase, helpful_count, unhelpful_count) SELECT platform.new_id(), :tenant, 1, product, "
                "gen_random_uuid(), 5, 'published', false, 0, 0 FROM unnest(CAST(:ids AS uuid[])) AS product, "
                "generate_series(1, 5)"
            )
            await session.execute(reviews, {"tenant": tenant_id, "ids": ids})
        for first in (20, 100):
            answer = await graph(self.PRODUCTS, {"first": first}, principal=admin)
            nodes = answer.data["products"]["nodes"]
            # The products, and for all of them at once: their ratings, reviews and wishes.
            assert (len(nodes), answer.statements) == (first, 4)
            assert all(len(node["reviews"]["nodes"]) == 3 for node in nodes)
            assert all(node["reviews"]["pageInfo"]["hasNextPage"] for node in nodes)
            guest = await graph(self.PRODUCTS, {"first": first}, principal=NOBODY)
            assert guest.statements == 3
            assert {node["isWishlisted"] for node in guest.data["products"]["nodes"]} == {False}
