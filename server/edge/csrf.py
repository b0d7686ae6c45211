"""Cross-site requests that a browser sends without asking first are refused.

A POST must be `application/json`, which already forces a preflight. A GET runs queries only; when the browser says
that another site sent it, it needs a header that forces a preflight too. A WebSocket is checked by its origin.
"""

from collections.abc import Collection, Mapping
from urllib.parse import urlsplit

from server.edge.refusal import TransportRefusal

PREFLIGHT_HEADERS = (b"graphql-preflight", b"graphql-require-preflight", b"apollo-require-preflight")


class CrossSiteRequest(TransportRefusal):
    """A page of another site sent this request."""

    status = 403


def check_get(headers: Mapping[bytes, bytes], allowed_origins: Collection[str]) -> None:
    """Refuse a GET that another site's page sent without a preflight.

    Raises: CrossSiteRequest.
    """
    site = headers.get(b"sec-fetch-site", b"none")
    if site in (b"none", b"same-origin") or any(name in headers for name in PREFLIGHT_HEADERS):
        return
    if not _is_allowed(headers.get(b"origin", b"").decode("latin-1"), headers, allowed_origins):
        raise CrossSiteRequest("A cross-site GET needs the header GraphQL-Preflight: 1.")


def is_origin_allowed(headers: Mapping[bytes, bytes], allowed_origins: Collection[str]) -> bool:
    """Whether a WebSocket may be opened: clients that are no browser send no origin."""
    origin = headers.get(b"origin")
    return origin is None or _is_allowed(origin.decode("latin-1"), headers, allowed_origins)


def _is_allowed(origin: str, headers: Mapping[bytes, bytes], allowed_origins: Collection[str]) -> bool:
    if "*" in allowed_origins or origin in allowed_origins:
        return True
    try:
        return urlsplit(origin).netloc.encode("latin-1") == headers.get(b"host") and bool(origin)
    except ValueError:
        return False
