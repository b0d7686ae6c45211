"""What live sessions hear of others."""

from domain.kernel import Envelope, Subscriptions
from domain.live.sessions import LiveSessions

subscriptions = Subscriptions("live")


@subscriptions.on("flash_sale.ended")
async def note_end_of_sale(envelope: Envelope, sessions: LiveSessions) -> None:
    """Tell those who watch that a flash sale is over, whoever or whatever ended it."""
    session = await sessions.of_sale(envelope.aggregate_id)
    if session is not None:
        session.end_sale(envelope.aggregate_id)
