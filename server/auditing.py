"""`agora audit verify`: whether the trail of privileged actions is what it was."""

from collections.abc import Sequence

from data.audit import SqlAuditTrail
from data.database import Database
from domain.auditing import Breach
from server.settings import Settings


async def verify(settings: Settings) -> Sequence[Breach]:
    """Seal what waits, then look at the whole chain."""
    async with Database(settings.database_url, read_pool=1, write_pool=1) as database:
        trail = SqlAuditTrail(database, settings.derive_key("audit chain"))
        await trail.seal()
        return await trail.verify()
