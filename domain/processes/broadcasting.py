"""Broadcasts on their way: who belongs to the audience, and the portions in which a message reaches it."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from domain.identity.contacts import Contacts
from domain.jobs import JobQueue, Jobs
from domain.kernel import Envelope, Subscriptions, Work
from domain.notifications import (
    SEND,
    Audience,
    Broadcasts,
    BroadcastState,
    Kind,
    MessageCategory,
    Notification,
    Notifications,
    Recipient,
    Recipients,
    SegmentCriteria,
    Segments,
    message_to,
)
from domain.processes.addressing import addressees
from domain.tenancy import Tenants

PORTION = 200

subscriptions = Subscriptions("notifications")
jobs = Jobs()


@jobs.on(SEND)
async def send_portion(
    payload: Mapping[str, Any],
    work: Work,
    broadcasts: Broadcasts,
    segments: Segments,
    audience: Audience,
    contacts: Contacts,
    tenants: Tenants,
    notifications: Notifications,
    queue: JobQueue,
) -> None:
    """Queue the next portion of a broadcast, and go on afterwards; a portion and the note of it are one transaction."""
    broadcast = await broadcasts.lock(UUID(payload["id"]))
    if broadcast is None or broadcast.is_queued:
        return
    if broadcast.state is BroadcastState.SCHEDULED:
        broadcast.start(work.now)
    if broadcast.state is not BroadcastState.SENDING:
        return
    segment = await segments.get(broadcast.segment_id) if broadcast.segment_id else None
    bounds = (segment.criteria if segment else SegmentCriteria()).bounds(broadcast.started_at or work.now)
    portion = await audience.portion(bounds, broadcast.channel, broadcast.reached, PORTION)
    kind = Kind(code="broadcast", category=MessageCategory.PROMOTIONAL, channels=(broadcast.channel,), example={})
    people = await addressees(portion, work, contacts, tenants)
    messages = [
        _of(broadcast.id, message_to(each, broadcast.channel, kind, f"broadcast:{broadcast.id}", {}, work))
        for each in people
        if broadcast.channel in each.reachable
    ]
    queued = await notifications.queue(messages)
    last = len(portion) < PORTION
    broadcast.reach(portion, queued, work.now, last=last)
    if not last:
        await queue.defer(SEND, payload, at=work.now, key=f"{broadcast.id} {broadcast.reached}")


def _of(broadcast_id: UUID, message: Notification) -> Notification:
    message.broadcast_id, message.template = broadcast_id, None
    return message


@subscriptions.on("user.registered")
async def meet_user(envelope: Envelope, work: Work, recipients: Recipients) -> None:
    recipient = await _recipient(envelope.data["user_id"], work, recipients)
    recipient.locale = envelope.data.get("locale")
    recipient.hold("buyer")


@subscriptions.on("identity.profile_updated")
async def note_language(envelope: Envelope, work: Work, recipients: Recipients, contacts: Contacts) -> None:
    """Look the language up where the profile changed: events never say what people tell about themselves."""
    user_id = UUID(str(envelope.data["user_id"]))
    known = (await contacts.of([user_id])).get(user_id)
    if known is not None and "locale" in envelope.data["fields"]:
        (await _recipient(user_id, work, recipients)).locale = known.locale


@subscriptions.on("identity.role_assigned", "identity.role_revoked")
async def note_role(envelope: Envelope, work: Work, recipients: Recipients) -> None:
    recipient = await _recipient(envelope.data["user_id"], work, recipients)
    role = str(envelope.data["role"])
    if envelope.name == "identity.role_assigned":
        recipient.hold(role)
    else:
        recipient.lose(role)


@subscriptions.on("identity.user_deactivated")
async def part_with_user(envelope: Envelope, work: Work, recipients: Recipients) -> None:
    (await _recipient(envelope.data["user_id"], work, recipients)).is_active = False


@subscriptions.on("order.created")
async def note_order(envelope: Envelope, work: Work, recipients: Recipients) -> None:
    """Remember when somebody ordered last."""
    customer = envelope.data.get("customer_id")
    if customer is not None:
        (await _recipient(customer, work, recipients)).order(envelope.occurred_at)


async def _recipient(user_id: Any, work: Work, recipients: Recipients) -> Recipient:
    return await recipients.lock_or_create(Recipient(tenant_id=work.tenant_id, user_id=UUID(str(user_id))))
