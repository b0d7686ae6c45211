from typing import Any

import pytest

from domain.kernel import Principal, uuid7
from tests.schema.messaging.conftest import MESSAGE, Chat

REVIEW = f"query {{ messagesForReview {{ nodes {{ {MESSAGE} }} totalCount }} }}"
LINK = "Cheaper at https://elsewhere.example/now"


@pytest.fixture
def moderator(chat: Chat) -> Principal:
    return chat.person("messaging.moderate")


async def judge(chat: Chat, who: Principal, message: Any, decision: str) -> Any:
    return await chat.do(who, "moderateMessage", id=message["id"], decision=decision, reason="seen")


class TestHolding:
    async def test_keeps_links_from_the_other_side(self, chat: Chat, moderator: Principal) -> None:
        said = await chat.sent(chat.buyer, LINK)
        assert (said["moderation"], said["state"]) == ("HELD", "SENT")
        assert (await chat.history(chat.buyer), await chat.history(chat.seller)) == ([LINK], [])
        assert await chat.unread(chat.seller) == (0, 0)
        assert (await chat.facts())[-1] == "messaging.message_held"
        assert (await chat.start())["lastMessage"] is None
        found = (await chat.ask(moderator, REVIEW))["messagesForReview"]
        assert [node["id"] for node in found["nodes"]] == [said["id"]]
        assert (await chat.read(chat.seller, said))["code"] == "NOT_FOUND"

    async def test_keeps_what_is_repeated(self, chat: Chat) -> None:
        body = "Buy my wonderful watches"
        said = [await chat.sent(chat.buyer, text) for text in (body, body.upper(), f" {body}")]
        assert [each["moderation"] for each in said] == ["CLEAR", "CLEAR", "HELD"]
        thanks = [await chat.sent(chat.seller, "thanks") for _ in range(4)]
        assert {each["moderation"] for each in thanks} == {"CLEAR"}

    async def test_ends_with_approval_as_the_latest_message(self, chat: Chat, moderator: Principal) -> None:
        held = await chat.sent(chat.buyer, LINK)
        await chat.sent(chat.buyer, "Did you get it?")
        passed = await judge(chat, moderator, held, "APPROVE")
        assert (passed["moderation"], passed["position"]) == ("APPROVED", 3)
        assert await chat.history(chat.seller) == [LINK, "Did you get it?"]
        assert await chat.unread(chat.seller) == (2, 2)
        assert (await chat.facts())[-2:] == ["message.sent", "messaging.message_approved"]
        assert (await chat.read(chat.seller, passed))["unreadCount"] == 0
        assert (await judge(chat, moderator, held, "APPROVE"))["code"] == "INVALID_STATE_TRANSITION"

    async def test_may_end_with_blocking(self, chat: Chat, moderator: Principal) -> None:
        held = await chat.sent(chat.buyer, LINK)
        blocked = await judge(chat, moderator, held, "BLOCK")
        assert (blocked["moderation"], blocked["state"]) == ("BLOCKED", "BLOCKED")
        assert await chat.history(chat.seller) == []
        assert await chat.unread(chat.seller) == (0, 0)
        assert (await judge(chat, moderator, held, "APPROVE"))["code"] == "INVALID_STATE_TRANSITION"

    async def test_is_decided_by_moderators_only(self, chat: Chat, stranger: Principal) -> None:
        held = await chat.sent(chat.buyer, LINK)
        for who in (chat.buyer, chat.seller):
            assert await judge(chat, who, held, "APPROVE") == "FORBIDDEN"
        assert (await judge(chat, stranger, held, "APPROVE"))["code"] == "NOT_FOUND"
        assert await chat.history(chat.seller) == []


class TestReporting:
    async def test_has_a_moderator_look_at_what_was_read(self, chat: Chat, moderator: Principal) -> None:
        first, said = [await chat.sent(chat.buyer, body) for body in ("Hello", "You fool")]
        await chat.read(chat.seller, first)
        reported = await chat.do(chat.seller, "reportMessage", id=said["id"], reason="Rude")
        assert reported["moderation"] == "REPORTED"
        facts = await chat.facts()
        await chat.do(chat.seller, "reportMessage", id=said["id"], reason="Rude")
        assert (await chat.facts(), facts[-1]) == (facts, "messaging.message_reported")
        assert await chat.unread(chat.seller) == (1, 1)
        assert (await chat.ask(moderator, REVIEW))["messagesForReview"]["totalCount"] == 1
        await judge(chat, moderator, said, "BLOCK")
        assert (await chat.history(chat.seller), await chat.unread(chat.seller)) == (["Hello"], (0, 0))

    async def test_is_refused_of_one_s_own_and_others_messages(self, chat: Chat, stranger: Principal) -> None:
        said = await chat.sent(chat.buyer, "Hello")
        held = await chat.sent(chat.buyer, LINK)
        own = await chat.do(chat.buyer, "reportMessage", id=said["id"], reason="Rude")
        assert own["code"] == "INVALID_INPUT"
        for who, message in (
            (chat.person(), said),
            (stranger, said),
            (chat.seller, held),
            (chat.seller, {"id": str(uuid7())}),
        ):
            refused = await chat.do(who, "reportMessage", id=message["id"], reason="Rude")
            assert refused["code"] == "NOT_FOUND"
        assert "messaging.message_reported" not in await chat.facts()


class TestBlocking:
    async def test_silences_somebody_until_it_is_lifted(self, chat: Chat) -> None:
        blocked = {"conversationId": chat.id, "userId": str(chat.buyer.user_id)}
        for _ in range(2):
            assert (await chat.do(chat.seller, "blockParticipant", **blocked))["__typename"] == "Conversation"
        refused = await chat.say(chat.buyer, "Hello?")
        assert refused["code"] == "PARTICIPANT_BLOCKED"
        assert (await chat.history(chat.seller), await chat.unread(chat.seller)) == ([], (0, 0))
        assert (await chat.say(chat.seller, "Goodbye"))["__typename"] == "Message"
        assert (await chat.do(chat.seller, "unblockParticipant", **blocked))["__typename"] == "Conversation"
        assert (await chat.say(chat.buyer, "Hello?"))["__typename"] == "Message"

    async def test_holds_in_every_conversation_of_the_two(self, chat: Chat, goods: Any) -> None:
        blocked = {"conversationId": chat.id, "userId": str(chat.seller.user_id)}
        await chat.do(chat.buyer, "blockParticipant", **blocked)
        assert (await chat.say(chat.seller, "Hello?"))["code"] == "PARTICIPANT_BLOCKED"
        chat.id = (await chat.start(chat.person(), productId=goods.product))["id"]
        assert (await chat.say(chat.seller, "Hello!"))["__typename"] == "Message"

    async def test_is_of_somebody_else_in_the_conversation(self, chat: Chat, stranger: Principal) -> None:
        for user_id in (str(chat.seller.user_id), str(uuid7())):
            refused = await chat.do(chat.seller, "blockParticipant", conversationId=chat.id, userId=user_id)
            assert refused["code"] == "INVALID_INPUT"
        for who in (chat.person(), stranger):
            refused = await chat.do(who, "blockParticipant", conversationId=chat.id, userId=str(chat.buyer.user_id))
            assert refused["code"] == "NOT_FOUND"
        assert (await chat.say(chat.buyer, "Hello"))["__typename"] == "Message"
