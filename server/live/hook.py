"""What a media server asks before it lets somebody send or see a stream: nginx-rtmp's `on_publish`, MediaMTX's HTTP auth."""

from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import parse_qsl

import orjson
import structlog
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from domain.live import StreamingPlatform, StreamUse

log = structlog.get_logger("agora.streams")

PATH = "/live/streams/auth"
MAX_BODY_BYTES = 16 * 1024
# As nginx-rtmp calls them, and as MediaMTX does.
_USES = {
    "publish": StreamUse.PUBLISH,
    "play": StreamUse.PLAY,
    "read": StreamUse.PLAY,
    "playback": StreamUse.PLAY,
}


def stream_hook(platform: Callable[[], StreamingPlatform | None]) -> Route:
    """Make the route; it answers 204 where the stream is allowed, and 403 for everything else, however it was asked."""

    async def answer(request: Request) -> Response:
        known, asked = platform(), await _asked(request)
        use = _USES.get(asked.get("call") or asked.get("action") or "")
        if known is None or use is None:
            return Response(status_code=403)
        # The name is the last part of the path; a key that came along is told to nobody, the log included.
        name = (asked.get("name") or asked.get("path") or "").rpartition("/")[2]
        allowed = await known.allows(name, _key(asked), use)
        log.info("stream.asked", stream=name[:64], use=str(use), allowed=allowed)
        return Response(status_code=204 if allowed else 403)

    return Route(PATH, answer, methods=["POST"])


def _key(asked: Mapping[str, str]) -> str:
    return asked.get("key") or dict(parse_qsl(asked.get("query") or "")).get("key") or ""


async def _asked(request: Request) -> dict[str, str]:
    """Read a form or a JSON object of texts; whatever else there is means nothing."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_BODY_BYTES:
            return {}
    try:
        if request.headers.get("content-type", "").startswith("application/json"):
            read: Any = orjson.loads(body)
            return {name: value for name, value in read.items() if isinstance(value, str)}
        return dict(parse_qsl(body.decode()))
    except (ValueError, AttributeError):
        return {}
