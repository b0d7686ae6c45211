"""The mailbox in the browser, for development: what would have gone out, as its readers would see it."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import BaseRoute, Route

from server.notifications.mailbox import Kept, Mailbox

PATH = "/mailbox"
FOLDER = Path(__file__).parent / "mailbox"
_FILES = {"": "index.html", "/mailbox.js": "mailbox.js", "/mailbox.css": "mailbox.css"}
_PAGE_HEADERS = {
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; frame-src 'self'; img-src data:; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cache-control": "no-cache",
}
# A letter is somebody else's HTML: it runs nothing, loads nothing, and knows of no other page.
_LETTER_HEADERS = {
    **_PAGE_HEADERS,
    "content-security-policy": (
        "sandbox allow-popups; default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; "
        "form-action 'none'; frame-ancestors 'self'"
    ),
}


def mailbox_routes(mailbox: Mailbox) -> list[BaseRoute]:
    """Make the page and what it reads; an application in production has no such routes."""

    async def messages(_request: Request) -> Response:
        listed = await asyncio.to_thread(mailbox.listed)
        return JSONResponse([_shown(each) for each in listed], headers={"cache-control": "no-store"})

    async def message(request: Request) -> Response:
        found = await asyncio.to_thread(mailbox.find, request.path_params["name"])
        if found is None:
            return JSONResponse({"code": "NOT_FOUND"}, 404)
        body = {**_shown(found), "text": found.text, "hasHtml": found.html is not None}
        return JSONResponse(body, headers={"cache-control": "no-store"})

    async def letter(request: Request) -> Response:
        found = await asyncio.to_thread(mailbox.find, request.path_params["name"])
        if found is None or found.html is None:
            return JSONResponse({"code": "NOT_FOUND"}, 404)
        return Response(found.html, media_type="text/html; charset=utf-8", headers=_LETTER_HEADERS)

    return [
        *(Route(PATH + path, _file(name), methods=["GET"]) for path, name in _FILES.items()),
        Route(f"{PATH}/messages", messages, methods=["GET"]),
        Route(f"{PATH}/messages/{{name}}", message, methods=["GET"]),
        Route(f"{PATH}/messages/{{name}}/html", letter, methods=["GET"]),
    ]


def _file(name: str) -> Callable[[Request], Awaitable[Response]]:
    async def serve(_request: Request) -> Response:
        return FileResponse(FOLDER / name, headers=_PAGE_HEADERS)

    return serve


def _shown(kept: Kept) -> dict[str, str]:
    return {
        "name": kept.name,
        "channel": kept.channel,
        "to": kept.to,
        "subject": kept.subject,
        "at": kept.at.isoformat(),
    }
