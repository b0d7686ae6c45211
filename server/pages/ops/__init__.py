"""The page for a person who watches over an installation: the supergraph, and what goes on in it."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from time import time
from typing import Any

import orjson
import structlog
from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import BaseRoute, Route

from data.bus import RedisBus
from data.database import Database
from data.vital_signs import vital_signs
from domain.kernel import DomainError
from server.figures import Figures
from server.health import Health, dead_letter_count, outbox_lag
from server.pages.ops.supergraph import drawn
from server.sessions import Sessions

log = structlog.get_logger("agora.ops")

PATH = "/ops"
PERMISSION = "platform.operate"
FOLDER = Path(__file__).parent / "assets"
ASSETS = ("ops.js", "drawing.js", "panels.js", "rates.js", "dom.js", "ops.css", "documents.json")
PATIENCE_SECONDS = 4.0
DOCUMENTS: Sequence[str] = tuple(orjson.loads((FOLDER / "documents.json").read_bytes()).values())
"""What the page asks of the graph; it must be able to where only registered documents are executed."""
_HEADERS = {
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src data:; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cache-control": "no-cache",
}
_PRIVATE = {"cache-control": "no-store", "x-content-type-options": "nosniff"}


class Overview:
    """What the page shows, gathered from all processes, the database and the bus; a part that does not answer is missing."""

    def __init__(self, figures: Figures, health: Health, database: Database, bus: RedisBus) -> None:
        self._figures = figures
        self._health = health
        self._database = database
        self._bus = bus

    async def gathered(self) -> dict[str, Any]:
        """Gather everything, side by side."""
        parts = {
            "processes": self._figures.all,
            "health": self._health.report,
            "consumers": self._consumers,
            "workers": self._bus.workers,
            "deadLetters": lambda: dead_letter_count(self._database),
            "outboxAge": lambda: outbox_lag(self._database),
            "onTheirWay": self._on_their_way,
        }
        found = await asyncio.gather(*(self._answer(name, part) for name, part in parts.items()))
        return {"at": time(), **dict(zip(parts, found, strict=True))}

    async def _answer(self, name: str, part: Callable[[], Awaitable[Any]]) -> Any:
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                return await part()
        except Exception as error:  # noqa: BLE001 — the page shows the other parts, and that this one is missing.
            log.warning("ops.part_missing", part=name, reason=repr(error))
            return None

    async def _consumers(self) -> list[dict[str, Any]]:
        totals: dict[str, dict[str, Any]] = {}
        for each in await self._bus.backlogs():
            row = totals.setdefault(each.consumer, {"name": each.consumer, "undelivered": 0, "pending": 0})
            row["undelivered"] += each.undelivered
            row["pending"] += each.pending
        return [totals[name] for name in sorted(totals)]

    async def _on_their_way(self) -> dict[str, Any]:
        signs = await vital_signs(self._database)
        return {
            "sagas": signs.sagas,
            "jobs": signs.jobs,
            "parked": signs.parked,
            "oldestSagaSeconds": signs.oldest_saga_seconds,
        }


def ops_routes(sessions: Sessions, overview: Overview) -> list[BaseRoute]:
    """Make the page, which holds nothing, and what it reads, which is for those who operate the platform."""

    def guarded(read: Callable[[], Awaitable[Any]]) -> Callable[[Request], Awaitable[Response]]:
        async def answer(request: Request) -> Response:
            try:
                session = await sessions(request, None)
            except DomainError:
                return _json({"code": "UNAUTHENTICATED"}, 401)
            if session.caller.user_id is None:
                return _json({"code": "UNAUTHENTICATED"}, 401)
            if not session.caller.may(PERMISSION):
                return _json({"code": "FORBIDDEN"}, 403)
            return _json(await read(), 200)

        return answer

    async def supergraph() -> Any:
        return drawn()

    return [
        Route(PATH, _file("index.html"), methods=["GET"]),
        *(Route(f"{PATH}/assets/{name}", _file(name), methods=["GET"]) for name in ASSETS),
        Route(f"{PATH}/supergraph", guarded(supergraph), methods=["GET"]),
        Route(f"{PATH}/figures", guarded(overview.gathered), methods=["GET"]),
    ]


def _file(name: str) -> Callable[[Request], Awaitable[Response]]:
    async def serve(_request: Request) -> Response:
        return FileResponse(FOLDER / name, headers=_HEADERS)

    return serve


def _json(body: Any, status: int) -> Response:
    return Response(orjson.dumps(body), status, headers=_PRIVATE, media_type="application/json")
