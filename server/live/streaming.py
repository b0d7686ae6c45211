"""The streaming platform that needs no contract: keys of our own, for a media server that asks us about them.

A stream is named like its session. Its key is signed, holds nothing secret but the signature, and is good while its
session is ready or live under the preparation that it was made for: nothing has to be kept, and nothing can be forgotten
to be revoked.
"""

import binascii
import hmac
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Awaitable, Callable
from hashlib import sha256
from uuid import UUID

from domain.live import Stream, StreamId, StreamUse

IsOpen = Callable[[UUID | None, UUID, UUID | None], Awaitable[bool]]
"""Says whether a session is ready or live: `(tenant or any, session, preparation or any)`."""

_ID_BYTES = 16
_SIGNATURE_BYTES = 20


class EmbeddedStreaming:
    """Issues and checks stream keys; implements the domain's `StreamingPlatform`."""

    def __init__(self, secret: bytes, ingest_url: str, playback_url: str, is_open: IsOpen) -> None:
        self._secret = secret
        self._ingest_url = ingest_url.rstrip("/")
        self._playback_url = playback_url.rstrip("/")
        self._is_open = is_open

    async def open(self, stream: StreamId) -> Stream:
        """Give the addresses of a stream; the key is what OBS calls the stream key, name and proof in one."""
        return Stream(
            ingest_url=self._ingest_url,
            ingest_key=f"{stream.session_id}?key={self._sign(stream)}",
            playback_url=f"{self._playback_url}/{stream.session_id}/index.m3u8",
        )

    async def allows(self, name: str, key: str, use: StreamUse) -> bool:
        """Say whether a stream may be sent with the key, or seen, at this moment."""
        try:
            session_id = UUID(name)
        except ValueError:
            return False
        if use is StreamUse.PLAY:
            return await self._is_open(None, session_id, None)
        stream = self._read(key)
        if stream is None or stream.session_id != session_id:
            return False
        return await self._is_open(stream.tenant_id, session_id, stream.preparation_id)

    async def close(self, stream: StreamId) -> None:
        """Do nothing: the key of a session that has ended is good for nothing."""

    def _sign(self, stream: StreamId) -> str:
        told = stream.tenant_id.bytes + stream.session_id.bytes + stream.preparation_id.bytes
        return urlsafe_b64encode(told + self._signature(told)).decode().rstrip("=")

    def _read(self, key: str) -> StreamId | None:
        try:
            raw = urlsafe_b64decode(key + "=" * (-len(key) % 4))
        except (ValueError, binascii.Error):
            return None
        told, signature = raw[:-_SIGNATURE_BYTES], raw[-_SIGNATURE_BYTES:]
        if len(told) != 3 * _ID_BYTES or not hmac.compare_digest(signature, self._signature(told)):
            return None
        tenant, session, preparation = (UUID(bytes=told[at : at + _ID_BYTES]) for at in range(0, len(told), _ID_BYTES))
        return StreamId(tenant_id=tenant, session_id=session, preparation_id=preparation)

    def _signature(self, told: bytes) -> bytes:
        """Sign with a part of HMAC-SHA-256 that is long enough. Source: RFC 2104, §5."""
        return hmac.new(self._secret, told, sha256).digest()[:_SIGNATURE_BYTES]
