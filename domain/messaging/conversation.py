"""A conversation of a buyer with a store, a seller or the support: who takes part, and what can be done in it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from domain.kernel import Aggregate, DomainError, InvalidInput, NotFound
from domain.messaging.correspondent import Correspondent
from domain.messaging.events import (
    ConversationArchived,
    ConversationEnded,
    ConversationInspected,
    ConversationStarted,
    MessageApproved,
    MessageBlocked,
    MessageDelivered,
    MessageHeld,
    MessageRead,
    MessageReported,
    MessageSent,
)
from domain.messaging.message import Message, SendMessage
from domain.messaging.states import (
    CONVERSATION_STATES,
    MODERATION,
    ConversationState,
    ConversationType,
    Decision,
    MessageState,
    Moderation,
    Side,
)
from domain.messaging.texts import MAX_BODY, MAX_REASON, check_client_id, check_text, has_link

MAX_ATTACHMENTS = 5


@dataclass(eq=False)
class ConversationClosed(DomainError):
    """What is over takes no more messages."""

    conversation_id: str
    template = "Conversation {conversation_id} is closed."


@dataclass(eq=False)
class ParticipantBlocked(DomainError):
    """The other side does not want to hear from the caller."""

    conversation_id: str
    template = "You can no longer write in conversation {conversation_id}."


@dataclass(eq=False, kw_only=True)
class Conversation(Aggregate):
    """A conversation about an order or a product, or with the support; `last_position` is that of its latest message."""

    type: ConversationType
    buyer_id: UUID
    seller_id: UUID | None = None
    store_id: UUID | None = None
    order_id: UUID | None = None
    product_id: UUID | None = None
    staff_ids: list[UUID] = field(default_factory=list)
    state: ConversationState = ConversationState.OPEN
    last_position: int = 0
    last_message_id: UUID | None = None
    last_message_at: datetime
    started_at: datetime

    @property
    def participants(self) -> list[UUID]:
        return [self.buyer_id, *self.staff_ids]

    def side_of(self, user_id: UUID | None) -> Side:
        """Say on which side somebody takes part; for others the conversation does not exist.

        Raises: NotFound.
        """
        if user_id == self.buyer_id:
            return Side.BUYER
        if user_id in self.staff_ids:
            return Side.STAFF
        raise NotFound(kind="Conversation", id=str(self.id))

    def start(self) -> None:
        """Begin."""
        self.record(
            ConversationStarted(
                type=self.type,
                buyer_id=self.buyer_id,
                staff_ids=tuple(self.staff_ids),
                store_id=self.store_id,
                order_id=self.order_id,
                product_id=self.product_id,
            )
        )

    def send(
        self, command: SendMessage, sender: Correspondent, attachments: Sequence[Mapping[str, Any]], now: datetime
    ) -> Message:
        """Say something; what looks like spam is held for a moderator.

        Raises: NotFound, ConversationClosed, InvalidInput, RateLimited.
        """
        side = self.side_of(sender.user_id)
        if self.state is ConversationState.CLOSED:
            raise ConversationClosed(conversation_id=str(self.id))
        check_client_id(command.client_id)
        check_text("body", command.body, MAX_BODY, required=not attachments)
        repeats = sender.admit(command.body, now)
        self.last_position += 1
        message = Message(
            tenant_id=self.tenant_id,
            conversation_id=self.id,
            sender_id=sender.user_id,
            side=side,
            client_id=command.client_id,
            body=command.body,
            attachments=list(attachments),
            position=self.last_position,
            sent_at=now,
        )
        if repeats or has_link(command.body):
            message.moderation = MODERATION.check(message.moderation, Moderation.HELD)
            reason = "repeated" if repeats else "link"
            self.record(MessageHeld(message_id=message.id, sender_id=sender.user_id, reason=reason))
        else:
            self._deliver(message)
        return message

    def mark(self, message: Message, state: MessageState, user_id: UUID, now: datetime) -> None:
        """Note that somebody got, or read, what was said up to a message."""
        fact = MessageRead if state is MessageState.READ else MessageDelivered
        self.record(
            fact(
                conversation_id=self.id,
                message_id=message.id,
                position=message.position,
                user_id=user_id,
                side=self.side_of(user_id),
                at=now,
            )
        )

    def archive(self, user_id: UUID) -> None:
        """Put the conversation away until somebody writes again.

        Raises: NotFound, InvalidStateTransition.
        """
        self.side_of(user_id)
        self.state = CONVERSATION_STATES.check(self.state, ConversationState.ARCHIVED)
        self.record(ConversationArchived(archived_by=user_id))

    def close(self, user_id: UUID, *, as_moderator: bool) -> None:
        """End the conversation for good, for the store or as a moderator.

        Raises: NotFound, InvalidStateTransition.
        """
        if not as_moderator and self.side_of(user_id) is Side.BUYER:
            raise InvalidInput(field="id", reason="a buyer archives a conversation; the store closes it")
        self.state = CONVERSATION_STATES.check(self.state, ConversationState.CLOSED)
        self.record(ConversationEnded(closed_by=user_id))

    def report(self, message: Message, user_id: UUID, reason: str) -> None:
        """Have a moderator look at what the other side wrote; what was looked at already is left alone.

        Raises: NotFound, InvalidInput.
        """
        self.side_of(user_id)
        check_text("reason", reason, MAX_REASON)
        if message.sender_id == user_id:
            raise InvalidInput(field="id", reason="it is your own message")
        if message.moderation is Moderation.CLEAR:
            message.moderation = MODERATION.check(message.moderation, Moderation.REPORTED)
        self.record(
            MessageReported(message_id=message.id, sender_id=message.sender_id, reporter_id=user_id, reason=reason)
        )

    def judge(self, message: Message, decision: Decision, reason: str | None, now: datetime) -> None:
        """Decide about a message; one that was held goes out when it is approved, as the latest of all.

        Raises: InvalidStateTransition, InvalidInput.
        """
        check_text("reason", reason or "", MAX_REASON, required=False)
        was_held = message.moderation is Moderation.HELD
        message.judge(decision)
        fact = MessageApproved if decision is Decision.APPROVE else MessageBlocked
        if was_held and decision is Decision.APPROVE:
            self.last_position += 1
            message.position, message.sent_at = self.last_position, now
            self._deliver(message)
        self.record(
            fact(
                conversation_id=self.id,
                message_id=message.id,
                position=message.position,
                sender_id=message.sender_id,
                decision=decision,
                reason=reason,
                at=now,
            )
        )

    def inspect(self, moderator_id: UUID) -> None:
        """Note that a moderator reads what is not said to him."""
        self.record(ConversationInspected(moderator_id=moderator_id))

    def _deliver(self, message: Message) -> None:
        if self.state is ConversationState.ARCHIVED:
            self.state = CONVERSATION_STATES.check(self.state, ConversationState.OPEN)
        self.last_message_id, self.last_message_at = message.id, message.sent_at
        self.record(
            MessageSent(
                message_id=message.id,
                conversation_id=self.id,
                sender_id=message.sender_id,
                recipients=tuple(each for each in self.participants if each != message.sender_id),
                side=message.side,
                client_id=message.client_id,
                body=message.body,
                attachments=tuple(message.attachments),
                position=message.position,
                moderation=message.moderation,
                sent_at=message.sent_at,
            )
        )
