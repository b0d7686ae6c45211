"""Files in messages: asked for, uploaded, sent with a message; what is not sent in time is thrown away."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Protocol
from uuid import UUID

from domain.jobs import JobQueue, Jobs
from domain.kernel import Aggregate, DomainError, InvalidStateTransition, NotFound, Transitions, Work
from domain.messaging.events import AttachmentExpired, AttachmentRequested, AttachmentUploaded
from domain.messaging.message import SendMessage
from domain.messaging.ports import Conversations, existing
from domain.messaging.texts import file_name
from domain.objects import ObjectStore, object_key

jobs = Jobs()

EXPIRY = "messaging.expire_attachment"
UNUSED_KEPT = timedelta(hours=24)
TICKET_LIFETIME = timedelta(minutes=15)
MAX_UNUSED = 20
MAX_BYTES = 10 * 1024**2
THUMBNAIL_TYPE = "image/webp"


class AttachmentState(StrEnum):
    """Whether a file has come yet."""

    REQUESTED = "requested"
    UPLOADED = "uploaded"


ATTACHMENT_STATES = Transitions(
    "Attachment",
    AttachmentState.REQUESTED,
    {AttachmentState.REQUESTED: {AttachmentState.UPLOADED}, AttachmentState.UPLOADED: set()},
)


@dataclass(eq=False)
class TooManyUploads(DomainError):
    """Somebody has uploaded more than a person would send."""

    limit: int
    template = "You have {limit} files that were not sent yet; send them first."


@dataclass(frozen=True, kw_only=True)
class Examined:
    """A file whose content is what it says: type, size in bytes, and for images their size in pixels."""

    content_type: str
    size_bytes: int
    width: int | None = None
    height: int | None = None


@dataclass(eq=False, kw_only=True)
class Attachment(Aggregate):
    """A file that somebody wants to send in a conversation."""

    conversation_id: UUID
    uploader_id: UUID
    name: str
    state: AttachmentState = AttachmentState.REQUESTED
    content_type: str | None = None
    size_bytes: int | None = None
    width: int | None = None
    height: int | None = None
    message_id: UUID | None = None
    requested_at: datetime

    @property
    def key(self) -> str:
        """Where its content lies."""
        return object_key(self.tenant_id, "messaging", self.id)

    @property
    def thumbnail_key(self) -> str:
        """Where its small picture lies, if it is one."""
        return f"{self.key}.thumbnail"

    def request(self) -> None:
        """Ask for the upload."""
        self.name = file_name(self.name)
        self.record(AttachmentRequested(conversation_id=self.conversation_id, uploader_id=self.uploader_id))

    def keep(self, examined: Examined) -> None:
        """Take what was uploaded, once.

        Raises: InvalidStateTransition.
        """
        self.state = ATTACHMENT_STATES.check(self.state, AttachmentState.UPLOADED)
        self.content_type, self.size_bytes = examined.content_type, examined.size_bytes
        self.width, self.height = examined.width, examined.height
        self.record(
            AttachmentUploaded(
                conversation_id=self.conversation_id,
                content_type=examined.content_type,
                size_bytes=examined.size_bytes,
            )
        )

    def can_be_sent_by(self, sender_id: UUID, conversation_id: UUID) -> bool:
        """Say whether somebody may put it into a message of a conversation."""
        return (
            self.state is AttachmentState.UPLOADED
            and self.message_id is None
            and (self.uploader_id, self.conversation_id) == (sender_id, conversation_id)
        )

    def as_sent(self) -> dict[str, Any]:
        """Give what a message says of it."""
        return {
            "id": str(self.id),
            "name": self.name,
            "content_type": self.content_type,
            "size_bytes": self.size_bytes,
            "width": self.width,
            "height": self.height,
        }


class Attachments(Protocol):
    """Attachments for change, locked until the transaction ends."""

    def add(self, attachment: Attachment) -> None: ...

    async def lock(self, ids: Sequence[UUID]) -> Sequence[Attachment]: ...

    async def unused(self, uploader_id: UUID) -> int: ...

    async def remove(self, attachment: Attachment) -> None: ...


@dataclass(frozen=True, kw_only=True)
class UploadTicket:
    """The right to upload one file, once."""

    tenant_id: UUID
    attachment_id: UUID
    user_id: UUID


class UploadTickets(Protocol):
    """Writes the right to upload as a text that nobody else can write."""

    def issue(self, ticket: UploadTicket) -> str:
        """Give where to upload to."""
        ...


@dataclass(frozen=True, kw_only=True)
class RequestAttachmentUpload:
    """Ask to upload a file for a conversation."""

    conversation_id: UUID
    name: str


@dataclass(frozen=True, kw_only=True)
class AttachmentUpload:
    """Where to send the bytes of a file to, as the body of one request, and until when."""

    attachment_id: UUID
    url: str
    method: str = "POST"
    max_bytes: int = MAX_BYTES
    expires_at: datetime


@dataclass(frozen=True, kw_only=True)
class KeepAttachment:
    """Take a file that was uploaded and examined, and its small picture if it is one."""

    ticket: UploadTicket
    examined: Examined
    content: bytes = field(repr=False)
    thumbnail: bytes | None = field(default=None, repr=False)


def files_of(command: SendMessage, sender_id: UUID, found: Sequence[Attachment]) -> list[Mapping[str, Any]]:
    """Give what a message says of its files, in the order in which they were named.

    Raises: NotFound.
    """
    known = {each.id: each for each in found if each.can_be_sent_by(sender_id, command.conversation_id)}
    for attachment_id in command.attachment_ids:
        if attachment_id not in known:
            raise NotFound(kind="Attachment", id=str(attachment_id))
    return [known[attachment_id].as_sent() for attachment_id in dict.fromkeys(command.attachment_ids)]


async def request_attachment_upload(
    command: RequestAttachmentUpload,
    work: Work,
    conversations: Conversations,
    attachments: Attachments,
    tickets: UploadTickets,
    queue: JobQueue,
) -> AttachmentUpload:
    """Give a participant the right to upload a file; it is thrown away when it is not sent within a day.

    Raises: NotFound, TooManyUploads, InvalidInput.
    """
    user_id = work.actor.require_user()
    conversation = await existing(command.conversation_id, conversations)
    conversation.side_of(user_id)
    if await attachments.unused(user_id) >= MAX_UNUSED:
        raise TooManyUploads(limit=MAX_UNUSED)
    attachment = Attachment(
        tenant_id=work.tenant_id,
        conversation_id=conversation.id,
        uploader_id=user_id,
        name=command.name,
        requested_at=work.now,
    )
    attachment.request()
    attachments.add(attachment)
    named = {"attachment_id": str(attachment.id)}
    await queue.defer(EXPIRY, named, at=work.now + UNUSED_KEPT, key=str(attachment.id))
    ticket = UploadTicket(tenant_id=work.tenant_id, attachment_id=attachment.id, user_id=user_id)
    return AttachmentUpload(
        attachment_id=attachment.id, url=tickets.issue(ticket), expires_at=work.now + TICKET_LIFETIME
    )


async def keep_attachment(command: KeepAttachment, attachments: Attachments, objects: ObjectStore) -> Attachment:
    """Take what was uploaded with a ticket; of two uploads at once the second finds the first.

    Raises: NotFound, InvalidStateTransition.
    """
    attachment = await waiting_attachment(command.ticket, attachments)
    attachment.keep(command.examined)
    await objects.put(attachment.key, command.content, content_type=command.examined.content_type)
    if command.thumbnail is not None:
        await objects.put(attachment.thumbnail_key, command.thumbnail, content_type=THUMBNAIL_TYPE)
    return attachment


async def waiting_attachment(ticket: UploadTicket, attachments: Attachments) -> Attachment:
    """Find what a ticket is for, if its file has not come yet.

    Raises: NotFound, InvalidStateTransition.
    """
    found = await attachments.lock([ticket.attachment_id])
    if not found or found[0].uploader_id != ticket.user_id:
        raise NotFound(kind="Attachment", id=str(ticket.attachment_id))
    if found[0].state is not AttachmentState.REQUESTED:
        raise InvalidStateTransition(kind="Attachment", current=found[0].state, requested=AttachmentState.UPLOADED)
    return found[0]


@jobs.on(EXPIRY)
async def expire_attachment(payload: Mapping[str, Any], attachments: Attachments, objects: ObjectStore) -> None:
    """Throw away a file that was not sent."""
    found = await attachments.lock([UUID(payload["attachment_id"])])
    if not found or found[0].message_id is not None:
        return
    attachment = found[0]
    await objects.delete([attachment.key, attachment.thumbnail_key])
    attachment.record(AttachmentExpired(conversation_id=attachment.conversation_id))
    await attachments.remove(attachment)
