"""The platform subgraph, for administrators: audit trail, events, dead letters, replays and health."""

from datetime import datetime
from uuid import UUID

import strawberry

from domain import auditing, sagas
from domain import platform as domain
from resolvers import platform as resolvers
from schema.inputs import enum_of
from schema.kernel import PUBLIC, command, computed, connection, make_subgraph, permission, query
from schema.scalars import JSON, BigInt

AUDIT = permission("platform.audit")
OPERATE = permission("platform.operate")
PROCESSES = permission("platform.processes")

enum_of(sagas.SagaState)
enum_of(auditing.UseKind)
enum_of(auditing.UseOutcome)


@strawberry.type(description="Something that happened, as the log keeps it: the audit trail and the events are one.")
class AuditEntry:
    id: UUID
    sequence: BigInt = strawberry.field(description="Place in the whole log.")
    name: str
    aggregate_id: UUID
    aggregate_type: str
    version: int = strawberry.field(description="The version that the aggregate reached by it.")
    data = computed(lambda entry, _context: domain.audited(entry.name, entry.data), JSON)
    user_id: UUID | None = strawberry.field(description="Who caused it; null for the system itself.")
    api_key_id: UUID | None = strawberry.field(description="The API key with which it was caused, if it was.")
    correlation_id: str | None
    occurred_at: datetime


@strawberry.type(description="An event that a handler did not get done in any of its attempts.")
class DeadLetter:
    __reads__ = (domain.DeadLetter,)

    id: UUID
    handler: str
    name: str
    event_id: UUID
    aggregate_id: UUID
    attempts: int
    error: str
    envelope: JSON
    failed_at: datetime
    requeued_at: datetime | None


@strawberry.type(description="One run of a process that outlives a transaction, such as a checkout.")
class Saga:
    __reads__ = (sagas.Saga,)

    id: UUID
    kind: str
    state: sagas.SagaState
    step: int = strawberry.field(description="How many steps are noted as done.")
    refusal: JSON | None = strawberry.field(description="Why it went back: a code, and what explains it.")
    attempts: int
    error: str | None
    due_at: datetime = strawberry.field(description="When it is taken up, unless somebody runs it at the moment.")
    deadline: datetime
    started_at: datetime


@strawberry.type(description="What somebody did with a permission, or tried to do without it.")
class PrivilegedAction:
    id: UUID
    at: datetime
    kind: auditing.UseKind
    operation: str
    permission: str
    outcome: auditing.UseOutcome
    code: str | None = strawberry.field(description="Why it was refused.")
    actor_id: UUID
    impersonator_id: UUID | None = strawberry.field(description="Who acted as the actor.")
    session_id: UUID | None
    address: str
    correlation_id: str
    ids: JSON = strawberry.field(description="The ids among the arguments, by where they stood.")
    digest: str = strawberry.field(description="Alike for arguments that were alike.")


@strawberry.type(description="A replay that has begun.")
class Replay:
    __reads__ = (domain.Replay,)

    projection: str
    events: int


@strawberry.type(description="How one part of the system is.")
class PartHealth:
    name: str
    status: str
    reason: str | None
    milliseconds: float
    figures: JSON


@strawberry.type(description="What a consumer of events has still to do.")
class ConsumerBacklog:
    consumer: str
    stream: str
    undelivered: int
    unfinished: int


@strawberry.type(description="How the system is: ok, degraded or unavailable.")
class SystemHealth:
    status: str
    parts: list[PartHealth]
    consumers: list[ConsumerBacklog]
    workers: list[str]
    dead_letters: int


@strawberry.type
class Query:
    audit_log = query(resolvers.audit_log, connection(AuditEntry), who=AUDIT)
    event_stream = query(resolvers.event_stream, connection(AuditEntry), who=AUDIT)
    privileged_actions = query(resolvers.privileged_actions, connection(PrivilegedAction), who=AUDIT)
    saga = query(resolvers.saga, Saga | None, who=PROCESSES)
    sagas = query(resolvers.sagas, connection(Saga), who=PROCESSES)
    dead_letters = query(resolvers.dead_letters, connection(DeadLetter), who=OPERATE)
    system_health = query(resolvers.system_health, SystemHealth, who=OPERATE)
    live_cursor = query(
        resolvers.live_cursor,
        str,
        who=PUBLIC,
        description="Where to follow from, for `after`: what the rest of this operation shows is known up to there.",
    )


@strawberry.type
class Mutation:
    requeue_dead_letter = command(resolvers.requeue_dead_letter, DeadLetter, who=OPERATE)
    replay_projection = command(resolvers.replay_projection, Replay, who=OPERATE)
    retry_saga = command(resolvers.retry_saga, Saga, errors=[sagas.SagaNotStuck], who=PROCESSES)


subgraph = make_subgraph(query=Query, mutation=Mutation)
