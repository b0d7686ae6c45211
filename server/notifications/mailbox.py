"""The mailbox: a folder with one file a message, which is where messages go until a provider is set up."""

import asyncio
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path

from domain.notifications import Channel, Message, Receipt
from server.notifications.letters import letter_of

CHANNEL_HEADER = "X-Agora-Channel"
MOST_LISTED = 200
_NAME = re.compile(r"[0-9a-f-]{36}\.eml")


@dataclass(frozen=True, kw_only=True)
class Kept:
    """A message of the folder."""

    name: str
    channel: str
    to: str
    subject: str
    at: datetime
    text: str = ""
    html: str | None = None


class Mailbox:
    """A folder of messages as they would have gone out; what is sent again takes the place of what was there."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    async def keep(self, message: Message) -> None:
        """Write a message; nobody ever sees half of it."""
        letter = letter_of(message)
        letter[CHANNEL_HEADER] = str(message.channel)
        await asyncio.to_thread(self._write, f"{message.id}.eml", letter.as_bytes())

    def _write(self, name: str, content: bytes) -> None:
        fresh, kept = self._folder / "tmp", self._folder / "new"
        for each in (fresh, kept):
            each.mkdir(parents=True, exist_ok=True)
        (fresh / name).write_bytes(content)
        (fresh / name).replace(kept / name)

    def listed(self) -> Sequence[Kept]:
        """Give the latest messages, without their bodies."""
        files = sorted((self._folder / "new").glob("*.eml"), key=lambda each: each.stat().st_mtime_ns, reverse=True)
        return [_kept(each, bodies=False) for each in files[:MOST_LISTED]]

    def find(self, name: str) -> Kept | None:
        """Give a message with its bodies."""
        path = self._folder / "new" / name
        return _kept(path, bodies=True) if _NAME.fullmatch(name) and path.is_file() else None


class MailboxSender:
    """Puts the messages of a channel into the mailbox; implements the domain's `Sender`."""

    def __init__(self, mailbox: Mailbox) -> None:
        self._mailbox = mailbox

    async def send(self, message: Message) -> Receipt:
        await self._mailbox.keep(message)
        return Receipt(provider_message_id=f"mailbox:{message.id}")


class InAppSender:
    """Leaves messages where their readers find them: in the application, which is where they are already."""

    async def send(self, message: Message) -> Receipt:  # noqa: ARG002 — a sender's calling convention.
        return Receipt(delivered=True)


def _kept(path: Path, *, bodies: bool) -> Kept:
    letter = message_from_bytes(path.read_bytes(), policy=policy.default)
    assert isinstance(letter, EmailMessage)  # noqa: S101 — the policy makes them.
    text, html = letter.get_body(["plain"]), letter.get_body(["html"])
    return Kept(
        name=path.name,
        channel=letter.get(CHANNEL_HEADER, str(Channel.EMAIL)),
        to=letter.get("To", ""),
        subject=letter.get("Subject", ""),
        at=datetime.fromtimestamp(path.stat().st_mtime, UTC),
        text=text.get_content() if bodies and text else "",
        html=html.get_content() if bodies and html else None,
    )
