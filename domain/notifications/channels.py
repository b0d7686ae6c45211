"""The ways on which people are reached, and the one interface that all of them have."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol
from uuid import UUID


class Channel(StrEnum):
    """A way on which somebody is reached."""

    EMAIL = "email"
    SMS = "sms"
    PUSH = "push"
    IN_APP = "in_app"


class MessageCategory(StrEnum):
    """What a message is for: to sell, to tell about one's own affairs, or to draw attention to something."""

    PROMOTIONAL = "promotional"
    TRANSACTIONAL = "transactional"
    ALERTS = "alerts"


@dataclass(frozen=True, kw_only=True)
class Device:
    """A browser that takes push messages, with the keys that they are encrypted for.

    Source: RFC 8291.
    """

    endpoint: str
    p256dh: str
    auth: str


@dataclass(frozen=True, kw_only=True)
class Message:
    """What is to be carried to one address; the id stays the same however often it is tried."""

    id: UUID
    tenant_id: UUID
    channel: Channel
    to: str
    subject: str
    text: str
    html: str | None = None
    link: str | None = None
    sender_name: str
    sender_address: str = ""
    reply_to: str | None = None
    unsubscribe_url: str | None = None
    devices: tuple[Device, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Receipt:
    """What became of a message: `delivered` where the way knows that it arrived, `gone` are endpoints that there are no more."""

    provider_message_id: str | None = None
    delivered: bool = False
    gone: tuple[str, ...] = ()


class NotSent(Exception):
    """The message was not taken; whether it may be tried again, the error says itself."""

    def __init__(self, reason: str, *, permanent: bool = False, gone: tuple[str, ...] = ()) -> None:
        super().__init__(reason)
        self.reason = reason
        self.permanent = permanent
        self.gone = gone


class Sender(Protocol):
    """Carries messages over one channel."""

    async def send(self, message: Message) -> Receipt:
        """Hand a message over.

        Raises: NotSent.
        """
        ...


@dataclass(frozen=True, kw_only=True)
class SenderIdentity:
    """In whose name messages go out where a tenant says nothing else, and where their links lead."""

    name: str = "Agora"
    address: str = "no-reply@localhost"
    url: str = "http://127.0.0.1:8000"
