"""Writing in the chat of a live session, under the name that identity knows somebody by."""

from dataclasses import dataclass
from uuid import UUID

from domain.identity.users import Users
from domain.kernel import NotFound, Work
from domain.live.chat import LiveChat, LiveChatMessage


@dataclass(frozen=True, kw_only=True)
class SendLiveChat:
    """Say something to everybody who watches a session: one line of text."""

    session_id: UUID
    body: str


async def send_live_chat(command: SendLiveChat, work: Work, chat: LiveChat, users: Users) -> LiveChatMessage:
    """Write a line, in three statements; the first one also asks identity for the writer's name.

    Raises: NotFound, InvalidInput, InvalidStateTransition, ViewerBanned, TooManyMessages.
    """
    chatter = await chat.enter(command.session_id, work.actor.require_user())
    if chatter is None:
        raise NotFound(kind="LiveSession", id=str(command.session_id))
    name = chatter.name or (await users.get(chatter.user_id)).display_name
    message = LiveChatMessage.of(chatter, name, command.body, work)
    await chat.post(message, chatter, work)
    return message
