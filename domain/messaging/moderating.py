"""What keeps conversations civil: blocking each other, reporting, and moderators who decide."""

from dataclasses import dataclass
from typing import Protocol
from uuid import UUID

from domain.kernel import Aggregate, InvalidInput, NotFound, Work
from domain.messaging.conversation import Conversation
from domain.messaging.events import BlockedByParticipant, UnblockedByParticipant
from domain.messaging.message import Message
from domain.messaging.ports import Conversations, existing
from domain.messaging.states import Decision


@dataclass(eq=False, kw_only=True)
class Block(Aggregate):
    """That one person does not want to hear from another, in any conversation."""

    blocker_id: UUID
    blocked_id: UUID

    def impose(self) -> None:
        """Begin."""
        self.record(BlockedByParticipant(blocker_id=self.blocker_id, blocked_id=self.blocked_id))

    def lift(self) -> None:
        """End."""
        self.record(UnblockedByParticipant(blocker_id=self.blocker_id, blocked_id=self.blocked_id))


class Blocks(Protocol):
    """Blocks for change; what the blocked person sends meanwhile waits, so that nothing slips through."""

    async def lock(self, blocker_id: UUID, blocked_id: UUID) -> Block | None: ...

    def add(self, block: Block) -> None: ...

    async def remove(self, block: Block) -> None: ...


class Reports(Protocol):
    """Who has reported which message."""

    async def add(self, message: Message, reporter_id: UUID, reason: str) -> bool:
        """Keep a report; says whether it is the person's first of this message."""
        ...


@dataclass(frozen=True, kw_only=True)
class BlockParticipant:
    """Hear no more from somebody in the same conversation."""

    conversation_id: UUID
    user_id: UUID


@dataclass(frozen=True, kw_only=True)
class UnblockParticipant:
    """Hear from somebody again."""

    conversation_id: UUID
    user_id: UUID


@dataclass(frozen=True, kw_only=True)
class ReportMessage:
    """Have a moderator look at a message."""

    id: UUID
    reason: str


@dataclass(frozen=True, kw_only=True)
class ModerateMessage:
    """Let a message pass, or take it away."""

    id: UUID
    decision: Decision
    reason: str | None = None


async def block_participant(
    command: BlockParticipant, work: Work, conversations: Conversations, blocks: Blocks
) -> Conversation:
    # Whoever writes is locked before the conversation, here as there.
    blocker_id = work.actor.require_user()
    found = await blocks.lock(blocker_id, command.user_id)
    conversation = await _facing(command.conversation_id, blocker_id, command.user_id, conversations)
    if found is None:
        block = Block(tenant_id=work.tenant_id, blocker_id=blocker_id, blocked_id=command.user_id)
        block.impose()
        blocks.add(block)
    return conversation


async def unblock_participant(
    command: UnblockParticipant, work: Work, conversations: Conversations, blocks: Blocks
) -> Conversation:
    blocker_id = work.actor.require_user()
    block = await blocks.lock(blocker_id, command.user_id)
    conversation = await _facing(command.conversation_id, blocker_id, command.user_id, conversations)
    if block is not None:
        block.lift()
        await blocks.remove(block)
    return conversation


async def report_message(command: ReportMessage, work: Work, conversations: Conversations, reports: Reports) -> Message:
    """Report a message that the caller can see; again by the same person, it changes nothing.

    Raises: NotFound, InvalidInput.
    """
    user_id = work.actor.require_user()
    conversation, message = await _found(command.id, conversations)
    if user_id not in conversation.participants or not message.is_seen:
        raise NotFound(kind="Message", id=str(command.id))
    if await reports.add(message, user_id, command.reason):
        conversation.report(message, user_id, command.reason)
    return message


async def moderate_message(command: ModerateMessage, work: Work, conversations: Conversations) -> Message:
    conversation, message = await _found(command.id, conversations)
    was_seen = message.is_seen
    conversation.judge(message, command.decision, command.reason, work.now)
    if message.is_seen and not was_seen:
        await conversations.announce(conversation, message)
    elif was_seen and not message.is_seen:
        await conversations.retract(message)
    return message


async def _found(message_id: UUID, conversations: Conversations) -> tuple[Conversation, Message]:
    found = await conversations.lock_message(message_id)
    if found is None:
        raise NotFound(kind="Message", id=str(message_id))
    return found


async def _facing(conversation_id: UUID, user_id: UUID, other_id: UUID, conversations: Conversations) -> Conversation:
    conversation = await existing(conversation_id, conversations)
    conversation.side_of(user_id)
    if other_id == user_id or other_id not in conversation.participants:
        raise InvalidInput(field="userId", reason="it is nobody else in this conversation")
    return conversation
