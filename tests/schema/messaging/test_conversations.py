import asyncio
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest

from domain.kernel import NOBODY, Principal, Work, uuid7
from domain.orders import Order
from tests.orders import OTHER_SELLER, OTHER_STORE, SELLER, STORE, Place, place
from tests.schema.messaging.conftest import CONVERSATION, Chat

LISTED = f"""query($first: Int, $after: String, $filter: ConversationFilterInput) {{
  conversations(first: $first, after: $after, filter: $filter) {{
    nodes {{ {CONVERSATION} }} pageInfo {{ hasNextPage endCursor }} totalCount }} }}"""


@pytest.fixture
async def order(services: Any, work: Work, chat: Chat) -> Order:
    command = Place(customer_id=chat.buyer.user_id, steps=2)
    acting = replace(work, actor=chat.buyer, now=datetime.now(UTC))
    made: Order = await services.transactions.run(place, command, acting)
    return made


class TestStartConversation:
    async def test_finds_the_seller_of_a_product(self, chat: Chat) -> None:
        started = await chat.start()
        assert started["id"] == chat.id
        assert (started["type"], started["state"]) == ("DIRECT", "OPEN")
        assert (started["buyerId"], started["staffIds"]) == (str(chat.buyer.user_id), [str(chat.seller.user_id)])
        assert await chat.facts() == ["messaging.conversation_started"]

    async def test_gives_the_same_conversation_to_two_who_start_it_at_once(self, chat: Chat) -> None:
        buyer = chat.person()
        started = await asyncio.gather(*(chat.start(buyer, productId=chat.product) for _ in range(6)))
        (chat.id,) = {each["id"] for each in started}
        assert await chat.facts() == ["messaging.conversation_started"]

    async def test_is_another_one_for_another_buyer(self, chat: Chat) -> None:
        assert (await chat.start(chat.person(), productId=chat.product))["id"] != chat.id

    async def test_asks_which_store_when_an_order_has_several(self, chat: Chat, order: Order) -> None:
        unsaid = await chat.do(chat.buyer, "startConversation", orderId=str(order.id))
        assert (unsaid["code"], unsaid["message"]) == (
            "INVALID_INPUT",
            "storeId: the order is of several stores: name one of them.",
        )
        first = await chat.start(orderId=str(order.id), storeId=str(STORE))
        second = await chat.start(orderId=str(order.id), storeId=str(OTHER_STORE))
        assert (first["staffIds"], second["staffIds"]) == ([str(SELLER)], [str(OTHER_SELLER)])
        unknown = await chat.do(chat.buyer, "startConversation", orderId=str(order.id), storeId=str(uuid7()))
        assert unknown["code"] == "NOT_FOUND"

    async def test_lets_a_seller_write_first_about_an_order(self, chat: Chat, order: Order) -> None:
        seller = chat.person(user_id=SELLER)
        theirs = await chat.start(seller, orderId=str(order.id))
        assert (theirs["buyerId"], theirs["staffIds"]) == (str(chat.buyer.user_id), [str(SELLER)])
        assert (await chat.start(orderId=str(order.id), storeId=str(STORE)))["id"] == theirs["id"]

    async def test_shows_on_the_order_to_those_who_talk(self, chat: Chat, order: Order) -> None:
        asked = "query($id: ID!) { order(id: $id) { conversation { id } } }"
        assert (await chat.ask(chat.buyer, asked, id=str(order.id)))["order"] == {"conversation": None}
        made = await chat.start(orderId=str(order.id), storeId=str(STORE))
        assert (await chat.ask(chat.buyer, asked, id=str(order.id)))["order"]["conversation"] == {"id": made["id"]}
        staff = Principal(
            user_id=uuid7(),
            tenant_id=chat.tenant_id,
            permissions=frozenset({"orders.read"}),
            store_ids=frozenset({OTHER_STORE}),
        )
        assert (await chat.ask(staff, asked, id=str(order.id)))["order"] == {"conversation": None}

    async def test_reaches_the_support(self, chat: Chat, order: Order) -> None:
        general = await chat.start(support=True)
        assert (general["type"], general["staffIds"]) == ("SUPPORT", [])
        about = await chat.start(support=True, orderId=str(order.id))
        assert about["id"] != general["id"]
        assert (await chat.start(support=True))["id"] == general["id"]

    @pytest.mark.parametrize("given", [{}, {"orderId": "o", "productId": "p"}, {"productId": "p", "storeId": "s"}])
    async def test_refuses_what_names_no_subject_or_two(self, chat: Chat, given: dict[str, str]) -> None:
        made = await chat.do(chat.buyer, "startConversation", **dict.fromkeys(given, str(uuid7())))
        assert made["code"] == "INVALID_INPUT"

    async def test_refuses_to_let_a_seller_talk_to_themselves(self, chat: Chat) -> None:
        made = await chat.do(chat.seller, "startConversation", productId=chat.product)
        assert made["code"] == "INVALID_INPUT"

    async def test_answers_for_what_is_others_like_for_what_never_was(
        self, chat: Chat, order: Order, stranger: Principal
    ) -> None:
        never = str(uuid7())
        for given, who in (
            ({"productId": never}, chat.buyer),
            ({"orderId": never}, chat.buyer),
            ({"productId": chat.product}, stranger),
            ({"orderId": str(order.id)}, stranger),
            ({"orderId": str(order.id)}, chat.person()),
            ({"orderId": str(order.id), "support": True}, chat.person()),
        ):
            made = await chat.do(who, "startConversation", **given)
            assert made["code"] == "NOT_FOUND", (given, made)
        assert await chat.do(NOBODY, "startConversation", productId=chat.product) == "UNAUTHENTICATED"


class TestConversations:
    async def test_come_with_the_latest_first_in_three_statements(self, chat: Chat) -> None:
        others = [chat.person() for _ in range(3)]
        ids = [chat.id, *[(await chat.start(other, productId=chat.product))["id"] for other in others]]
        for number in (2, 0, 3, 1):
            chat.id = ids[number]
            await chat.sent([chat.buyer, *others][number], f"Message to {number}")
        answer = await chat.graph(LISTED, {"first": 3}, principal=chat.seller)
        listed = answer.data["conversations"]
        assert [node["id"] for node in listed["nodes"]] == [ids[1], ids[3], ids[0]]
        assert [node["unreadCount"] for node in listed["nodes"]] == [1, 1, 1]
        assert [node["lastMessage"]["body"] for node in listed["nodes"]] == [f"Message to {n}" for n in (1, 3, 0)]
        # The page, its last messages, its unread counts, and the count that was asked for.
        assert answer.statements == 4
        more = await chat.ask(chat.seller, LISTED, first=3, after=listed["pageInfo"]["endCursor"])
        assert [node["id"] for node in more["conversations"]["nodes"]] == [ids[2]]
        assert (listed["totalCount"], listed["pageInfo"]["hasNextPage"]) == (4, True)

    async def test_are_one_s_own_only_and_filtered(self, chat: Chat) -> None:
        await chat.sent(chat.buyer, "Hello")
        for who, wanted, count in (
            (chat.person(), {}, 0),
            (chat.person("messaging.moderate"), {}, 0),
            (chat.seller, {"unread": True}, 1),
            (chat.buyer, {"unread": True}, 0),
            (chat.buyer, {"state": "OPEN"}, 1),
            (chat.buyer, {"state": "ARCHIVED"}, 0),
            (chat.buyer, {"type": "SUPPORT"}, 0),
        ):
            found = await chat.ask(who, LISTED, filter=wanted)
            assert found["conversations"]["totalCount"] == count, wanted

    async def test_are_seen_by_those_who_take_part_and_by_moderators_which_is_noted(
        self, chat: Chat, stranger: Principal
    ) -> None:
        asked = "query($id: ID!) { conversation(id: $id) { id } }"
        for who in (chat.person(), stranger):
            assert (await chat.ask(who, asked, id=chat.id))["conversation"] is None
        assert (await chat.ask(chat.seller, asked, id=chat.id))["conversation"] == {"id": chat.id}
        assert "messaging.conversation_inspected" not in await chat.facts()
        moderator = chat.person("messaging.moderate")
        assert (await chat.ask(moderator, asked, id=chat.id))["conversation"] == {"id": chat.id}
        assert await chat.facts() == ["messaging.conversation_started", "messaging.conversation_inspected"]


class TestArchiving:
    async def test_lasts_until_somebody_writes(self, chat: Chat) -> None:
        archived = await chat.do(chat.buyer, "archiveConversation", id=chat.id)
        assert archived["state"] == "ARCHIVED"
        assert (await chat.do(chat.seller, "archiveConversation", id=chat.id))["code"] == "INVALID_STATE_TRANSITION"
        await chat.sent(chat.seller, "One more thing")
        assert (await chat.start())["state"] == "OPEN"

    async def test_is_not_for_others(self, chat: Chat, stranger: Principal) -> None:
        for who in (chat.person(), chat.person("messaging.moderate"), stranger):
            assert (await chat.do(who, "archiveConversation", id=chat.id))["code"] == "NOT_FOUND"
        assert (await chat.start())["state"] == "OPEN"


class TestClosing:
    async def test_ends_a_conversation_and_makes_room_for_another(self, chat: Chat) -> None:
        assert (await chat.do(chat.buyer, "closeConversation", id=chat.id))["code"] == "INVALID_INPUT"
        assert (await chat.do(chat.person(), "closeConversation", id=chat.id))["code"] == "NOT_FOUND"
        assert (await chat.do(chat.seller, "closeConversation", id=chat.id))["state"] == "CLOSED"
        assert (await chat.say(chat.buyer, "Wait"))["code"] == "CONVERSATION_CLOSED"
        assert await chat.history(chat.buyer) == []
        assert (await chat.start())["id"] != chat.id

    async def test_is_for_moderators_too(self, chat: Chat) -> None:
        moderator = chat.person("messaging.moderate")
        assert (await chat.do(moderator, "closeConversation", id=chat.id))["state"] == "CLOSED"


class TestAParticipant:
    async def test_has_ids_that_the_graph_knows(self, chat: Chat) -> None:
        asked = "query($id: ID!) { conversation(id: $id) { product { id } order { id } store { id } staff { id } } }"
        found = (await chat.ask(chat.buyer, asked, id=chat.id))["conversation"]
        assert found["product"] == {"id": chat.product}
        assert (found["order"], found["store"]) == (None, None)
        assert UUID(chat.id)
