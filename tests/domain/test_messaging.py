from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from domain.kernel import IdempotencyKeyReused, InvalidInput, InvalidStateTransition, NotFound, uuid7
from domain.messaging import (
    Conversation,
    ConversationClosed,
    ConversationState,
    ConversationType,
    Correspondent,
    Decision,
    Message,
    MessageState,
    Moderation,
    RateLimited,
    SendMessage,
    Side,
)
from domain.messaging.attachments import Attachment, AttachmentState, Examined, files_of
from domain.messaging.events import MessageSent
from domain.messaging.texts import check_text, file_name, has_link
from domain.topics import topics_of

NOW = datetime(2026, 3, 14, 15, 9, 26, tzinfo=UTC)
TENANT, BUYER, SELLER, COLLEAGUE = (uuid7() for _ in range(4))


@pytest.fixture
def conversation() -> Conversation:
    return Conversation(
        tenant_id=TENANT,
        type=ConversationType.DIRECT,
        buyer_id=BUYER,
        staff_ids=[SELLER, COLLEAGUE],
        last_message_at=NOW,
        started_at=NOW,
    )


@pytest.fixture
def buyer() -> Correspondent:
    return Correspondent(tenant_id=TENANT, user_id=BUYER)


def say(conversation: Conversation, who: Correspondent, body: str, now: datetime = NOW, **given: Any) -> Message:
    command = SendMessage(conversation_id=conversation.id, client_id=uuid7().hex, body=body, **given)
    return conversation.send(command, who, (), now)


class TestConversation:
    def test_says_who_is_on_which_side(self, conversation: Conversation) -> None:
        assert [conversation.side_of(each) for each in (BUYER, SELLER, COLLEAGUE)] == [
            Side.BUYER,
            Side.STAFF,
            Side.STAFF,
        ]
        for stranger in (uuid7(), None):
            with pytest.raises(NotFound):
                conversation.side_of(stranger)

    def test_tells_everything_of_a_message_in_its_event(self, conversation: Conversation, buyer: Correspondent) -> None:
        message = say(conversation, buyer, "Hello")
        (recorded,) = conversation.release_events()
        fact = recorded.event
        assert isinstance(fact, MessageSent)
        assert (fact.message_id, fact.body, fact.sender_id, fact.position) == (message.id, "Hello", BUYER, 1)
        assert fact.recipients == (SELLER, COLLEAGUE)
        data = {"sender_id": str(BUYER), "recipients": [str(SELLER), str(COLLEAGUE)]}
        assert topics_of("message.sent", conversation.id, data) == sorted(
            [f"conversation:{conversation.id}", *(f"inbox:{each}" for each in (BUYER, SELLER, COLLEAGUE))]
        )

    def test_takes_no_message_when_it_is_closed(self, conversation: Conversation, buyer: Correspondent) -> None:
        conversation.close(SELLER, as_moderator=False)
        with pytest.raises(ConversationClosed):
            say(conversation, buyer, "Hello")
        assert (conversation.last_position, buyer.recent) == (0, [])

    def test_is_opened_by_a_message_but_not_by_one_that_is_held(
        self, conversation: Conversation, buyer: Correspondent
    ) -> None:
        conversation.archive(BUYER)
        say(conversation, buyer, "See www.elsewhere.example")
        assert conversation.state is ConversationState.ARCHIVED
        say(conversation, buyer, "Hello")
        assert conversation.state is ConversationState.OPEN

    def test_is_closed_by_the_store_or_a_moderator(self, conversation: Conversation) -> None:
        with pytest.raises(InvalidInput):
            conversation.close(BUYER, as_moderator=False)
        with pytest.raises(NotFound):
            conversation.close(uuid7(), as_moderator=False)
        conversation.close(uuid7(), as_moderator=True)
        with pytest.raises(InvalidStateTransition):
            conversation.archive(BUYER)

    def test_lets_a_held_message_out_when_it_is_closed_without_opening_again(
        self, conversation: Conversation, buyer: Correspondent
    ) -> None:
        message = say(conversation, buyer, "See www.elsewhere.example")
        conversation.close(SELLER, as_moderator=False)
        conversation.judge(message, Decision.APPROVE, None, NOW)
        assert (conversation.state, message.is_seen) == (ConversationState.CLOSED, True)


class TestJudging:
    def test_takes_a_message_away_once(self, conversation: Conversation, buyer: Correspondent) -> None:
        message = say(conversation, buyer, "Hello")
        conversation.judge(message, Decision.BLOCK, "rude", NOW)
        assert (message.state, message.moderation) == (MessageState.BLOCKED, Moderation.BLOCKED)
        for decision in Decision:
            with pytest.raises(InvalidStateTransition):
                conversation.judge(message, decision, None, NOW)

    def test_does_not_approve_what_nobody_doubted(self, conversation: Conversation, buyer: Correspondent) -> None:
        with pytest.raises(InvalidStateTransition):
            conversation.judge(say(conversation, buyer, "Hello"), Decision.APPROVE, None, NOW)

    def test_leaves_an_approved_message_where_a_report_would_put_it(
        self, conversation: Conversation, buyer: Correspondent
    ) -> None:
        message = say(conversation, buyer, "See www.elsewhere.example")
        conversation.judge(message, Decision.APPROVE, None, NOW)
        conversation.report(message, SELLER, "Again")
        assert message.moderation is Moderation.APPROVED


class TestCorrespondent:
    def test_writes_twenty_messages_in_any_minute(self, buyer: Correspondent) -> None:
        for second in range(20):
            buyer.admit(f"Message {second}", NOW + timedelta(seconds=second))
        before = list(buyer.recent)
        with pytest.raises(RateLimited) as refused:
            buyer.admit("One more", NOW + timedelta(seconds=59.5))
        assert (refused.value.retry_after_seconds, buyer.recent) == (1, before)
        buyer.admit("One more", NOW + timedelta(seconds=60))
        with pytest.raises(RateLimited):
            buyer.admit("Another", NOW + timedelta(seconds=60.9))

    def test_repeats_nothing_long_more_than_twice_in_ten_minutes(self, buyer: Correspondent) -> None:
        body = "The very same offer"
        said = [buyer.admit(body, NOW + timedelta(minutes=minute)) for minute in (0, 1, 2, 15)]
        assert said == [False, False, True, False]

    def test_may_repeat_short_words(self, buyer: Correspondent) -> None:
        assert {buyer.admit("ok", NOW + timedelta(seconds=each)) for each in range(5)} == {False}


class TestTexts:
    @pytest.mark.parametrize("text", ["Hello", "a\n\tb\r\n", "Привет 🙂", "<b>x</b>", "\u200d", "1 < 2 & 3"])
    def test_take_what_people_write(self, text: str) -> None:
        check_text("body", text, 100)

    @pytest.mark.parametrize("text", ["", " ", "\x00", "a\x1bb", "\x7f", "\x85", "\ud800", "x" * 101])
    def test_refuse_what_cannot_be_shown(self, text: str) -> None:
        with pytest.raises(InvalidInput):
            check_text("body", text, 100)

    @pytest.mark.parametrize("text", ["http://x", "see HTTPS://a.b", "www.a.example", "go to shop.com now", "t.me/abc"])
    def test_find_links(self, text: str) -> None:
        assert has_link(text)

    @pytest.mark.parametrize("text", ["Hello.Thanks", "12.50", "e.g. that", "Mr.Smith", "well...me too"])
    def test_find_none_in_plain_words(self, text: str) -> None:
        assert not has_link(text)

    def test_take_the_last_part_of_a_file_s_name(self) -> None:
        assert (file_name("C:\\photos\\a.png"), file_name("../../etc/passwd")) == ("a.png", "passwd")
        for name in ("", "/", "a\nb", "x" * 121):
            with pytest.raises(InvalidInput):
                file_name(name)


class TestMessage:
    def test_answers_a_repetition_and_refuses_another_under_its_name(
        self, conversation: Conversation, buyer: Correspondent
    ) -> None:
        message = say(conversation, buyer, "Hello")
        same = SendMessage(conversation_id=conversation.id, client_id=message.client_id, body="Hello")
        assert message.repeated(same) is message
        for other in (
            SendMessage(conversation_id=conversation.id, client_id=message.client_id, body="Hello!"),
            SendMessage(conversation_id=uuid7(), client_id=message.client_id, body="Hello"),
            SendMessage(
                conversation_id=conversation.id, client_id=message.client_id, body="Hello", attachment_ids=[uuid7()]
            ),
        ):
            with pytest.raises(IdempotencyKeyReused):
                message.repeated(other)


class TestAttachment:
    def test_is_sent_once_by_its_uploader_where_it_was_uploaded_for(self, conversation: Conversation) -> None:
        file = Attachment(
            tenant_id=TENANT, conversation_id=conversation.id, uploader_id=BUYER, name="a.png", requested_at=NOW
        )
        command = SendMessage(conversation_id=conversation.id, client_id="c", attachment_ids=[file.id])
        with pytest.raises(NotFound):
            files_of(command, BUYER, [file])
        file.keep(Examined(content_type="image/png", size_bytes=10, width=1, height=2))
        assert [each["name"] for each in files_of(command, BUYER, [file])] == ["a.png"]
        elsewhere = SendMessage(conversation_id=uuid7(), client_id="c", attachment_ids=[file.id])
        for refused, sender in ((command, SELLER), (elsewhere, BUYER)):
            with pytest.raises(NotFound):
                files_of(refused, sender, [file])
        file.message_id = uuid7()
        with pytest.raises(NotFound):
            files_of(command, BUYER, [file])
        with pytest.raises(InvalidStateTransition):
            file.keep(Examined(content_type="image/png", size_bytes=10))
        assert file.state is AttachmentState.UPLOADED
