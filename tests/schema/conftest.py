"""The whole graph on real engines, executed in process as some principal of some tenant."""

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import pytest

from data.embedded import Engines
from domain.kernel import NOBODY, Principal, uuid7
from resolvers.kernel import Context
from schema.graph import build
from server.services import Services, open_services
from server.settings import Settings


@pytest.fixture(scope="session")
def settings(engines: Engines, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    return Settings(
        home=tmp_path_factory.mktemp("agora"),
        database_url=engines.database_url,
        redis_url=engines.redis_url,
        secret_key="a secret that is long enough for tests",
    )


@pytest.fixture(scope="session")
async def services(settings: Settings) -> AsyncIterator[Services]:
    async with open_services(settings, writes_index=True) as opened:
        yield opened


@pytest.fixture(scope="session")
def supergraph() -> Any:
    return build()


@dataclass
class Answer:
    """What an operation answered, and how many selects it took (BEGIN and COMMIT not counted)."""

    data: Any
    errors: list[Any]
    statements: int

    @property
    def codes(self) -> list[str]:
        originals = [error.original_error for error in self.errors]
        return [getattr(error, "code", type(error).__name__) for error in originals]


Graph = Callable[..., Awaitable[Answer]]


@pytest.fixture
def graph(supergraph: Any, services: Services, tenant_id: UUID, admin: Principal) -> Graph:
    """Execute `graph(document, variables, principal=…, tenant=…)`; by default as the test's administrator."""

    async def execute(
        document: str,
        variables: dict[str, Any] | None = None,
        *,
        principal: Principal | None = admin,
        tenant: UUID | None = tenant_id,
        locale: str = "en",
    ) -> Answer:
        reads = services.database.reads(tenant)
        context = Context(
            reads=reads,
            transactions=services.transactions,
            services=services.by_port,
            principal=principal or NOBODY,
            tenant_id=tenant,
            locale=locale,
            correlation_id=str(uuid7()),
        )
        try:
            result = await supergraph.execute(document, variable_values=variables, context_value=context)
        finally:
            await reads.close()
        return Answer(result.data, list(result.errors or ()), reads.statements)

    return execute
