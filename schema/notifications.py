"""The notifications subgraph: messages, preferences, templates and broadcasts."""

from datetime import date, datetime
from typing import Any
from uuid import UUID

import strawberry

from domain import notifications as domain
from domain.kernel import AlreadyExists, InvalidStateTransition
from resolvers import notifications as resolvers
from schema.inputs import enum_of
from schema.kernel import (
    AUTHENTICATED,
    PUBLIC,
    Node,
    action,
    bulk,
    command,
    computed,
    connection,
    feed,
    make_subgraph,
    owner_or,
    permission,
    query,
)

READ = permission("notifications.read")
MANAGE = permission("notifications.manage")
BROADCAST = permission("notifications.broadcast")
SELF = owner_or("notifications.read", "id")

for choices in (
    domain.Channel,
    domain.MessageCategory,
    domain.NotificationState,
    domain.HoldReason,
    domain.BroadcastState,
):
    enum_of(choices)


@strawberry.type(description="A message to one person over one channel.")
class Notification(Node):
    __reads__ = (domain.Notification,)

    id: UUID
    channel: domain.Channel
    category: domain.MessageCategory
    template: str | None = strawberry.field(description="Null for a broadcast.")
    subject: str | None = strawberry.field(description="Known when it has been sent.")
    text: str | None = strawberry.field(description="Kept for messages in the application only.")
    link: str | None
    state: domain.NotificationState
    read_at: datetime | None
    sent_at: datetime | None
    delivered_at: datetime | None
    queued_at: datetime


@strawberry.type(description="A line of the log: a message with what became of it.")
class CommunicationLogEntry(Node):
    __reads__ = (domain.Notification,)

    id: UUID
    user_id: UUID | None
    channel: domain.Channel
    category: domain.MessageCategory
    template: str | None
    broadcast_id: UUID | None
    address: str
    locale: str
    subject: str | None
    state: domain.NotificationState
    hold_reason: domain.HoldReason | None
    attempts: int
    due_at: datetime | None = strawberry.field(description="When it is tried next.")
    provider_message_id: str | None
    error: str | None
    queued_at: datetime
    sent_at: datetime | None
    delivered_at: datetime | None


@strawberry.type(description="A message that has just come; `cursor` resumes after it.")
class NotificationReceived:
    __reads__ = (resolvers.Received,)

    cursor: str
    notification: Notification


@strawberry.type(description="What is unread.")
class NotificationInbox:
    __reads__ = (domain.Inbox,)

    unread: int


@strawberry.type(description="Whether one category is wanted on one channel, and since when.")
class CommunicationChoice:
    __reads__ = (domain.Choice,)

    channel: domain.Channel
    category: domain.MessageCategory
    is_opted_in: bool
    opted_in_at: datetime | None
    opted_out_at: datetime | None


@strawberry.type(description="Hours of the day in which nothing but one's own affairs comes.")
class DoNotDisturb:
    begin: str
    end: str
    timezone: str | None = strawberry.field(description="Null for the time zone of the tenant.")


def _quiet(preferences: Any, _context: Any) -> DoNotDisturb | None:
    quiet = preferences.quiet
    return (
        DoNotDisturb(begin=quiet["begin"], end=quiet["end"], timezone=quiet.get("timezone"))
        if quiet.get("begin")
        else None
    )


def _choices(preferences: Any, _context: Any) -> list[Any]:
    kept = preferences.choices
    return domain.all_choices(kept) if isinstance(kept, dict) else list(kept)


@strawberry.type(description="What somebody wants to hear, on which channel, and when not.")
class CommunicationPreferences:
    __reads__ = (domain.CommunicationPreferences, resolvers.PreferencesView)

    choices = computed(_choices, list[CommunicationChoice])
    do_not_disturb = computed(_quiet, DoNotDisturb | None)


@strawberry.federation.type(keys=["id"])
class User:
    id: UUID
    communication_preferences: CommunicationPreferences | None = bulk(
        resolvers.preferences_of_users, key="id", who=SELF
    )


@strawberry.type(description="A browser that takes pushes.")
class PushSubscription(Node):
    __reads__ = (domain.PushSubscription,)

    id: UUID
    last_seen_at: datetime


@strawberry.type(description="That an address gets no more of something.")
class Unsubscription:
    __reads__ = (domain.Unsubscription,)

    channel: domain.Channel
    category: domain.MessageCategory


@strawberry.type(description="An address that is not written to: it left, or its letters came back.")
class UnsubscribeEntry:
    __reads__ = (domain.Suppression,)

    address: str
    channel: domain.Channel
    category: domain.MessageCategory | None = strawberry.field(description="Null for everything.")
    reason: str
    at: datetime


@strawberry.type(description="A text as it was once.")
class MessageTemplateVersion:
    number: int
    subject: str
    text: str
    html: str | None
    written_at: datetime


@strawberry.type(description="A tenant's own text of a kind of message, for one channel in one language.")
class MessageTemplate(Node):
    __reads__ = (domain.MessageTemplate,)

    id: UUID
    version: int
    code: str
    channel: domain.Channel
    locale: str
    subject: str
    text: str
    html: str | None
    variables: list[str]
    changed_at: datetime | None
    versions: list[MessageTemplateVersion] = bulk(resolvers.versions_of_templates, key="id", who=MANAGE)


@strawberry.type(description="A kind of message that there is by itself.")
class MessageKind:
    __reads__ = (domain.Kind,)

    code: str
    category: domain.MessageCategory
    channels: list[domain.Channel]
    variables: list[str]


@strawberry.type(description="What a template becomes.")
class TemplatePreview:
    __reads__ = (domain.Content,)

    subject: str
    text: str
    html: str | None


@strawberry.type(description="What the tenant has settled about its messages.")
class NotificationPolicy:
    __reads__ = (domain.NotificationPolicy,)

    version: int
    push_per_minute_limit: int = strawberry.field(description="What goes beyond it is put together into one.")
    sender_name: str | None
    reply_to: str | None


@strawberry.type(description="What was sent on a day, by channel and kind, and what became of it.")
class CommunicationAnalytics:
    day: date
    channel: domain.Channel
    template: str
    sent: int
    delivered: int
    bounced: int
    failed: int
    unsubscribed: int


@strawberry.type(description="Who belongs to a segment.")
class SegmentCriteria:
    __reads__ = (domain.SegmentCriteria,)

    locales: list[str]
    roles: list[str]
    ordered_within_days: int | None
    no_order_for_days: int | None


def _criteria(segment: Any, _context: Any) -> Any:
    kept = segment.criteria
    return domain.SegmentCriteria(**kept) if isinstance(kept, dict) else kept


@strawberry.type(description="A named part of the audience.")
class Segment(Node):
    __reads__ = (domain.Segment,)

    id: UUID
    version: int
    name: str
    channel: domain.Channel
    criteria = computed(_criteria, SegmentCriteria)
    last_count: int
    refreshed_at: datetime | None


@strawberry.type(description="What a broadcast says in one language.")
class BroadcastMessage:
    locale: str
    subject: str
    text: str
    html: str | None


@strawberry.type(description="Who did what to a broadcast.")
class BroadcastAuditEntry:
    action: str
    actor_id: UUID | None
    at: datetime


@strawberry.type(description="One message to many people.")
class Broadcast(Node):
    __reads__ = (domain.Broadcast,)

    id: UUID
    version: int
    name: str
    channel: domain.Channel
    state: domain.BroadcastState
    scheduled_at: datetime | None
    started_at: datetime | None
    sent_at: datetime | None
    total_recipients: int
    successful_sends: int
    failed_sends: int
    created_by: UUID | None
    messages: list[BroadcastMessage] = bulk(resolvers.texts_of_broadcasts, key="id", who=BROADCAST)
    audit: list[BroadcastAuditEntry] = bulk(resolvers.audit_of_broadcasts, key="id", who=BROADCAST)
    segment: Segment | None = bulk(resolvers.segments_by_id, key="segment_id", who=BROADCAST)


@strawberry.type
class Query:
    my_notifications = query(resolvers.my_notifications, connection(Notification), who=AUTHENTICATED)
    unread_notifications = query(
        resolvers.unread_notifications, int, who=AUTHENTICATED, description="How many of one's own are unread."
    )
    my_preferences = query(resolvers.my_preferences, CommunicationPreferences, who=AUTHENTICATED)
    my_push_subscriptions = query(resolvers.my_push_subscriptions, list[PushSubscription], who=AUTHENTICATED)
    push_public_key = query(
        resolvers.push_public_key, str, who=PUBLIC, description="What browsers subscribe with, in base64url."
    )
    templates = query(resolvers.templates, connection(MessageTemplate), who=MANAGE)
    message_kinds = query(resolvers.message_kinds, list[MessageKind], who=MANAGE)
    preview_template = query(resolvers.preview_template, TemplatePreview, who=MANAGE)
    notification_policy = query(resolvers.notification_policy, NotificationPolicy, who=MANAGE)
    broadcasts = query(resolvers.broadcasts, connection(Broadcast), who=BROADCAST)
    broadcast = query(resolvers.broadcast, Broadcast | None, who=BROADCAST)
    segments = query(resolvers.segments, connection(Segment), who=BROADCAST)
    communication_log = query(resolvers.communication_log, connection(CommunicationLogEntry), who=READ)
    communication_analytics = query(resolvers.communication_analytics, list[CommunicationAnalytics], who=READ)
    unsubscribe_list = query(resolvers.unsubscribe_list, connection(UnsubscribeEntry), who=READ)


MOVING = [InvalidStateTransition]


@strawberry.type
class Mutation:
    send_notification = command(resolvers.send_notification, Notification, who=MANAGE)
    mark_notification_read = command(resolvers.mark_notification_read, NotificationInbox, who=AUTHENTICATED)
    mark_all_read = action(resolvers.mark_all_read, NotificationInbox, who=AUTHENTICATED, result="MarkAllReadResult")
    update_communication_preferences = command(
        resolvers.update_communication_preferences, CommunicationPreferences, who=AUTHENTICATED
    )
    set_do_not_disturb = command(resolvers.set_do_not_disturb, CommunicationPreferences, who=AUTHENTICATED)
    register_push_subscription = command(
        resolvers.register_push_subscription,
        PushSubscription,
        errors=[domain.PushSubscriptionLimitReached],
        who=AUTHENTICATED,
    )
    remove_push_subscription = command(resolvers.remove_push_subscription, PushSubscription, who=AUTHENTICATED)
    unsubscribe = action(resolvers.unsubscribe, Unsubscription, who=PUBLIC, result="UnsubscribeResult")
    upsert_template = command(resolvers.upsert_template, MessageTemplate, errors=[domain.InvalidTemplate], who=MANAGE)
    update_notification_policy = command(resolvers.update_notification_policy, NotificationPolicy, who=MANAGE)
    record_bounce = command(resolvers.record_bounce, CommunicationLogEntry, errors=MOVING, who=MANAGE)
    lift_suppression = command(resolvers.lift_suppression, UnsubscribeEntry, who=MANAGE)
    create_segment = command(resolvers.create_segment, Segment, errors=[AlreadyExists], who=BROADCAST)
    create_broadcast = command(resolvers.create_broadcast, Broadcast, errors=[domain.InvalidTemplate], who=BROADCAST)
    schedule_broadcast = command(resolvers.schedule_broadcast, Broadcast, errors=MOVING, who=BROADCAST)
    send_broadcast = command(resolvers.send_broadcast, Broadcast, errors=MOVING, who=BROADCAST)
    cancel_broadcast = command(resolvers.cancel_broadcast, Broadcast, errors=MOVING, who=BROADCAST)


@strawberry.type
class Subscription:
    notification_received = feed(resolvers.notification_received, NotificationReceived, who=AUTHENTICATED)


subgraph = make_subgraph(query=Query, mutation=Mutation, subscription=Subscription, types=[User])
