"""The worker's part in notifications: ten senders take what is due from a bounded row, each in its own time.

A message is taken up in one transaction, handed over in none, and settled in another. Whoever dies in between leaves a
message that is taken up again when its lease has run out, with the same Message-ID: it is sent at least once, and twice only
if the provider had taken it in the very moment of the crash.
"""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from uuid import UUID

import structlog

from data.encryption import SecretUnreadable
from data.notifications import DueNotifications
from data.relay import pause
from data.transactions import SqlTransactions
from domain import tracing
from domain.kernel import SYSTEM, Principal, Work, uuid7
from domain.notifications import (
    KINDS,
    BeginSending,
    Channel,
    Content,
    FinishSending,
    Frame,
    InvalidTemplate,
    Message,
    MessageCategory,
    NotSent,
    Outgoing,
    Sender,
    SenderIdentity,
    TemplateEngine,
    UnsubscribeTokens,
    begin_sending,
    finish_sending,
    link_of,
    place_of,
)
from domain.tracing import SpanKind

log = structlog.get_logger("agora.notifications")

SENDERS = 10
BUFFER = 100
POLL_SECONDS = 0.5
MOST_TITLES = 20
Due = tuple[UUID, UUID]


class Dispatcher:
    """Sends what is due, of all tenants."""

    def __init__(
        self,
        transactions: SqlTransactions,
        due: DueNotifications,
        senders: Mapping[Channel, Sender],
        engine: TemplateEngine,
        tokens: UnsubscribeTokens,
        identity: SenderIdentity,
        opens: Callable[[str, str], str],
        *,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        poll_seconds: float = POLL_SECONDS,
    ) -> None:
        self._transactions = transactions
        self._due = due
        self._senders = senders
        self._engine = engine
        self._tokens = tokens
        self._identity = identity
        self._opens = opens
        self._now = now
        self._poll_seconds = poll_seconds
        self._row: asyncio.Queue[Due | None] = asyncio.Queue(BUFFER)
        self._taken: set[Due] = set()

    async def run(self, stop: asyncio.Event) -> None:
        """Send until told to stop; what is being handed over comes to its end, what waits in the row stays due."""
        senders = [asyncio.ensure_future(self._send_all(stop)) for _ in range(SENDERS)]
        try:
            while not stop.is_set():
                if await self._fill() < BUFFER:
                    await pause(stop, self._poll_seconds)
            for _ in senders:
                await self._row.put(None)
            await asyncio.gather(*senders)
        finally:
            for each in senders:
                each.cancel()
            await asyncio.gather(*senders, return_exceptions=True)
            self._row, self._taken = asyncio.Queue(BUFFER), set()

    async def send_due(self) -> int:
        """Send what is due now, one after the other; gives how much that was."""
        found = await self._due.due(self._now(), BUFFER)
        for each in found:
            await self._send(*each)
        return len(found)

    async def _fill(self) -> int:
        """Put what is due and not in the row yet into it; gives how much was due."""
        found = await self._due.due(self._now(), BUFFER)
        for each in found:
            if each not in self._taken:
                self._taken.add(each)
                await self._row.put(each)
        return len(found)

    async def _send_all(self, stop: asyncio.Event) -> None:
        while (due := await self._row.get()) is not None:
            try:
                if not stop.is_set():
                    await self._send(*due)
            except Exception:
                # It stays due; whatever the reason was, the others are not to wait for it.
                log.exception("notification.interrupted", notification_id=str(due[1]))
            finally:
                self._taken.discard(due)

    async def _send(self, tenant_id: UUID, notification_id: UUID) -> None:
        with tracing.followed_from("notification", [], {"agora.tenant.id": str(tenant_id)}):
            begin = BeginSending(id=notification_id)
            outgoing = await self._transactions.run(begin_sending, begin, self._work(tenant_id))
            if outgoing is not None:
                outcome = await self._attempt(outgoing)
                await self._transactions.run(finish_sending, outcome, self._work(tenant_id))

    async def _attempt(self, outgoing: Outgoing) -> FinishSending:
        """Render a message and hand it over; say what became of that."""
        known = outgoing.notification
        outcome = FinishSending(id=known.id, attempt=outgoing.attempt)
        try:
            message, content = self._rendered(outgoing)
            with tracing.span(f"send {known.channel}", {"peer.service": str(known.channel)}, SpanKind.CLIENT):
                receipt = await self._senders[known.channel].send(message)
        except InvalidTemplate as error:
            log.warning("notification.unwritten", notification_id=str(known.id), reason=error.message)
            return replace(outcome, error=error.message, hopeless=True)
        except NotSent as error:
            return replace(outcome, error=error.reason, bounced=error.permanent, gone=error.gone)
        except Exception as error:
            log.exception("notification.not_sent", notification_id=str(known.id))
            return replace(outcome, error=repr(error))
        return replace(outcome, receipt=receipt, content=content, gone=receipt.gone)

    def _rendered(self, outgoing: Outgoing) -> tuple[Message, Content]:
        known, identity = outgoing.notification, self._identity
        if outgoing.source is None:
            raise InvalidTemplate(part="text", reason=f"there is none called {known.template}")
        shop = outgoing.sender_name or identity.name
        kind = KINDS.get(known.template or "")
        sealed = kind.sealed if kind else ()
        opened = {**outgoing.values, **{name: self._open(outgoing, name) for name in sealed}}
        path = link_of(kind, opened) if kind and sealed else known.link
        link = f"{identity.url}{path}" if path and known.channel is not Channel.IN_APP else path
        leaving = self._leaving(outgoing)
        frame = Frame(shop=shop, link=link, unsubscribe_url=leaving) if known.channel is Channel.EMAIL else None
        values = {**opened, "shop": shop}
        if outgoing.parts:
            values["titles"] = self._titles(outgoing, shop)
        content = self._engine.render(outgoing.source, values, known.locale, frame)
        message = Message(
            id=known.id,
            tenant_id=known.tenant_id,
            channel=known.channel,
            to=known.address,
            subject=content.subject,
            text=content.text,
            html=content.html,
            link=link,
            sender_name=shop,
            sender_address=identity.address,
            reply_to=outgoing.reply_to,
            unsubscribe_url=leaving,
            devices=outgoing.devices,
        )
        return message, content

    def _open(self, outgoing: Outgoing, name: str) -> str:
        """Give a sealed part in clear.

        Raises: InvalidTemplate for one that was not sealed for this kind of message.
        """
        known = outgoing.notification
        try:
            return self._opens(str(outgoing.values.get(name, "")), place_of(known.tenant_id, known.template or ""))
        except SecretUnreadable as error:
            raise InvalidTemplate(part=name, reason="it was not sealed for this message") from error

    def _titles(self, outgoing: Outgoing, shop: str) -> list[str]:
        locale = outgoing.notification.locale
        parts = outgoing.parts[:MOST_TITLES]
        return [self._engine.render(source, {**values, "shop": shop}, locale).subject for source, values in parts]

    def _leaving(self, outgoing: Outgoing) -> str | None:
        known = outgoing.notification
        if known.channel is not Channel.EMAIL or known.category is MessageCategory.TRANSACTIONAL:
            return None
        return f"{self._identity.url}/unsubscribe/{self._tokens.issue(known.tenant_id, known.id)}"

    def _work(self, tenant_id: UUID) -> Work:
        actor = Principal(tenant_id=tenant_id, roles=SYSTEM.roles, permissions=SYSTEM.permissions)
        return Work(tenant_id=tenant_id, actor=actor, now=self._now(), correlation_id=str(uuid7()))
