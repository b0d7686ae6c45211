"""The right to fetch the export of one's data: written into the address that a person is told, and signed."""

from typing import Any
from uuid import UUID

from itsdangerous import BadSignature, URLSafeTimedSerializer

from domain.kernel import NotFound

PATH = "/privacy/exports"


class SignedExportTickets:
    """Writes and reads tickets; implements the domain's `ExportTickets`."""

    def __init__(self, key: bytes, lifetime_seconds: float) -> None:
        self._serializer = URLSafeTimedSerializer(key, salt="data export")
        self._lifetime_seconds = lifetime_seconds

    def issue(self, export: Any) -> str:
        """Give where an export is fetched."""
        return f"{PATH}?ticket={self._serializer.dumps([each.hex for each in (export.tenant_id, export.id, export.user_id)])}"

    def read(self, ticket: str) -> tuple[UUID, UUID, UUID]:
        """Give tenant, export and user.

        Raises: NotFound.
        """
        try:
            tenant_id, export_id, user_id = map(
                UUID, self._serializer.loads(ticket, max_age=int(self._lifetime_seconds))
            )
        except BadSignature as error:
            raise NotFound(kind="DataExport", id="") from error
        return tenant_id, export_id, user_id
