"""A message as a letter, as RFC 5322 wants it, with the headers that let its reader leave with one click."""

import re
from email.message import EmailMessage
from email.utils import formataddr
from uuid import UUID

from domain.notifications import Channel, Message

_MESSAGE_ID = re.compile(r"<?([0-9a-f]{32})\.([0-9a-f]{32})@[^>]*>?")


def letter_of(message: Message) -> EmailMessage:
    """Write a letter. Its Message-ID is the message's own: who gets it twice, because whoever sent it died, can tell.

    Source: RFC 8058 for one-click unsubscription.
    """
    letter = EmailMessage()
    letter["Subject"] = message.subject
    letter["From"] = formataddr((message.sender_name, message.sender_address))
    letter["To"] = message.to
    letter["Message-ID"] = message_id(message)
    letter["Auto-Submitted"] = "auto-generated"
    if message.reply_to:
        letter["Reply-To"] = message.reply_to
    if message.unsubscribe_url:
        letter["List-Unsubscribe"] = f"<{message.unsubscribe_url}>"
        letter["List-Unsubscribe-Post"] = "List-Unsubscribe=One-Click"
    letter.set_content(_text(message))
    if message.html is not None and message.channel is Channel.EMAIL:
        letter.add_alternative(message.html, subtype="html")
    return letter


def message_id(message: Message) -> str:
    """Name a letter by notification and tenant, so that whoever reports a bounce says which it was."""
    domain = message.sender_address.rpartition("@")[2] or "localhost"
    return f"<{message.id.hex}.{message.tenant_id.hex}@{domain}>"


def read_message_id(text: str) -> tuple[UUID, UUID] | None:
    """Give tenant and notification of a Message-ID of ours."""
    found = _MESSAGE_ID.fullmatch(text.strip())
    return (UUID(found[2]), UUID(found[1])) if found else None


def _text(message: Message) -> str:
    parts = [message.text, message.link, message.unsubscribe_url]
    return "\n\n".join(part for part in parts if part) + "\n"
