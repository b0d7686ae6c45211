"""Which media type a response is written in.

Source: GraphQL over HTTP, "Media Types" and "Accept"; RFC 9110 §12.5.1.
"""

from enum import StrEnum
from functools import lru_cache

from server.edge.refusal import TransportRefusal


class MediaType(StrEnum):
    JSON = "application/json"
    GRAPHQL = "application/graphql-response+json"
    EVENTS = "text/event-stream"
    HTML = "text/html"


class NotAcceptable(TransportRefusal):
    """The client accepts nothing that the edge writes."""

    status = 406


class UnsupportedMediaType(TransportRefusal):
    """The body is not `application/json` in UTF-8; a form or multipart body is refused on purpose."""

    status = 415


_WILDCARDS = {"*/*": MediaType.JSON, "application/*": MediaType.JSON}
_OFFERED = {media.value: media for media in MediaType} | _WILDCARDS


@lru_cache(maxsize=256)
def negotiate(accept: str, *, html: bool) -> MediaType:
    """Choose by quality, then by how specific the range is, then by the client's order.

    Raises: NotAcceptable.
    """
    if not accept.strip():
        return MediaType.JSON
    best: tuple[float, bool] = (0.0, True)
    chosen: MediaType | None = None
    for item in accept.split(","):
        name, *parameters = (part.strip().lower() for part in item.split(";"))
        media = _OFFERED.get(name)
        rank = (_quality(parameters), name not in _WILDCARDS)
        if media and rank > best and (html or media is not MediaType.HTML):
            best, chosen = rank, media
    if chosen is None:
        raise NotAcceptable(f"Acceptable media types are {', '.join(m.value for m in list(MediaType)[:3])}.")
    return chosen


def _quality(parameters: list[str]) -> float:
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name == "charset" and value.strip('"') not in ("utf-8", "utf8"):
            return 0.0
        if name == "q":
            try:
                return min(1.0, float(value))
            except ValueError:
                return 0.0
    return 1.0


@lru_cache(maxsize=64)
def is_json(content_type: str) -> bool:
    """Whether a request body is JSON in UTF-8."""
    name, *parameters = (part.strip().lower() for part in content_type.split(";"))
    charsets = [value.strip('"') for each in parameters for key, _, value in [each.partition("=")] if key == "charset"]
    return name == MediaType.JSON and all(charset in ("utf-8", "utf8") for charset in charsets)
