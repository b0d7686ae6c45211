"""Uploads of files to import: one authenticated POST with the file as its body, streamed to disk."""

from collections.abc import AsyncIterator

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from data.import_files import FolderImportFiles
from domain.kernel import DomainError, Forbidden, Unauthenticated
from server.sessions import Sessions

PATH = "/imports/files"
PERMISSION = "catalog.import"
_STATUS = {"UNAUTHENTICATED": 401, "FORBIDDEN": 403, "NOT_FOUND": 404}


def upload_route(sessions: Sessions, files: FolderImportFiles) -> Route:
    """Make `POST /imports/files?name=goods.csv.gz`; it answers `{"file": "<key>"}` for `startBulkImport`."""

    async def upload(request: Request) -> Response:
        try:
            session = await sessions(request, None)
            if not session.caller.is_authenticated:
                raise Unauthenticated
            if not session.caller.may(PERMISSION) or session.tenant is None:
                raise Forbidden(permission=PERMISSION)
            key = await files.keep(session.tenant.id, request.query_params.get("name", ""), _body(request))
        except DomainError as refusal:
            body = {"code": refusal.code, "message": refusal.message}
            return JSONResponse(body, _STATUS.get(refusal.code, 400), {"connection": "close"})
        return JSONResponse({"file": key}, 201)

    return Route(PATH, upload, methods=["POST"])


async def _body(request: Request) -> AsyncIterator[bytes]:
    async for chunk in request.stream():
        if chunk:
            yield chunk
