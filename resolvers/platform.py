"""Verbs of the platform."""

from typing import Any
from uuid import UUID

from domain import platform
from domain import sagas as processes
from domain.auditing import AuditReads, UseFilter
from domain.paging import Page, PageRequest
from domain.platform import AuditFilter, HealthReads, PlatformReads, SystemHealth
from domain.sagas import SagaReads, SagaState
from resolvers.kernel import Context, transacts

requeue_dead_letter = transacts(platform.requeue_dead_letter)
replay_projection = transacts(platform.replay_projection)
retry_saga = transacts(processes.retry_saga)


async def saga(context: Context, id: UUID) -> Any:  # noqa: A002 — GraphQL's conventional name.
    return (await context.read(SagaReads).by_id([id]))[0]


async def sagas(
    context: Context, page: PageRequest, kind: str | None = None, state: SagaState | None = None
) -> Page[Any]:
    return await context.read(SagaReads).sagas(kind, state, page)


async def audit_log(context: Context, page: PageRequest, filter: AuditFilter | None = None) -> Page[Any]:  # noqa: A002 — GraphQL's conventional name.
    return await context.read(PlatformReads).audit_log(filter or AuditFilter(), page)


async def privileged_actions(context: Context, page: PageRequest, filter: UseFilter | None = None) -> Page[Any]:  # noqa: A002 — GraphQL's conventional name.
    return await context.read(AuditReads).uses(filter or UseFilter(), page)


async def event_stream(context: Context, page: PageRequest, aggregate_id: UUID, from_version: int = 1) -> Page[Any]:
    return await context.read(PlatformReads).event_stream(aggregate_id, from_version, page)


async def dead_letters(
    context: Context, page: PageRequest, handler: str | None = None, requeued: bool = False
) -> Page[Any]:
    return await context.read(PlatformReads).dead_letters(handler, requeued, page)


async def system_health(context: Context) -> SystemHealth:
    return await context.service(HealthReads).report()


async def live_cursor(context: Context) -> str:
    return str(await context.read(PlatformReads).live_cursor())
