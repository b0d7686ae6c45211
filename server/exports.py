"""Exports of people's data over HTTP: fetched with a ticket that is signed for one person and a few minutes."""

from datetime import UTC, datetime

from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from domain.identity.exporting import CONTENT_TYPE, export_key
from domain.identity.privacy import ExportState, ExportTickets, PrivacyReads
from domain.kernel import DomainError, NotFound
from domain.objects import ObjectStore
from server.export_tickets import PATH
from server.sessions import Sessions

_HEADERS = {
    "x-content-type-options": "nosniff",
    "content-security-policy": "default-src 'none'; sandbox",
    "cache-control": "private, no-store",
    "referrer-policy": "no-referrer",
    "content-disposition": "attachment; filename=export.zip",
}


def export_routes(sessions: Sessions) -> list[Route]:
    """Make `GET /privacy/exports?ticket=…`."""

    async def download(request: Request) -> Response:
        services = sessions.services
        if services is None:
            raise RuntimeError("a request came before the application had started")
        try:
            ticket = services.by_port[ExportTickets].read(request.query_params.get("ticket", ""))
            tenant_id, export_id, user_id = ticket
            reads = services.database.reads(tenant_id)
            try:
                exports = await reads.port(PrivacyReads).exports(user_id)
            finally:
                await reads.end()
            good = [each for each in exports if each.id == export_id and each.state == ExportState.READY]
            if not good or good[0].expires_at <= datetime.now(UTC):
                raise NotFound(kind="DataExport", id=str(export_id))
            pieces = await services.by_port[ObjectStore].read(export_key(tenant_id, export_id))
        except DomainError as refusal:
            return JSONResponse({"code": refusal.code, "message": refusal.message}, 404)
        return StreamingResponse(pieces, media_type=CONTENT_TYPE, headers=_HEADERS)

    return [Route(PATH, download, methods=["GET"])]
