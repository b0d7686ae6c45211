"""One subgraph on its own: what `/subgraphs/<name>/graphql` serves to a federation router."""

from typing import Any

import strawberry
from strawberry.federation.schema import FederationAny

from schema.supergraph.documents import DocumentCache
from schema.supergraph.entities import resolve_entities
from schema.supergraph.executor import BreadthFirstExecutor
from schema.supergraph.graph import attach
from schema.supergraph.limits import Limits, LimitsOf
from schema.supergraph.scope import scope_of
from schema.supergraph.serving import ServedSchema
from schema.supergraph.source import Source


class Subgraph(ServedSchema, strawberry.federation.Schema):
    """A federation schema whose entities and bulk fields are resolved a level at a time.

    Takes what `strawberry.federation.Schema` takes, and `documents` and `limits`.
    """

    def __init__(
        self,
        query: type | None = None,
        *,
        documents: DocumentCache | None = None,
        limits: LimitsOf | None = None,
        federation_version: Any = "2.9",
        **kwargs: Any,
    ) -> None:
        kwargs.setdefault("execution_context_class", BreadthFirstExecutor)
        super().__init__(query, federation_version=federation_version, **kwargs)
        self.source = Source("subgraph", self)
        attach(self._schema, [self.source], DocumentCache() if documents is None else documents, limits or Limits())

    async def entities_resolver(  # type: ignore[override]  # Strawberry awaits whatever a resolver returns.
        self, info: strawberry.Info, representations: list[FederationAny]
    ) -> list[FederationAny]:
        """Resolve what a router knows by its keys."""
        found: list[Any] = await resolve_entities(self.source, scope_of(info), representations)  # type: ignore[arg-type]
        return found
