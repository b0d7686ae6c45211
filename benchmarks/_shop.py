"""Makes a tenant with stores through the domain's own handlers, and a token of somebody who may do everything there."""

from datetime import UTC, datetime

from benchmarks._system import Shop
from domain.kernel import Principal, Work, uuid7
from domain.tenancy import (
    ActivateStore,
    CreateStore,
    CreateTenant,
    Platform,
    SubscriptionTier,
    activate_store,
    create_store,
    create_tenant,
)
from server.services import Services, key_ring, token_service
from server.settings import Settings

EVERYTHING = frozenset({"*"})


async def open_shop(settings: Settings, services: Services, code: str, stores: tuple[str, ...], currency: str) -> Shop:
    """Make a tenant with active stores."""
    governor = Principal(user_id=uuid7(), permissions=EVERYTHING)
    blank = Work(tenant_id=uuid7(), actor=governor, now=datetime.now(UTC), correlation_id="benchmark")
    command = CreateTenant(code=code, name="A marketplace", tier=SubscriptionTier.ENTERPRISE, currency=currency)
    tenant = await services.by_port[Platform].transactions.run(create_tenant, command, blank)
    merchant = Principal(user_id=uuid7(), tenant_id=tenant.id, session_id=uuid7(), permissions=EVERYTHING)
    work = Work(tenant_id=tenant.id, actor=merchant, now=datetime.now(UTC), correlation_id="benchmark")
    opened = {}
    for name in stores:
        store = await services.transactions.run(
            create_store, CreateStore(code=name, name=name.title(), delivery_enabled=True), work
        )
        await services.transactions.run(activate_store, ActivateStore(id=store.id), work)
        opened[name] = store.id
    # The token outlives the benchmark: nobody is measured while logging in again.
    lasting = settings.model_copy(update={"access_token_seconds": 7_200})
    token = token_service(lasting, key_ring(lasting)).issue(merchant, work.now)
    return Shop(tenant_id=tenant.id, tenant=code, stores=opened, token=token.token)
