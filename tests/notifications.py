"""What the tests of notifications share: senders that keep what they are given, and people to write to."""

import asyncio
from datetime import datetime
from uuid import UUID

from data.database import Database
from data.notifications import DueNotifications
from domain.identity.users import User, Users
from domain.notifications import Channel, Message, Receipt
from server.notifications.unsubscribing import SignedTokens

TOKENS = SignedTokens(lambda purpose, length: purpose.encode().ljust(length, b"."))
KEYS = {"p256dh": "B" + "x" * 86, "auth": "y" * 22}


class OwnDue(DueNotifications):
    """What is due in the test's own tenant."""

    def __init__(self, database: Database, tenant_id: UUID) -> None:
        super().__init__(database)
        self._tenant_id = tenant_id

    async def due(self, now: datetime, most: int) -> list[tuple[UUID, UUID]]:
        return [each for each in await super().due(now, 10_000) if each[0] == self._tenant_id][:most]


class Carrier:
    """A sender that keeps what it is given, or fails as it is told to."""

    def __init__(self) -> None:
        self.messages: list[Message] = []
        self.failure: Exception | None = None
        self.gate: asyncio.Event | None = None

    async def send(self, message: Message) -> Receipt:
        if self.failure is not None:
            raise self.failure
        self.messages.append(message)
        if self.gate is not None:
            await self.gate.wait()
        return Receipt(provider_message_id=str(message.id), delivered=message.channel is Channel.IN_APP)


async def add_user(command: User, users: Users) -> None:
    users.add(command)
