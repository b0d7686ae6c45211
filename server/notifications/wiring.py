"""Which channel goes over which provider, as the settings say."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from data.notifications import DueNotifications
from domain.identity.factors import Secrets
from domain.notifications import Channel, PushServices, Sender, SenderIdentity, TemplateEngine, UnsubscribeTokens
from server.notifications.mailbox import InAppSender, Mailbox, MailboxSender

if TYPE_CHECKING:
    from server.notifications.dispatch import Dispatcher
    from server.services import Services
    from server.settings import Settings


def sender_identity(settings: "Settings") -> SenderIdentity:
    """Say in whose name messages go out."""
    return SenderIdentity(name=settings.sender_name, address=settings.sender_address, url=settings.url)


def mailbox_of(settings: "Settings") -> Mailbox:
    return Mailbox(settings.home / "mailbox")


def open_senders(settings: "Settings", push: PushServices) -> Mapping[Channel, Sender]:
    """Give the sender of each channel; what has no provider goes into the mailbox."""
    # Only the worker sends, so only the worker holds what sending takes.
    from server.notifications.services import AppriseSender  # noqa: PLC0415
    from server.notifications.smtp import SmtpSender  # noqa: PLC0415
    from server.notifications.web_push import WebPushSender, vapid_key  # noqa: PLC0415

    mailbox = MailboxSender(mailbox_of(settings))
    contact = f"mailto:{settings.sender_address}"
    return {
        Channel.EMAIL: SmtpSender(settings.smtp_url) if settings.smtp_url else mailbox,
        Channel.SMS: AppriseSender(settings.sms_url) if settings.sms_url else mailbox,
        Channel.PUSH: WebPushSender(vapid_key(settings.derive_key), push, contact)
        if settings.sends_pushes
        else mailbox,
        Channel.IN_APP: InAppSender(),
    }


def dispatcher(settings: "Settings", services: "Services") -> "Dispatcher":
    """Make the worker's part that sends."""
    from server.notifications.dispatch import Dispatcher  # noqa: PLC0415 — see above.

    port = services.by_port
    return Dispatcher(
        services.transactions,
        DueNotifications(services.database),
        open_senders(settings, port[PushServices]),
        port[TemplateEngine],
        port[UnsubscribeTokens],
        port[SenderIdentity],
        port[Secrets].decrypt,
    )
