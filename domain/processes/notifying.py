"""Telling people what happened: which events are news, for whom, and what the message may say.

An event of a context that is not there yet does not come; one that does not say whom it concerns is no news to anybody.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from uuid import UUID

from domain.catalog import Products
from domain.identity.contacts import Contacts
from domain.kernel import Envelope, NotFound, Subscriptions, Work, uuid7
from domain.notifications import (
    KINDS,
    Addressee,
    Notification,
    Notifications,
    Preferences,
    SendNotification,
    queue_messages,
)
from domain.processes.addressing import addressees, guest
from domain.tenancy import Tenants

NEWS_FOR = timedelta(days=3)
"""What happened longer ago is no news any more, as when history is taken over."""

LONGEST_PREVIEW = 140
SUBJECT = "subject_id"
"""Under this name the id of what an event is about stands beside what the event says."""

STORE_KEEPERS = ("store_manager", "seller", "warehouse_operator")

subscriptions = Subscriptions("notifications")


Data = Mapping[str, Any]


@dataclass(frozen=True)
class News:
    """That an event is told in a kind of message: to whom (ids of users, some of which may be missing), and what about it."""

    code: str
    people: Callable[[Data], Iterable[Any]]
    about: Callable[[Data], Data] = field(default=lambda _: {})


def _named(*names: str) -> Callable[[Data], Iterable[Any]]:
    return lambda data: [data.get(name) for name in names]


def _listed(*names: str) -> Callable[[Data], Iterable[Any]]:
    return lambda data: [each for name in names for each in data.get(name) or ()]


def _text(data: Data, name: str) -> str:
    return str(data.get(name) or "")


def _day(data: Data, name: str) -> str:
    return _text(data, name)[: len("2026-03-14")]


def _order(data: Data) -> Data:
    return {"order_id": _text(data, "order_id"), "number": _text(data, "number")}


def _amount(data: Data) -> Data:
    return {"amount_minor": int(data.get("amount_minor", 0)), "currency": data.get("currency", "")}


def _delivery(data: Data) -> Data:
    return {"delivery_id": _text(data, SUBJECT), "reason": _text(data, "reason").replace("_", " ")}


def _readers(data: Data) -> Iterable[Any]:
    return [each for each in data.get("recipients") or () if each != data.get("sender_id")]


_customer = _named("customer_id")
_user = _named("user_id")

NEWS: Mapping[str, tuple[News, ...]] = {
    "user.registered": (News("welcome", _user),),
    "identity.registration_repeated": (News("registration_repeated", _user),),
    "identity.password_changed": (News("password_changed", _user),),
    "identity.new_device_seen": (News("new_device", _user),),
    "identity.two_factor_enabled": (News("two_factor_enabled", _user),),
    "identity.two_factor_disabled": (News("two_factor_disabled", _user),),
    "identity.passkey_added": (News("passkey_added", _user),),
    "identity.recovery_code_used": (
        News("recovery_code_used", _user, lambda data: {"left": int(data.get("left", 0))}),
    ),
    "identity.data_export_ready": (News("data_export_ready", _user, lambda data: {"until": _day(data, "expires_at")}),),
    "identity.erasure_requested": (News("erasure_requested", _user, lambda data: {"due": _day(data, "due_at")}),),
    "identity.impersonation_begun": (News("impersonated", _user, lambda data: {"reason": _text(data, "reason")}),),
    "order.paid": (
        News("order_paid", _user, lambda data: {**_order(data), "total": _amount(data)}),
        News("sale_paid", _listed("seller_ids"), _order),
    ),
    "order.shipped": (
        News(
            "order_shipped", _customer, lambda data: {**_order(data), "tracking_number": _text(data, "tracking_number")}
        ),
    ),
    "order.cancelled": (News("order_cancelled", _customer, _order),),
    "order.refunded": (News("order_refunded", _customer, lambda data: {**_order(data), "total": _amount(data)}),),
    "order.delivered": (News("review_invitation", _customer, _order),),
    "payment.failed": (News("payment_failed", _user, lambda data: {**_order(data), "reason": _text(data, "reason")}),),
    "cart.abandoned": (
        News(
            "abandoned_cart",
            _customer,
            lambda data: {
                "units": int(data.get("units", 0)),
                "subtotal": {"amount_minor": int(data.get("subtotal_minor", 0)), "currency": data.get("currency", "")},
            },
        ),
    ),
    "delivery.arriving": (News("delivery_arriving", _customer, _delivery),),
    "delivery.delivered": (News("delivery_completed", _customer, _delivery),),
    "delivery.failed": (News("delivery_failed", _customer, _delivery),),
    "message.sent": (
        News(
            "new_message",
            _readers,
            lambda data: {
                "conversation_id": _text(data, "conversation_id"),
                "preview": _text(data, "body")[:LONGEST_PREVIEW],
            },
        ),
    ),
    "live.started": (
        News(
            "live_started",
            _listed("follower_ids"),
            lambda data: {"session_id": _text(data, "session_id"), "title": _text(data, "title")},
        ),
    ),
    "video.processed": (
        News(
            "video_processed",
            _named("owner_id", "seller_id"),
            lambda data: {"video_id": _text(data, "video_id"), "title": _text(data, "title")},
        ),
    ),
}


@subscriptions.on(*NEWS)
async def tell_people(
    envelope: Envelope,
    work: Work,
    contacts: Contacts,
    tenants: Tenants,
    notifications: Notifications,
    preferences: Preferences,
) -> None:
    """Tell those whom an event concerns."""
    if not is_news(envelope, work):
        return
    data = {**envelope.data, SUBJECT: str(envelope.aggregate_id)}
    for news in NEWS[envelope.name]:
        people = await addressees(ids_of(news.people(data)), work, contacts, tenants)
        await _tell(news.code, envelope, people, news.about(data), work, notifications, preferences)


@subscriptions.on("order.created")
async def confirm_order(
    envelope: Envelope,
    work: Work,
    contacts: Contacts,
    tenants: Tenants,
    notifications: Notifications,
    preferences: Preferences,
) -> None:
    """Confirm an order to whoever placed it; a guest is written to as well."""
    if not is_news(envelope, work):
        return
    draft = envelope.data["draft"]
    people = await addressees(ids_of([envelope.data.get("customer_id")]), work, contacts, tenants)
    if not people and draft.get("guest_email"):
        people = [await guest(draft["guest_email"], work, tenants)]
    about = {**_order(envelope.data), "total": draft["total"]}
    await _tell("order_confirmation", envelope, people, about, work, notifications, preferences)


@subscriptions.on("review.created")
async def tell_seller(
    envelope: Envelope,
    work: Work,
    contacts: Contacts,
    tenants: Tenants,
    products: Products,
    notifications: Notifications,
    preferences: Preferences,
) -> None:
    """Tell a seller of a review that the public sees."""
    data = envelope.data
    if not is_news(envelope, work) or data.get("state") != "published":
        return
    product = await products.get(UUID(str(data["product_id"])))
    if product is None:
        return
    people = await addressees(ids_of([product.seller_id]), work, contacts, tenants)
    about = {"product_id": str(product.id), "product": product.name, "rating": int(data["rating"])}
    await _tell("review_received", envelope, people, about, work, notifications, preferences)


@subscriptions.on("inventory.low_stock")
async def warn_store(
    envelope: Envelope,
    work: Work,
    contacts: Contacts,
    tenants: Tenants,
    notifications: Notifications,
    preferences: Preferences,
) -> None:
    """Warn those who look after the shelves of a store."""
    if not is_news(envelope, work):
        return
    data = envelope.data
    keepers = await contacts.working_at(UUID(str(data["store_id"])), STORE_KEEPERS)
    people = await addressees(keepers, work, contacts, tenants)
    about = {"sku": _text(data, "sku"), "available": int(data["available"])}
    await _tell("low_stock", envelope, people, about, work, notifications, preferences)


def is_news(envelope: Envelope, work: Work) -> bool:
    return work.now - envelope.occurred_at < NEWS_FOR


def ids_of(values: Iterable[Any]) -> list[UUID]:
    """Give the ids among what an event says."""
    return sorted({UUID(str(each)) for each in values if each})


async def _tell(
    code: str,
    envelope: Envelope,
    people: Sequence[Addressee],
    about: Data,
    work: Work,
    notifications: Notifications,
    preferences: Preferences,
) -> None:
    occasion = str(envelope.event_id)
    await queue_messages(KINDS[code], occasion, people, about, work, notifications, preferences)


async def send_notification(
    command: SendNotification,
    work: Work,
    contacts: Contacts,
    tenants: Tenants,
    notifications: Notifications,
    preferences: Preferences,
) -> Notification:
    """Send a message to a user, and give the first that was queued.

    Raises: NotFound where the user cannot be reached, or wants none of it; InvalidInput.
    """
    people = await addressees([command.user_id], work, contacts, tenants)
    kind, occasion = command.kind(), f"send {uuid7()}"
    queued = await queue_messages(kind, occasion, people, command.data, work, notifications, preferences)
    if not queued:
        raise NotFound(kind="Recipient", id=str(command.user_id))
    return queued[0]
