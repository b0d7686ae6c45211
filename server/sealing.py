"""`agora privacy seal`: what was logged before there were keys is sealed as it would be now."""

from data.database import Database
from data.encryption import AesCipher
from data.privacy import seal_plain_events
from data.sealing import PersonKeys
from server.settings import Settings


async def run(settings: Settings) -> int:
    """Seal it; gives how many events."""
    keys = PersonKeys(AesCipher([settings.derive_key("encryption", 32)]))
    async with Database(settings.database_url, read_pool=1, write_pool=1, person_keys=keys) as database:
        return await seal_plain_events(database)
