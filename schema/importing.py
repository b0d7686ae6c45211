"""The importing subgraph: bulk imports, how far they are, and what was wrong with which row."""

from datetime import datetime
from uuid import UUID

import strawberry

from domain import importing as domain
from domain.kernel import InvalidStateTransition
from resolvers import importing as resolvers
from schema.inputs import enum_of
from schema.kernel import Node, bulk, command, connection, make_subgraph, permission, query, subscription

IMPORT = permission("catalog.import")

enum_of(domain.ImportState)


@strawberry.type(description="Why one row was left out.")
class ImportError:  # noqa: A001 — the graph's word; Python's namesake is not used here.
    line: int
    column: str
    reason: str


@strawberry.federation.type(keys=["id"], description="One file on its way into the catalogue; counts are rows.")
class ImportJob(Node):
    __references__ = {"id": resolvers.jobs_by_id}
    __reads__ = (domain.ImportJob,)

    id: UUID
    store_id: UUID
    source: str
    state: domain.ImportState
    processed: int
    created: int
    updated: int
    unchanged: int
    failed: int
    failure: str | None
    started_at: datetime | None
    finished_at: datetime | None
    errors: connection(ImportError) = bulk(resolvers.errors_of_jobs, key="id", who=IMPORT)  # type: ignore[valid-type]


@strawberry.type
class Query:
    import_job = query(resolvers.import_job, ImportJob | None, who=IMPORT)
    import_jobs = query(resolvers.import_jobs, connection(ImportJob), who=IMPORT)


@strawberry.type
class Mutation:
    start_bulk_import = command(resolvers.start_bulk_import, ImportJob, who=IMPORT)
    cancel_import = command(resolvers.cancel_import, ImportJob, errors=[InvalidStateTransition], who=IMPORT)


@strawberry.type
class Subscription:
    import_progress = subscription(resolvers.import_progress, ImportJob, who=IMPORT)


subgraph = make_subgraph(query=Query, mutation=Mutation, subscription=Subscription)
