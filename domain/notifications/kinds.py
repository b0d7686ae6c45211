"""The kinds of messages that there are by themselves: what each is for, where it goes, and what its texts may speak of."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from domain.notifications.channels import Channel, MessageCategory

EVERYWHERE: Mapping[str, Any] = {"name": "Ann", "shop": "Harbour"}
"""Every text may speak of the recipient and of the shop."""

_AMOUNT = {"amount_minor": 4599, "currency": "CAD"}
_MAIL, _APP, _PUSH, _SMS = Channel.EMAIL, Channel.IN_APP, Channel.PUSH, Channel.SMS


@dataclass(frozen=True, kw_only=True)
class Kind:
    """A kind of message; `example` has every variable of its texts with a value that a preview shows.

    What is `sealed` stays so until the message is handed over, and is nowhere else to be read.
    """

    code: str
    category: MessageCategory
    channels: tuple[Channel, ...]
    link: str = ""
    example: Mapping[str, Any]
    sealed: tuple[str, ...] = ()

    @property
    def variables(self) -> tuple[str, ...]:
        return tuple(sorted({*EVERYWHERE, *self.example}))


def _kind(
    code: str,
    category: MessageCategory,
    /,
    *channels: Channel,
    link: str = "",
    sealed: tuple[str, ...] = (),
    **example: Any,
) -> Kind:
    return Kind(code=code, category=category, channels=channels, link=link, example=example, sealed=sealed)


def place_of(tenant_id: UUID, code: str) -> str:
    """Say where the sealed parts of a kind of message belong."""
    return f"{tenant_id}/notifications/{code}"


_OWN, _ALERT, _SALE = MessageCategory.TRANSACTIONAL, MessageCategory.ALERTS, MessageCategory.PROMOTIONAL

KINDS: Mapping[str, Kind] = {
    each.code: each
    for each in (
        _kind("welcome", _OWN, _MAIL, _APP),
        _kind("registration_repeated", _OWN, _MAIL),
        _kind("password_changed", _OWN, _MAIL, _APP),
        _kind("one_time_code", _OWN, _MAIL, _SMS, sealed=("code",), code="427193", minutes=10),
        _kind(
            "password_reset", _OWN, _MAIL, link="/reset-password?token={token}", sealed=("token",),
            token="kX3v", minutes=60,  # noqa: S106 — an example of a token.
        ),
        _kind("new_device", _OWN, _MAIL, _APP, link="/account/sessions"),
        _kind("two_factor_enabled", _OWN, _MAIL, _APP),
        _kind("two_factor_disabled", _OWN, _MAIL, _APP),
        _kind("passkey_added", _OWN, _MAIL, _APP),
        _kind("recovery_code_used", _OWN, _MAIL, _APP, left=9),
        _kind("data_export_ready", _OWN, _MAIL, _APP, until="2026-03-21"),
        _kind("erasure_requested", _OWN, _MAIL, _APP, due="2026-03-28"),
        _kind("impersonated", _OWN, _MAIL, _APP, reason="a question about an order"),
        _kind(
            "order_confirmation", _OWN, _MAIL, _APP, link="/orders/{order_id}",
            number="ORD-20260314-004711", total=_AMOUNT,
        ),
        _kind("order_paid", _OWN, _MAIL, _APP, link="/orders/{order_id}", total=_AMOUNT),
        _kind("sale_paid", _ALERT, _APP, _PUSH, link="/orders/{order_id}"),
        _kind(
            "order_shipped", _OWN, _MAIL, _APP, _PUSH, link="/orders/{order_id}",
            number="ORD-20260314-004711", tracking_number="1Z999AA10123456784",
        ),
        _kind("order_cancelled", _OWN, _MAIL, _APP, link="/orders/{order_id}", number="ORD-20260314-004711"),
        _kind("order_refunded", _OWN, _MAIL, _APP, link="/orders/{order_id}", number="ORD-20260314-004711", total=_AMOUNT),
        _kind("review_invitation", _ALERT, _MAIL, _APP, link="/orders/{order_id}", number="ORD-20260314-004711"),
        _kind("payment_failed", _OWN, _MAIL, _APP, _PUSH, link="/orders/{order_id}", reason="the card has expired"),
        _kind("delivery_arriving", _OWN, _APP, _PUSH, _SMS, link="/deliveries/{delivery_id}"),
        _kind("delivery_completed", _OWN, _APP, _PUSH, link="/deliveries/{delivery_id}"),
        _kind("delivery_failed", _OWN, _MAIL, _APP, _PUSH, _SMS, link="/deliveries/{delivery_id}", reason="nobody was there"),
        _kind("new_message", _ALERT, _APP, _PUSH, link="/conversations/{conversation_id}", preview="Is it still for sale?"),
        _kind("review_received", _ALERT, _MAIL, _APP, link="/products/{product_id}", product="Mug", rating=5),
        _kind("abandoned_cart", _SALE, _MAIL, _PUSH, link="/cart", units=2, subtotal=_AMOUNT),
        _kind("low_stock", _ALERT, _MAIL, _APP, link="/stock/{sku}", sku="MUG-1", available=3),
        _kind("live_started", _ALERT, _APP, _PUSH, link="/live/{session_id}", title="Spring collection"),
        _kind("video_processed", _ALERT, _APP, link="/videos/{video_id}", title="How it is made"),
        _kind("digest", _ALERT, _PUSH, count=4, titles=["A new message", "Your parcel is here"]),
    )
}  # fmt: skip
