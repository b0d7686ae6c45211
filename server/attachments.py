"""Files of messages over HTTP: uploaded with a ticket, examined, and given to those who take part."""

import asyncio
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from tempfile import TemporaryFile
from typing import IO, Any
from urllib.parse import quote
from uuid import UUID

from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from domain.kernel import DomainError, NotFound, Principal, Work, uuid7
from domain.messaging import (
    MAX_BYTES,
    MODERATE,
    THUMBNAIL_TYPE,
    UNSEEN,
    Attachment,
    InspectConversations,
    KeepAttachment,
    MessagingReads,
    UploadTicket,
    UploadTickets,
    inspect_conversations,
    keep_attachment,
    waiting_attachment,
)
from domain.objects import ObjectStore, object_key
from server.images import FORMATS, Picture, examine
from server.services import Services
from server.sessions import GraphSession, Sessions
from server.upload_tickets import PATH

FILE_PATH = "/attachments/{id:uuid}"
UPLOAD_SECONDS = 120.0
LEAVING_SECONDS = 5.0
_STATUS = {
    "UNAUTHENTICATED": 401,
    "TICKET_INVALID": 403,
    "TENANT_READ_ONLY": 403,
    "NOT_FOUND": 404,
    "UPLOAD_TOO_SLOW": 408,
    "INVALID_STATE_TRANSITION": 409,
    "FILE_TOO_LARGE": 413,
    "FILE_REFUSED": 415,
}
# A file is never a page of ours: nothing in it may run, whatever a browser takes it for.
_HARMLESS = {
    "x-content-type-options": "nosniff",
    "content-security-policy": "default-src 'none'; sandbox",
    "cross-origin-resource-policy": "same-site",
    "cache-control": "private, max-age=86400",
}


@dataclass(eq=False)
class FileTooLarge(DomainError):
    """More bytes than a file in a message may have."""

    limit: int
    template = "A file has at most {limit} bytes."


@dataclass(eq=False)
class UploadTooSlow(DomainError):
    """The bytes did not come in time."""

    template = "The file did not arrive in time; ask for another upload."


def attachment_routes(sessions: Sessions) -> list[Route]:
    """Make `PUT|POST /attachments?ticket=…` and `GET /attachments/<id>[?size=thumbnail]`."""
    # One picture at a time is unpacked: two of the largest would need more memory than the rest of the process.
    drawing = asyncio.Semaphore(1)

    async def upload(request: Request) -> Response:
        services = _running(sessions)
        try:
            ticket = services.by_port[UploadTickets].read(request.query_params.get("ticket", ""))
            work = _work(ticket)
            await services.transactions.run(waiting_attachment, ticket, work)
            with TemporaryFile() as file:
                await _receive(request, file)
                async with drawing:
                    picture = await asyncio.to_thread(examine, file)
            kept = await services.transactions.run(keep_attachment, _kept(ticket, picture), work)
        except DomainError as refusal:
            await _let_end(request)
            return _refused(refusal)
        return JSONResponse(_told(kept), 201)

    async def download(request: Request) -> Response:
        try:
            session = await sessions(request, None)
            row = await _readable(session, request.path_params["id"])
            small = request.query_params.get("size") == "thumbnail" and row.width is not None
            key = object_key(row.tenant_id, "messaging", row.id)
            pieces = await session.services.by_port[ObjectStore].read(f"{key}.thumbnail" if small else key)
        except DomainError as refusal:
            return _refused(refusal)
        kind = THUMBNAIL_TYPE if small else row.content_type
        shown = "inline" if kind in FORMATS else "attachment"
        disposition = f"{shown}; filename*=UTF-8''{quote(row.name)}"
        return StreamingResponse(pieces, media_type=kind, headers={**_HARMLESS, "content-disposition": disposition})

    return [Route(PATH, upload, methods=["PUT", "POST"]), Route(FILE_PATH, download, methods=["GET"])]


async def _receive(request: Request, file: IO[bytes]) -> None:
    received = 0
    try:
        async with asyncio.timeout(UPLOAD_SECONDS):
            async for chunk in request.stream():
                received += len(chunk)
                if received > MAX_BYTES:
                    raise FileTooLarge(limit=MAX_BYTES)
                await asyncio.to_thread(file.write, chunk)
    except TimeoutError as error:
        raise UploadTooSlow from error


async def _let_end(request: Request) -> None:
    """Drop what is still on its way, in measure: a client that is cut off while it sends never reads why."""
    dropped = 0
    with suppress(TimeoutError, ClientDisconnect, RuntimeError):
        async with asyncio.timeout(LEAVING_SECONDS):
            async for chunk in request.stream():
                dropped += len(chunk)
                if dropped > MAX_BYTES:
                    return


async def _readable(session: GraphSession, attachment_id: UUID) -> Any:
    """Find a file that the caller may have: as its uploader, a participant, or a moderator, which is noted.

    Raises: Unauthenticated, NotFound.
    """
    caller, missing = session.caller, NotFound(kind="Attachment", id=str(attachment_id))
    user_id = caller.require_user()
    tenant_id = session.tenant.id if session.tenant else None
    reads = session.services.database.reads(tenant_id)
    try:
        row = await reads.port(MessagingReads).attachment(attachment_id)
        if row is None or row.content_type is None or tenant_id is None:
            raise missing
        room: Any = (await reads.port(MessagingReads).conversations([row.conversation_id]))[0]
    finally:
        await reads.end()
    takes_part = user_id in (room.buyer_id, *room.staff_ids)
    is_sent = row.moderation is not None and row.moderation not in UNSEEN
    if takes_part and (is_sent or row.uploader_id == user_id):
        return row
    if not caller.may(MODERATE):
        raise missing
    work = Work(tenant_id=tenant_id, actor=caller, now=datetime.now(UTC), correlation_id=str(uuid7()))
    await session.services.transactions.run(inspect_conversations, InspectConversations(ids=[room.id]), work)
    return row


def _running(sessions: Sessions) -> Services:
    if sessions.services is None:
        raise RuntimeError("a request came before the application had started")
    return sessions.services


def _work(ticket: UploadTicket) -> Work:
    actor = Principal(user_id=ticket.user_id, tenant_id=ticket.tenant_id)
    return Work(tenant_id=ticket.tenant_id, actor=actor, now=datetime.now(UTC), correlation_id=str(uuid7()))


def _kept(ticket: UploadTicket, picture: Picture) -> KeepAttachment:
    return KeepAttachment(
        ticket=ticket, examined=picture.examined, content=picture.content, thumbnail=picture.thumbnail
    )


def _told(kept: Attachment) -> dict[str, Any]:
    return {
        "id": str(kept.id),
        "name": kept.name,
        "contentType": kept.content_type,
        "sizeBytes": kept.size_bytes,
        "width": kept.width,
        "height": kept.height,
    }


def _refused(refusal: DomainError) -> Response:
    body = {"code": refusal.code, "message": refusal.message}
    return JSONResponse(body, _STATUS.get(refusal.code, 400), {"connection": "close"})
