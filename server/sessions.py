"""From a connection to the context of an operation: tenant, principal, language, and the ways to read and to change."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from graphql import OperationType
from starlette.requests import HTTPConnection

from data.database import Database, Reads
from domain.conditions import Circumstances
from domain.kernel import NOBODY, Principal, Transactions
from domain.tracing import tracer
from resolvers.kernel import Context
from server.api_keys import FOR_EVER, VerifiedKey
from server.edge.executor import Bucket, Operation
from server.edge.sessions import DEADLINE
from server.edge.socket_limits import ADDRESS
from server.services import Services
from server.settings import Settings
from server.staleness import tolerates_lag
from server.tenant import HEADER, ResolvedTenant
from server.tokens import VerifiedToken


@dataclass(frozen=True)
class GraphSession:
    """An admitted caller; every operation gets a context, and with it a snapshot, of its own."""

    services: Services
    token: VerifiedToken | None
    tenant: ResolvedTenant | None
    locale: str
    address: str
    user_agent: str | None = None
    buckets: Sequence[Bucket] = ()
    deadline: float | None = None

    @property
    def caller(self) -> Principal:
        return self.token.principal if self.token else NOBODY

    @property
    def principal(self) -> str:
        if self.caller.api_key_id:
            return f"key:{self.caller.api_key_id}"
        return f"user:{self.caller.user_id}" if self.caller.user_id else f"{ADDRESS}{self.address}"

    @property
    def expires_at(self) -> float | None:
        return self.token.expires_at if self.token and self.token.expires_at < FOR_EVER else None

    @asynccontextmanager
    async def context(self, operation: Operation, correlation_id: str) -> AsyncIterator[Context]:
        """Open an operation's context, and end its snapshot afterwards, whatever happened."""
        tenant_id = self.tenant.id if self.tenant else None
        if tenant_id is not None and (listening := tracer()) is not None:
            listening.current().note({"agora.tenant.id": str(tenant_id)})
        reads = await self._reads(operation, tenant_id)
        try:
            yield Context(
                reads=reads,
                transactions=self.services.transactions,
                services=self.services.by_port,
                principal=self._in_circumstances(),
                tenant_id=tenant_id,
                locale=self.locale,
                address=self.address,
                user_agent=self.user_agent,
                correlation_id=correlation_id,
                recheck=self._recheck,
                require_valid=self._require_valid,
                as_nobody=self._as_nobody,
            )
        finally:
            await reads.end()
            if self.services.replicas is not None and operation.kind is OperationType.MUTATION:
                # Before the answer goes out: whoever has it may ask at once, anywhere, and must see what he did.
                await self.services.replicas.changed(self.principal)

    async def _reads(self, operation: Operation, tenant_id: UUID | None) -> Reads:
        if self.services.replicas is not None and tolerates_lag(operation):
            return await self.services.replicas.reads(tenant_id, self.principal)
        return self.services.database.reads(tenant_id)

    def _in_circumstances(self) -> Principal:
        """Give the caller with what the conditions of his permissions may ask about the request; most have none."""
        if not self.caller.conditions:
            return self.caller
        timezone = self.tenant.timezone if self.tenant else "UTC"
        now = Circumstances(
            now=datetime.now(UTC),
            timezone=timezone,
            address=self.address,
            second_factor=self.caller.second_factor,
            api_key=self.caller.api_key_id is not None,
        )
        return replace(self.caller, circumstances=now)

    @asynccontextmanager
    async def _as_nobody(self) -> AsyncIterator[Context]:
        """Open a context for what is shown to everybody alike in the same tenant and language."""
        tenant_id = self.tenant.id if self.tenant else None
        reads = self.services.database.reads(tenant_id)
        try:
            yield Context(
                reads=reads,
                transactions=self.services.transactions,
                services=self.services.by_port,
                tenant_id=tenant_id,
                locale=self.locale,
                recheck=self.services.authenticator.refresh,
                revocations=lambda: self.services.authenticator.revocations,
            )
        finally:
            await reads.end()

    async def _recheck(self) -> None:
        if self.token is not None:
            await self.services.authenticator.recheck(self.token)

    def _require_valid(self) -> None:
        if self.token is not None:
            self.services.authenticator.require_valid(self.token)


class Sessions:
    """Admits callers: their token, their tenant, and how much they may ask for."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self.services: Services | None = None

    def transactions(self) -> Transactions:
        """Give what changes are made by, for the few requests that come from no caller of the graph."""
        return self._opened().transactions

    def database(self) -> Database:
        """Give where such a request finds out which tenant it is about."""
        return self._opened().database

    def _opened(self) -> Services:
        if self.services is None:
            raise RuntimeError("a request came before the application had started")
        return self.services

    async def __call__(self, connection: HTTPConnection, params: Mapping[str, Any] | None) -> GraphSession:
        """Admit a caller.

        Raises: Unauthenticated, NotFound.
        """
        services = self.services
        if services is None:
            raise RuntimeError("a request came before the application had started")
        token = await services.authenticator.authenticate(connection, params)
        caller = token.principal if token else NOBODY
        code = (params or {}).get("tenant") or connection.headers.get(HEADER)
        host = connection.headers.get("host")
        tenant = await services.tenants.resolve(host=host, code=str(code) if code else None, principal=caller)
        accepted = connection.headers.get("accept-language")
        address = connection.client.host if connection.client else "unknown"
        return GraphSession(
            services=services,
            token=token,
            tenant=tenant,
            locale=tenant.language_for(accepted) if tenant else "en",
            address=address,
            user_agent=(connection.headers.get("user-agent") or "")[:300] or None,
            buckets=[*_buckets_of(token), *self._buckets(caller, tenant, address)],
            deadline=connection.scope.get(DEADLINE),
        )

    def _buckets(self, caller: Principal, tenant: ResolvedTenant | None, address: str) -> Sequence[Bucket]:
        settings = self._settings
        if not settings.rate_limit_capacity:
            return ()
        own = f"user:{caller.user_id}" if caller.user_id else f"address:{address}"
        buckets = [Bucket(own, settings.rate_limit_capacity, settings.rate_limit_refill)]
        if tenant is not None:
            # A tenant has many users: its share is that of a hundred of them.
            share = (settings.rate_limit_capacity * 100, settings.rate_limit_refill * 100)
            buckets.append(Bucket(f"tenant:{tenant.id}", *share))
        return buckets


def _buckets_of(token: VerifiedToken | None) -> Sequence[Bucket]:
    """Give the bucket in which the requests of an API key are counted, whatever they cost."""
    if not isinstance(token, VerifiedKey):
        return ()
    rate = token.rate_limit_per_minute
    return (Bucket(f"key:{token.key_id}", rate, rate / 60, counted=True),)
