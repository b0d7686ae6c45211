import asyncio
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text

from data.topics import SqlTopicLog
from domain.kernel import Principal, uuid7
from domain.topics import TopicEvent
from resolvers.kernel import Context
from resolvers.messaging import message_received
from tests.events import PATIENCE_SECONDS, eventually
from tests.schema.messaging.conftest import MESSAGE, Chat
from tests.schema.messaging.test_moderation import LINK

RECEIVED = f"""subscription($id: ID, $after: String) {{
  messageReceived(conversationId: $id, after: $after) {{ cursor message {{ {MESSAGE} }} }} }}"""
STATUS = """subscription($id: ID!, $after: String) {
  messageStatusChanged(conversationId: $id, after: $after) { cursor conversationId messageId position state userId at } }"""
TYPING = "subscription($id: ID!) { typing(conversationId: $id) { userId isTyping expiresAt } }"
PRESENCE = "subscription($id: ID!) { presence(userId: $id) { userId isOnline } }"


async def taken(results: Any, count: int) -> list[Any]:
    found = []
    for _ in range(count):
        result = await asyncio.wait_for(anext(results), PATIENCE_SECONDS)
        assert not result.errors, result.errors
        found.append(next(iter(result.data.values())))
    return found


async def refused(results: Any) -> str:
    """Give the code of what a subscription is refused with, at once or with its first result."""
    result = results if hasattr(results, "errors") else await asyncio.wait_for(anext(results), PATIENCE_SECONDS)
    return str(result.errors[0].original_error.code)


@pytest.mark.usefixtures("relay")
class TestMessageReceived:
    async def test_gives_messages_whole_and_resumes_after_a_cursor(self, chat: Chat, subscribe: Any) -> None:
        first = await chat.sent(chat.buyer, "First")
        results = await subscribe(chat.seller, RECEIVED, id=chat.id, after="0")
        (received,) = await taken(results, 1)
        assert received["message"] == first
        said = [await chat.sent(who, f"By {who.user_id}") for who in (chat.buyer, chat.seller)]
        assert [each["message"] for each in await taken(results, 2)] == said
        again = await subscribe(chat.buyer, RECEIVED, id=chat.id, after=received["cursor"])
        assert [each["message"] for each in await taken(again, 2)] == said

    async def test_reads_nothing_for_a_message(self, chat: Chat, services: Any) -> None:
        said = await chat.sent(chat.buyer, "Hello")
        async with services.database.session(chat.tenant_id) as session:
            found = await session.execute(
                text(
                    "SELECT sequence, data FROM platform.event_log WHERE name = 'message.sent' AND aggregate_id = :id"
                ),
                {"id": UUID(chat.id)},
            )
            sequence, data = found.one()
        reads = services.database.reads(chat.tenant_id)
        context = Context(
            reads=reads, transactions=services.transactions, principal=chat.seller, tenant_id=chat.tenant_id
        )
        feed = await message_received(context, UUID(chat.id))
        assert reads.statements == 1
        event = TopicEvent(
            tenant_id=chat.tenant_id, topics=feed.topics, name="message.sent", data=data, sequence=sequence
        )
        (received,) = await feed.values(context, await SqlTopicLog(services.database).readable([event]))
        assert (str(received.message.id), received.message.body, received.cursor) == (
            said["id"],
            "Hello",
            str(sequence),
        )
        assert reads.statements == 1
        await reads.end()

    async def test_of_no_conversation_is_of_all_of_one_s_own(self, chat: Chat, subscribe: Any) -> None:
        results = await subscribe(chat.seller, RECEIVED, after="0")
        hello = await chat.sent(chat.buyer, "Hello")
        assert [each["message"] for each in await taken(results, 1)] == [hello]
        other = chat.person()
        chat.id = (await chat.start(other, productId=chat.product))["id"]
        welcome = await chat.sent(other, "Welcome")
        assert [each["message"] for each in await taken(results, 1)] == [welcome]

    async def test_leaves_out_what_is_held_until_it_is_approved(self, chat: Chat, subscribe: Any) -> None:
        results = await subscribe(chat.seller, RECEIVED, id=chat.id, after="0")
        held = await chat.sent(chat.buyer, LINK)
        await chat.sent(chat.buyer, "Next")
        await chat.do(chat.person("messaging.moderate"), "moderateMessage", id=held["id"], decision="APPROVE")
        assert [each["message"]["body"] for each in await taken(results, 2)] == ["Next", LINK]

    async def test_is_refused_to_others(self, chat: Chat, subscribe: Any) -> None:
        for who in (chat.person(), chat.person("messaging.moderate")):
            for document in (RECEIVED, STATUS, TYPING):
                assert await refused(await subscribe(who, document, id=chat.id)) == "NOT_FOUND"


@pytest.mark.usefixtures("relay")
class TestMessageStatusChanged:
    async def test_says_how_far_the_other_side_has_come(self, chat: Chat, subscribe: Any) -> None:
        said = [await chat.sent(chat.buyer, body) for body in ("One", "Two")]
        results = await subscribe(chat.buyer, STATUS, id=chat.id, after="0")
        await chat.do(chat.seller, "markMessagesDelivered", conversationId=chat.id, upTo=said[1]["id"])
        await chat.read(chat.seller, said[0])
        changes = await taken(results, 2)
        assert [(each["state"], each["messageId"], each["position"]) for each in changes] == [
            ("DELIVERED", said[1]["id"], 2),
            ("READ", said[0]["id"], 1),
        ]
        assert {each["userId"] for each in changes} == {str(chat.seller.user_id)}

    async def test_tells_of_decisions(self, chat: Chat, subscribe: Any) -> None:
        held = [await chat.sent(chat.buyer, f"{LINK}/{number}") for number in range(2)]
        results = await subscribe(chat.buyer, STATUS, id=chat.id, after="0")
        for message, decision in zip(held, ("APPROVE", "BLOCK"), strict=True):
            await chat.do(chat.person("messaging.moderate"), "moderateMessage", id=message["id"], decision=decision)
        changes = await taken(results, 2)
        assert [(each["messageId"], each["state"], each["userId"]) for each in changes] == [
            (held[0]["id"], "SENT", None),
            (held[1]["id"], "BLOCKED", None),
        ]


class TestTyping:
    async def test_is_told_to_the_others(self, chat: Chat, subscribe: Any) -> None:
        results = await subscribe(chat.seller, TYPING, id=chat.id)
        waiting = asyncio.ensure_future(taken(results, 1))

        async def told() -> bool:
            await chat.do(chat.seller, "setTyping", conversationId=chat.id)
            await chat.do(chat.buyer, "setTyping", conversationId=chat.id)
            return waiting.done()

        await eventually(told)
        (typing,) = await waiting
        assert (typing["userId"], typing["isTyping"]) == (str(chat.buyer.user_id), True)


class TestPresence:
    async def test_is_shown_to_those_who_share_a_conversation(self, chat: Chat, subscribe: Any) -> None:
        watching = await subscribe(chat.buyer, PRESENCE, id=str(chat.seller.user_id))
        seen = await taken(watching, 1)
        assert seen == [{"userId": str(chat.seller.user_id), "isOnline": False}]
        following = await subscribe(chat.seller, RECEIVED)
        waiting = asyncio.ensure_future(anext(following))
        changes = asyncio.ensure_future(taken(watching, 1))
        assert (await changes)[0]["isOnline"] is True
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        assert (await taken(watching, 1))[0]["isOnline"] is False

    async def test_is_nobody_else_s_business(self, chat: Chat, subscribe: Any) -> None:
        for who, other in (
            (chat.person(), chat.seller.user_id),
            (chat.person("messaging.moderate"), chat.seller.user_id),
            (chat.buyer, uuid7()),
        ):
            assert await refused(await subscribe(who, PRESENCE, id=str(other))) == "NOT_FOUND"


class TestAStranger:
    async def test_hears_of_nothing(self, chat: Chat, subscribe: Any, stranger: Principal) -> None:
        for document in (RECEIVED, STATUS, TYPING):
            assert await refused(await subscribe(stranger, document, id=chat.id)) == "NOT_FOUND"
