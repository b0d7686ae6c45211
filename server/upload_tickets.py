"""The right to upload one file: written into the address that a client is told, and signed."""

from dataclasses import dataclass
from uuid import UUID

from itsdangerous import BadSignature, URLSafeTimedSerializer

from domain.kernel import DomainError
from domain.messaging import TICKET_LIFETIME, UploadTicket

PATH = "/attachments"


@dataclass(eq=False)
class TicketInvalid(DomainError):
    """An upload that nobody allowed, or not any more."""

    template = "The upload ticket is not valid; ask for another one."


class SignedTickets:
    """Writes and reads tickets; implements the domain's `UploadTickets`."""

    def __init__(self, key: bytes, lifetime_seconds: float = TICKET_LIFETIME.total_seconds()) -> None:
        self._serializer = URLSafeTimedSerializer(key, salt="upload")
        self._lifetime_seconds = lifetime_seconds

    def issue(self, ticket: UploadTicket) -> str:
        """Give where to upload to."""
        named = [ticket.tenant_id.hex, ticket.attachment_id.hex, ticket.user_id.hex]
        return f"{PATH}?ticket={self._serializer.dumps(named)}"

    def read(self, text: str) -> UploadTicket:
        """Read a ticket that was written here, lately.

        Raises: TicketInvalid.
        """
        try:
            named = self._serializer.loads(text, max_age=int(self._lifetime_seconds))
        except BadSignature as error:
            raise TicketInvalid from error
        tenant_id, attachment_id, user_id = map(UUID, named)
        return UploadTicket(tenant_id=tenant_id, attachment_id=attachment_id, user_id=user_id)
