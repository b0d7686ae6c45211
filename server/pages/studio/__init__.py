"""The live studio: a console for hosts at /studio, and the session that viewers see at /live/<id>."""

from pathlib import Path
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import FileResponse, RedirectResponse, Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles

FOLDER = Path(__file__).parent
ASSETS_PATH = "/studio/assets"


def studio_routes(playback_url: str) -> list[BaseRoute]:
    """Make the routes of both pages; streams come from `playback_url`, everything else from this server."""
    headers = _headers(playback_url)

    async def console(request: Request) -> Response:
        watched = request.query_params.get("watch")
        if watched is not None:
            return RedirectResponse(f"/live/{watched}" if watched.replace("-", "").isalnum() else "/studio")
        return FileResponse(FOLDER / "studio.html", headers=headers)

    async def watch(_request: Request) -> Response:
        return FileResponse(FOLDER / "watch.html", headers=headers)

    return [
        Mount(ASSETS_PATH, StaticFiles(directory=FOLDER / "assets")),
        Route("/studio", console),
        Route("/live/{session_id:uuid}", watch),
    ]


def _headers(playback_url: str) -> dict[str, str]:
    parts = urlsplit(playback_url)
    streams = f"{parts.scheme}://{parts.netloc}"
    return {
        "content-security-policy": (
            "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self' ws: wss:; "
            f"media-src {streams}; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
        ),
        "x-content-type-options": "nosniff",
        "referrer-policy": "no-referrer",
        "cache-control": "no-cache",
    }
