"""The sites that passkeys are for: where the server is found, and the hosts of each tenant."""

from collections.abc import Sequence
from urllib.parse import urlsplit
from uuid import UUID

from domain.identity.passkeys import RelyingParty
from domain.kernel import InvalidInput
from domain.tenancy import Platform, TenantReads


class TenantSites:
    """The domain's `RelyingParties`: the origin of the public URL, web origins that may call, and `https://` of each host."""

    def __init__(self, platform: Platform, public_url: str, allowed_origins: Sequence[str], name: str) -> None:
        self._platform = platform
        self._own = [_origin(each) for each in (public_url, *allowed_origins) if _origin(each)]
        self._name = name

    async def at(self, tenant_id: UUID, origin: str | None) -> RelyingParty:
        (hosts,) = await self._platform.read(TenantReads).hosts([tenant_id])
        # A tenant with hosts of its own is found there, and only else under the address that all share.
        known = list(dict.fromkeys([*(f"https://{row.host}" for row in hosts), *self._own]))
        wanted = _origin(origin) if origin else known[0]
        if wanted not in known:
            raise InvalidInput(field="origin", reason="it is none of the origins of this shop")
        return RelyingParty(id=urlsplit(wanted).hostname or "", name=self._name, origins=(wanted,))


def _origin(url: str) -> str:
    try:
        parts = urlsplit(url)
        return (
            f"{parts.scheme}://{parts.netloc}".lower() if parts.scheme in {"http", "https"} and parts.hostname else ""
        )
    except ValueError:
        return ""
