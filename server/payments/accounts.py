"""Tenants' own accounts with payment providers: an adapter for each, and what their webhooks say."""

from collections import OrderedDict
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID

from data.database import Database
from domain.payments import CredentialReads
from domain.payments.credentials import secret_place, webhook_place
from domain.payments.providers import ProviderEvent, WebhookRejected
from domain.tenancy import Cipher
from server.payments.routing import ProviderAdapter
from server.payments.webhooks import NoSuchEndpoint, WebhookReceiver

MOST_ACCOUNTS = 64
Key = tuple[UUID, str, int]


@dataclass(frozen=True)
class OwnAccount:
    """How the adapter of an account is made from its key, and the reader of its webhooks from adapter and secret."""

    adapter: Callable[[str], ProviderAdapter]
    receiver: Callable[[Any, str], WebhookReceiver]


@dataclass
class _Kept:
    adapter: ProviderAdapter
    users: int = 0


class OwnAccounts:
    """Implements the router's `Accounts` and the webhooks' `Endpoints` with the secrets that tenants have sealed.

    An adapter is kept under the version of its secrets, so that exchanged ones count at once in every process. Those that
    were not used for the longest are closed where there are too many, but none that is in use.
    """

    def __init__(
        self, database: Database, cipher: Cipher, kinds: Mapping[str, OwnAccount], most: int = MOST_ACCOUNTS
    ) -> None:
        self._database = database
        self._cipher = cipher
        self._kinds = kinds
        self._most = most
        self._kept: OrderedDict[Key, _Kept] = OrderedDict()

    async def close(self) -> None:
        while self._kept:
            _, kept = self._kept.popitem()
            await kept.adapter.close()

    @asynccontextmanager
    async def lend(self, tenant_id: UUID, provider: str) -> AsyncIterator[ProviderAdapter | None]:
        row = None
        if provider in self._kinds:
            reads = self._database.reads(tenant_id)
            try:
                row = await reads.port(CredentialReads).of_provider(provider)
            finally:
                await reads.close()
        if row is None:
            yield None
            return
        async with self._lend(row) as adapter:
            yield adapter

    async def read(self, provider: str, endpoint: str, body: bytes, headers: Mapping[str, str]) -> ProviderEvent | None:
        row = await self._of_endpoint(provider, endpoint)
        secret = self._cipher.decrypt(row.webhook_sealed, webhook_place(row.tenant_id, provider))
        async with self._lend(row) as adapter:
            event = await self._kinds[provider].receiver(adapter, secret).read(body, headers)
        if event is not None and event.tenant_id != row.tenant_id:
            raise WebhookRejected(provider=provider, reason="it is about another tenant")
        return None if event is None else replace(event, account=row.tenant_id)

    async def _of_endpoint(self, provider: str, endpoint: str) -> Any:
        row = None
        if provider in self._kinds and (named := _uuid(endpoint)) is not None:
            # Whose it is, nobody knows before it is found.
            reads = self._database.system_reads()
            try:
                row = await reads.port(CredentialReads).of_endpoint(named)
            finally:
                await reads.close()
        if row is None or row.provider != provider or row.webhook_sealed is None:
            raise NoSuchEndpoint(endpoint)
        return row

    @asynccontextmanager
    async def _lend(self, row: Any) -> AsyncIterator[ProviderAdapter]:
        key: Key = (row.tenant_id, row.provider, row.version)
        kept = self._kept.get(key)
        if kept is None:
            secret = self._cipher.decrypt(row.sealed, secret_place(row.tenant_id, row.provider))
            kept = self._kept[key] = _Kept(self._kinds[row.provider].adapter(secret))
        self._kept.move_to_end(key)
        kept.users += 1
        try:
            yield kept.adapter
        finally:
            kept.users -= 1
            await self._close_surplus()

    async def _close_surplus(self) -> None:
        surplus = len(self._kept) - self._most
        idle = [key for key, kept in self._kept.items() if not kept.users][: max(0, surplus)]
        for each in [self._kept.pop(key) for key in idle]:
            await each.adapter.close()


def _uuid(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None
