import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from data.database import Database
from data.transactions import SqlTransactions
from domain.kernel import Principal, Work, uuid7
from domain.messaging import (
    CloseConversation,
    Conversation,
    Conversations,
    ConversationType,
    RateLimited,
    SendMessage,
    close_conversation,
    send_message,
)


@dataclass(frozen=True, kw_only=True)
class Begin:
    """What a conversation of the tests is about."""

    buyer_id: UUID
    staff_ids: tuple[UUID, ...]
    product_id: UUID


async def begin(command: Begin, work: Work, conversations: Conversations) -> Conversation:
    conversation = await conversations.lock_or_create(
        Conversation(
            tenant_id=work.tenant_id,
            type=ConversationType.DIRECT,
            buyer_id=command.buyer_id,
            product_id=command.product_id,
            staff_ids=list(command.staff_ids),
            last_message_at=work.now,
            started_at=work.now,
        )
    )
    if not conversation.version:
        conversation.start()
        await conversations.enrol(conversation)
    return conversation


@pytest.fixture
def subject() -> Begin:
    return Begin(buyer_id=uuid7(), staff_ids=(uuid7(), uuid7()), product_id=uuid7())


@pytest.fixture
def as_person(work: Work) -> Callable[[UUID], Work]:
    return lambda user_id: replace(work, actor=Principal(user_id=user_id, tenant_id=work.tenant_id))


async def rows(database: Database, tenant_id: UUID, statement: str, **values: Any) -> list[Any]:
    async with database.session(tenant_id) as session:
        return list((await session.execute(text(statement), values)).all())


class TestASubject:
    async def test_has_one_conversation_however_many_start_it(
        self, transactions: SqlTransactions, database: Database, work: Work, subject: Begin
    ) -> None:
        started = await asyncio.gather(*(transactions.run(begin, subject, work) for _ in range(8)))
        assert len({each.id for each in started}) == 1
        entries = await rows(database, work.tenant_id, "SELECT user_id FROM messaging.inbox_entry")
        assert {row.user_id for row in entries} == {subject.buyer_id, *subject.staff_ids}

    async def test_has_another_when_the_first_is_closed(
        self, transactions: SqlTransactions, work: Work, subject: Begin, as_person: Callable[[UUID], Work]
    ) -> None:
        first = await transactions.run(begin, subject, work)
        closing = CloseConversation(id=first.id)
        await transactions.run(close_conversation, closing, as_person(subject.staff_ids[0]))
        assert (await transactions.run(begin, subject, work)).id != first.id

    async def test_of_another_tenant_is_another_subject(
        self, transactions: SqlTransactions, work: Work, subject: Begin, make_tenant: Callable[..., UUID]
    ) -> None:
        first = await transactions.run(begin, subject, work)
        elsewhere = replace(work, tenant_id=make_tenant())
        assert (await transactions.run(begin, subject, elsewhere)).id != first.id


class TestAMessage:
    async def test_is_counted_for_everybody_but_its_sender(
        self,
        transactions: SqlTransactions,
        database: Database,
        work: Work,
        subject: Begin,
        as_person: Callable[[UUID], Work],
    ) -> None:
        conversation = await transactions.run(begin, subject, work)
        people = [subject.buyer_id, *subject.staff_ids]
        await asyncio.gather(
            *(
                transactions.run(
                    send_message,
                    SendMessage(conversation_id=conversation.id, client_id=f"c-{number}", body=f"Message {number}"),
                    as_person(who),
                )
                for number in range(5)
                for who in people
            )
        )
        counts = await rows(database, work.tenant_id, "SELECT user_id, unread_count FROM messaging.inbox_entry")
        assert {row.user_id: row.unread_count for row in counts} == dict.fromkeys(people, 10)
        places = await rows(database, work.tenant_id, "SELECT position FROM messaging.message ORDER BY position")
        assert [row.position for row in places] == list(range(1, 16))
        (kept,) = await rows(database, work.tenant_id, "SELECT version, last_position FROM messaging.conversation")
        assert (kept.version, kept.last_position) == (16, 15)

    async def test_is_one_of_twenty_over_two_conversations_at_once(
        self,
        transactions: SqlTransactions,
        database: Database,
        work: Work,
        subject: Begin,
        as_person: Callable[[UUID], Work],
    ) -> None:
        places = [await transactions.run(begin, each, work) for each in (subject, replace(subject, product_id=uuid7()))]
        sent = await asyncio.gather(
            *(
                transactions.run(
                    send_message,
                    SendMessage(conversation_id=place.id, client_id=f"{place.id}-{number}", body=f"Message {number}"),
                    as_person(subject.buyer_id),
                )
                for number in range(15)
                for place in places
            ),
            return_exceptions=True,
        )
        assert [type(each) for each in sent if isinstance(each, Exception)] == [RateLimited] * 10
        (kept,) = await rows(database, work.tenant_id, "SELECT count(*) AS messages FROM messaging.message")
        assert kept.messages == 20


COPY = "INSERT INTO messaging.message SELECT (jsonb_populate_record(m, jsonb_build_object({changed}))).* FROM messaging.message m"
OTHER_ID = "'id', gen_random_uuid()"


class TestTheTables:
    @pytest.mark.parametrize(
        "statement",
        [
            "UPDATE messaging.inbox_entry SET unread_count = -1",
            COPY.format(changed=f"{OTHER_ID}, 'client_id', 'c-2'"),
            COPY.format(changed=f"{OTHER_ID}, 'position', 9"),
        ],
        ids=["unread", "position", "client"],
    )
    async def test_are_the_last_line(
        self,
        transactions: SqlTransactions,
        database: Database,
        work: Work,
        subject: Begin,
        as_person: Callable[[UUID], Work],
        statement: str,
    ) -> None:
        conversation = await transactions.run(begin, subject, work)
        said = SendMessage(conversation_id=conversation.id, client_id="c-1", body="Hello")
        await transactions.run(send_message, said, as_person(subject.buyer_id))
        with pytest.raises(IntegrityError):
            await rows(database, work.tenant_id, statement)
