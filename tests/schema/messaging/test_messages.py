import asyncio
from typing import Any

import pytest

from domain.kernel import NOBODY, Principal, uuid7
from domain.messaging import MESSAGES_PER_WINDOW
from tests.schema.messaging.conftest import HISTORY, Chat


@pytest.fixture
def counted(services: Any) -> Any:
    """Give the statements that a coroutine runs in transactions, BEGIN and COMMIT left out."""
    from sqlalchemy import event

    async def count(coroutine: Any) -> tuple[Any, list[str]]:
        seen: list[str] = []

        def note(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
            seen.append(statement)

        engine = services.database.engine.sync_engine
        event.listen(engine, "before_cursor_execute", note)
        try:
            return await coroutine, seen
        finally:
            event.remove(engine, "before_cursor_execute", note)

    return count


class TestSendMessage:
    async def test_says_it_to_the_other_side_as_it_was_sent(self, chat: Chat) -> None:
        body = "<script>alert('hi')</script>\n\tIs it blue? 🙂"
        said = await chat.sent(chat.buyer, body, client_id="c-1")
        assert (said["body"], said["clientId"], said["side"], said["position"]) == (body, "c-1", "BUYER", 1)
        assert (said["state"], said["moderation"], said["deliveredAt"], said["readAt"]) == ("SENT", "CLEAR", None, None)
        assert await chat.history(chat.seller) == [body]
        assert (await chat.unread(chat.seller), await chat.unread(chat.buyer)) == ((1, 1), (0, 0))
        assert await chat.facts() == ["messaging.conversation_started", "message.sent"]

    async def test_takes_four_statements_besides_begin_and_commit(self, chat: Chat, counted: Any) -> None:
        _, seen = await counted(chat.sent(chat.buyer, "Hello"))
        assert len(seen) == 4

    async def test_says_the_same_only_once(self, chat: Chat) -> None:
        first = await chat.sent(chat.buyer, "Hello", client_id="c-1")
        assert await chat.sent(chat.buyer, "Hello", client_id="c-1") == first
        changed = await chat.say(chat.buyer, "Goodbye", "c-1")
        assert changed["code"] == "IDEMPOTENCY_KEY_REUSED"
        other = await chat.sent(chat.seller, "Goodbye", client_id="c-1")
        assert other["id"] != first["id"]
        assert await chat.history(chat.buyer) == ["Goodbye", "Hello"]
        assert await chat.unread(chat.seller) == (1, 1)

    async def test_says_it_once_when_it_is_sent_many_times_at_once(self, chat: Chat) -> None:
        said = await asyncio.gather(*(chat.sent(chat.buyer, "Hello", client_id="c-1") for _ in range(6)))
        assert len({each["id"] for each in said}) == 1
        assert await chat.history(chat.seller) == ["Hello"]
        assert await chat.unread(chat.seller) == (1, 1)
        assert (await chat.facts()).count("message.sent") == 1

    async def test_of_both_at_once_keeps_every_message_and_count(self, chat: Chat) -> None:
        await asyncio.gather(
            *(chat.sent(who, f"Message {number}") for number in range(8) for who in (chat.buyer, chat.seller))
        )
        answer = await chat.ask(chat.buyer, HISTORY, id=chat.id, first=50)
        assert [node["position"] for node in answer["messages"]["nodes"]] == list(range(16, 0, -1))
        assert (await chat.unread(chat.buyer), await chat.unread(chat.seller)) == ((8, 8), (8, 8))

    @pytest.mark.parametrize(
        ("given", "field"),
        [
            ({"body": ""}, "body"),
            ({"body": "  \n"}, "body"),
            ({"body": "x" * 4001}, "body"),
            ({"body": "bell \a"}, "body"),
            ({"body": "nul \0"}, "body"),
            ({"clientId": ""}, "clientId"),
            ({"clientId": "x" * 65}, "clientId"),
            ({"clientId": "a b"}, "clientId"),
            ({"attachmentIds": [str(uuid7()) for _ in range(6)]}, "attachmentIds"),
        ],
    )
    async def test_refuses_what_is_no_message(self, chat: Chat, given: dict[str, Any], field: str) -> None:
        values = {"conversationId": chat.id, "clientId": uuid7().hex, "body": "Hello", **given}
        refused = await chat.do(chat.buyer, "sendMessage", **values)
        assert (refused["code"], refused["message"].partition(":")[0]) == ("INVALID_INPUT", field)
        assert await chat.history(chat.buyer) == []
        assert await chat.unread(chat.seller) == (0, 0)

    async def test_takes_a_body_of_the_largest_length(self, chat: Chat) -> None:
        assert (await chat.sent(chat.buyer, "é" * 4000))["body"] == "é" * 4000

    async def test_is_for_those_who_take_part(self, chat: Chat, stranger: Principal) -> None:
        never = await chat.do(chat.buyer, "sendMessage", conversationId=str(uuid7()), clientId="c", body="Hello")
        assert never["code"] == "NOT_FOUND"
        for who in (chat.person(), chat.person("messaging.moderate"), stranger):
            assert (await chat.say(who, "Hello"))["code"] == "NOT_FOUND"
        assert await chat.say(NOBODY, "Hello") == "UNAUTHENTICATED"
        assert await chat.history(chat.buyer) == []
        assert await chat.facts() == ["messaging.conversation_started"]

    async def test_is_limited_to_twenty_a_minute_however_they_come(self, chat: Chat) -> None:
        other = (await chat.start(chat.buyer, support=True))["id"]
        first = chat.id
        said = []
        for number in range(MESSAGES_PER_WINDOW + 5):
            chat.id = (first, other)[number % 2]
            said.append(chat.say(chat.buyer, f"Message {number}", f"c-{number}"))
        answers = await asyncio.gather(*said)
        refused = [each for each in answers if each["__typename"] == "RateLimited"]
        assert len(refused) == 5
        assert all(0 < each["retryAfterSeconds"] <= 60 for each in refused)
        chat.id = first
        kept = next(
            number for number, each in enumerate(answers) if each["__typename"] == "Message" and number % 2 == 0
        )
        # What was sent already is no message more.
        assert (await chat.say(chat.buyer, f"Message {kept}", f"c-{kept}"))["__typename"] == "Message"
        assert (await chat.say(chat.seller, "I may still write"))["__typename"] == "Message"


class TestMessages:
    async def test_come_page_by_page_with_the_newest_first_in_two_statements(self, chat: Chat) -> None:
        for number in range(5):
            await chat.sent(chat.buyer, f"Message {number}")
        answer = await chat.graph(HISTORY.replace("totalCount", ""), {"id": chat.id, "first": 2}, principal=chat.seller)
        page = answer.data["messages"]
        assert answer.statements == 2
        assert [node["body"] for node in page["nodes"]] == ["Message 4", "Message 3"]
        assert page["pageInfo"]["hasNextPage"] is True
        await chat.sent(chat.seller, "Meanwhile")
        before = page["pageInfo"]["endCursor"]
        assert await chat.history(chat.seller, first=2, before=before) == ["Message 2", "Message 1"]

    async def test_are_not_for_others(self, chat: Chat, stranger: Principal) -> None:
        await chat.sent(chat.buyer, "Hello")
        for who in (chat.person(), stranger):
            answer = await chat.graph(HISTORY, {"id": chat.id}, principal=who, tenant=who.tenant_id)
            assert answer.codes == ["NOT_FOUND"]
        assert "messaging.conversation_inspected" not in await chat.facts()

    async def test_are_for_moderators_which_is_noted(self, chat: Chat) -> None:
        await chat.sent(chat.buyer, "Hello")
        assert await chat.history(chat.person("messaging.moderate")) == ["Hello"]
        assert (await chat.facts())[-1] == "messaging.conversation_inspected"

    async def test_stay_out_of_the_audit_trail(self, chat: Chat, admin: Principal) -> None:
        await chat.sent(chat.buyer, "A secret")
        asked = "query($id: ID!) { auditLog(filter: {aggregateId: $id}) { nodes { name data } } }"
        nodes = (await chat.ask(admin, asked, id=chat.id))["auditLog"]["nodes"]
        (sent,) = [node["data"] for node in nodes if node["name"] == "message.sent"]
        assert sent["conversation_id"] == chat.id
        assert not {"body", "attachments"} & sent.keys()


class TestReading:
    async def test_counts_exactly_what_is_left(self, chat: Chat) -> None:
        said = [await chat.sent(chat.buyer, f"Message {number}") for number in range(4)]
        await chat.sent(chat.seller, "Mine does not count")
        read = await chat.read(chat.seller, said[1])
        assert (read["id"], read["unreadCount"]) == (chat.id, 2)
        assert await chat.unread(chat.seller) == (2, 2)
        states = await chat.ask(chat.buyer, HISTORY, id=chat.id)
        nodes = states["messages"]["nodes"]
        assert [node["state"] for node in nodes] == ["SENT", "SENT", "SENT", "READ", "READ"]
        assert [bool(node["readAt"] and node["deliveredAt"]) for node in nodes[3:]] == [True, True]

    async def test_takes_four_statements_besides_begin_and_commit(self, chat: Chat, counted: Any) -> None:
        said = await chat.sent(chat.buyer, "Hello")
        _, seen = await counted(chat.read(chat.seller, said))
        assert len(seen) == 4

    async def test_never_goes_back_and_changes_nothing_twice(self, chat: Chat) -> None:
        first, second = [await chat.sent(chat.buyer, body) for body in ("One", "Two")]
        await chat.read(chat.seller, second)
        facts = await chat.facts()
        assert (await chat.read(chat.seller, first))["unreadCount"] == 0
        assert (await chat.read(chat.seller, second))["unreadCount"] == 0
        assert await chat.facts() == facts

    async def test_comes_after_delivery(self, chat: Chat) -> None:
        said = await chat.sent(chat.buyer, "Hello")

        async def status() -> tuple[str, bool, bool]:
            (node,) = (await chat.ask(chat.buyer, HISTORY, id=chat.id))["messages"]["nodes"]
            return node["state"], bool(node["deliveredAt"]), bool(node["readAt"])

        marked = await chat.do(chat.seller, "markMessagesDelivered", conversationId=chat.id, upTo=said["id"])
        assert marked["unreadCount"] == 1
        assert await status() == ("DELIVERED", True, False)
        await chat.read(chat.seller, said)
        assert await status() == ("READ", True, True)
        await chat.do(chat.seller, "markMessagesDelivered", conversationId=chat.id, upTo=said["id"])
        assert await status() == ("READ", True, True)
        assert (await chat.facts())[-2:] == ["message.delivered", "message.read"]

    async def test_while_others_write_loses_no_count(self, chat: Chat) -> None:
        first = await chat.sent(chat.buyer, "First")
        writing = [chat.sent(chat.buyer, f"Message {number}") for number in range(8)]
        reading = [chat.read(chat.seller, first) for _ in range(4)]
        await asyncio.gather(*(each for pair in zip(writing[:4], reading, strict=True) for each in pair), *writing[4:])
        assert await chat.unread(chat.seller) == (8, 8)

    async def test_is_refused_for_what_is_not_there(self, chat: Chat, stranger: Principal) -> None:
        said = await chat.sent(chat.buyer, "Hello")
        for who in (chat.person(), chat.person("messaging.moderate"), stranger):
            assert (await chat.read(who, said))["code"] == "NOT_FOUND"
        assert (await chat.read(chat.seller, {"id": str(uuid7())}))["code"] == "NOT_FOUND"
        other = (await chat.start(support=True))["id"]
        elsewhere = await chat.do(chat.buyer, "markMessagesRead", conversationId=other, upTo=said["id"])
        assert elsewhere["code"] == "NOT_FOUND"
        assert await chat.unread(chat.seller) == (1, 1)


class TestTyping:
    async def test_is_told_to_those_who_take_part_and_not_without_end(self, chat: Chat) -> None:
        told = await chat.do(chat.buyer, "setTyping", conversationId=chat.id)
        assert (told["userId"], told["isTyping"]) == (str(chat.buyer.user_id), True)
        assert (await chat.do(chat.person(), "setTyping", conversationId=chat.id))["code"] == "NOT_FOUND"
        more = await asyncio.gather(*(chat.do(chat.buyer, "setTyping", conversationId=chat.id) for _ in range(30)))
        assert "RateLimited" in {each["__typename"] for each in more}
