"""What a marketplace has of log-ins by providers: one that was begun, one identity, and a provider of the tenant's own."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from domain.identity.external import ExternalIdentities, link_to
from domain.identity.identity_providers import VouchedIdentity
from domain.identity.users import Users
from domain.kernel import Work


async def link_somebody(command: str, work: Work, users: Users, identities: ExternalIdentities) -> str:
    """Link the administrator to a subject of Telegram's."""
    user = await users.get(work.actor.require_user())
    linked = await link_to(user, "telegram", VouchedIdentity(subject=command), work, identities)
    return str(linked.id)


async def signed_in_by(market: Any, mark: str) -> None:
    """Furnish the marketplace; Telegram has signed nothing for the way round that was begun."""
    own = await market.make(
        "configureSingleSignOn",
        name=f"acme-{mark}",
        title="Acme",
        issuer="http://127.0.0.1:9",
        clientId="agora",
        clientSecret="not told",
    )
    begun = await market.do("beginSocialLogin", provider="telegram", redirectUri="http://127.0.0.1/back")
    work = Work(
        tenant_id=UUID(str(market.tenant_id)), actor=market.admin, now=datetime.now(UTC), correlation_id="marketplace"
    )
    market.keys |= {
        "own_provider": own["provider"],
        "login_state": begun["state"],
        "login_binding": begun["binding"],
        "external_identity": await market.services.transactions.run(link_somebody, mark, work),
    }
