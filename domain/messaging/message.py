"""One message: what was said, by whom, and how far it has come."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from domain.kernel import IdempotencyKeyReused, uuid7
from domain.messaging.states import MESSAGE_STATES, MODERATION, UNSEEN, Decision, MessageState, Moderation, Side


@dataclass(frozen=True, kw_only=True)
class SendMessage:
    """Say something in a conversation; the same `client_id` says it only once, however often it is sent."""

    conversation_id: UUID
    client_id: str
    body: str = ""
    attachment_ids: Sequence[UUID] = ()


@dataclass(eq=False, kw_only=True)
class Message:
    """What somebody said in a conversation; `position` is its place there, `attachments` are files as they were sent."""

    id: UUID = field(default_factory=uuid7)
    tenant_id: UUID
    conversation_id: UUID
    sender_id: UUID
    side: Side
    client_id: str
    body: str
    attachments: Sequence[Mapping[str, Any]] = ()
    position: int
    state: MessageState = MessageState.SENT
    moderation: Moderation = Moderation.CLEAR
    sent_at: datetime
    delivered_at: datetime | None = None
    read_at: datetime | None = None

    @property
    def is_seen(self) -> bool:
        """Whether the other side can see it."""
        return self.moderation not in UNSEEN

    def repeated(self, command: SendMessage) -> "Message":
        """Answer somebody who sends this message once more.

        Raises: IdempotencyKeyReused.
        """
        said = (self.conversation_id, self.body, [each["id"] for each in self.attachments])
        if said != (command.conversation_id, command.body, [str(each) for each in command.attachment_ids]):
            raise IdempotencyKeyReused(key=command.client_id)
        return self

    def judge(self, decision: Decision) -> None:
        """Let the message pass, or take it away.

        Raises: InvalidStateTransition.
        """
        if decision is Decision.APPROVE:
            self.moderation = MODERATION.check(self.moderation, Moderation.APPROVED)
        else:
            self.moderation = MODERATION.check(self.moderation, Moderation.BLOCKED)
            self.state = MESSAGE_STATES.check(self.state, MessageState.BLOCKED)
