"""The page on which a recipient follows a delivery by its number."""

from collections.abc import Awaitable, Callable
from pathlib import Path

from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import BaseRoute, Route

PATH = "/track"
FOLDER = Path(__file__).parent / "track"
ASSETS = ("track.js", "map.js", "live.js", "track.css")
_HEADERS = {
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src data:; connect-src 'self' ws: wss:; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "x-content-type-options": "nosniff",
    # The address holds the number, and whoever has the number may look.
    "referrer-policy": "no-referrer",
    "cache-control": "no-cache",
}


def track_routes() -> list[BaseRoute]:
    """Make `/track/<number>`; which tenant it is about says the host, or `?tenant=<code>`."""
    return [
        *(Route(f"{PATH}/assets/{name}", _file(name), methods=["GET"]) for name in ASSETS),
        Route(f"{PATH}/{{number}}", _file("index.html"), methods=["GET"]),
    ]


def _file(name: str) -> Callable[[Request], Awaitable[Response]]:
    async def serve(_request: Request) -> Response:
        return FileResponse(FOLDER / name, headers=_HEADERS)

    return serve
