"""Calls to identity providers, within limits of size and time, and for tenants' own within limits of where."""

import asyncio
import ipaddress
import socket
from collections.abc import AsyncIterator, Mapping
from typing import Any

import httpx
import orjson

from domain.kernel import Unavailable

MAX_BYTES = 512 * 1024
TIMEOUT_SECONDS = 10.0
_HEADERS = {"accept": "application/json", "accept-encoding": "identity", "user-agent": "Agora"}


class AddressRefused(httpx.TransportError):
    """A name leads to where this server has no business on anybody's behalf."""


class TooLarge(httpx.TransportError):
    """An answer is longer than any honest one."""


def is_public(address: str) -> bool:
    """Say whether an IP address is one of the open internet, however it is wrapped."""
    found = ipaddress.ip_address(address)
    if isinstance(found, ipaddress.IPv6Address):
        inner = found.ipv4_mapped or found.sixtofour
        if inner is not None:
            return is_public(str(inner))
        if found.teredo is not None or found in ipaddress.ip_network("64:ff9b::/96"):
            return False
    return found.is_global and not found.is_multicast


class _Bounded(httpx.AsyncByteStream):
    def __init__(self, stream: httpx.AsyncByteStream, most: int) -> None:
        self._stream = stream
        self._most = most

    async def __aiter__(self) -> AsyncIterator[bytes]:
        left = self._most
        async for chunk in self._stream:
            left -= len(chunk)
            if left < 0:
                raise TooLarge(f"the answer is longer than {self._most:,} bytes")
            yield chunk

    async def aclose(self) -> None:
        await self._stream.aclose()


class Guard(httpx.AsyncBaseTransport):
    """Bounds answers; where it is `closed`, also resolves names itself and connects to public addresses alone.

    The address that was looked at is the one that is called, so that a name cannot lead elsewhere a moment later; the
    certificate is still held against the name. No connection is kept, for one address may have several names.
    """

    def __init__(self, *, closed: bool, max_bytes: int = MAX_BYTES) -> None:
        self._closed = closed
        self._most = max_bytes
        self._inner = httpx.AsyncHTTPTransport(limits=httpx.Limits(max_keepalive_connections=0))

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if self._closed:
            host = request.url.host
            request.extensions = {**request.extensions, "sni_hostname": host}
            request.url = request.url.copy_with(host=await self._public_address(request.url))
        response = await self._inner.handle_async_request(request)
        if response.headers.get("content-encoding", "identity") != "identity":
            await response.aclose()
            raise TooLarge("the answer is compressed, unasked")
        stream = response.stream
        assert isinstance(stream, httpx.AsyncByteStream)  # noqa: S101 — what an asynchronous transport gives.
        return httpx.Response(
            response.status_code,
            headers=response.headers,
            stream=_Bounded(stream, self._most),
            extensions=response.extensions,
        )

    async def aclose(self) -> None:
        await self._inner.aclose()

    @staticmethod
    async def _public_address(url: httpx.URL) -> str:
        if url.scheme != "https":
            raise AddressRefused("only https is called")
        try:
            found = await asyncio.get_running_loop().getaddrinfo(url.host, url.port or 443, type=socket.SOCK_STREAM)
        except OSError as error:
            raise httpx.ConnectError("the name is not known") from error
        addresses = [str(each[4][0]) for each in found]
        # One bad address among good ones is no accident either.
        if not addresses or not all(is_public(each) for each in addresses):
            raise AddressRefused("the name leads to an address that is not public")
        return addresses[0]


class Fetcher:
    """Asks providers for JSON; redirects are not followed, for no endpoint of a provider has any."""

    def __init__(self, *, closed: bool, timeout_seconds: float = TIMEOUT_SECONDS, max_bytes: int = MAX_BYTES) -> None:
        self._timeout = timeout_seconds
        self._client = httpx.AsyncClient(
            transport=Guard(closed=closed, max_bytes=max_bytes),
            timeout=timeout_seconds,
            headers=_HEADERS,
            trust_env=False,
        )

    async def close(self) -> None:
        await self._client.aclose()

    async def get(self, url: str, part: str, headers: Mapping[str, str] | None = None) -> dict[str, Any]:
        """Get an object.

        Raises: Unavailable.
        """
        status, found = await self._send("GET", url, part, headers=dict(headers or {}))
        if status != 200:
            raise Unavailable(part=part)
        return found

    async def post(self, url: str, part: str, body: str, headers: Mapping[str, str]) -> tuple[int, dict[str, Any]]:
        """Post a form, and give the status below 500 with the object that came.

        Raises: Unavailable.
        """
        form = {"content-type": "application/x-www-form-urlencoded", **headers}
        return await self._send("POST", url, part, content=body, headers=form)

    async def _send(self, method: str, url: str, part: str, **options: Any) -> tuple[int, dict[str, Any]]:
        try:
            # httpx counts each wait by itself; a drop now and then would keep it waiting for ever.
            async with asyncio.timeout(self._timeout):
                answer = await self._client.request(method, url, **options)
            found = orjson.loads(answer.content)
        except (TimeoutError, httpx.HTTPError, httpx.InvalidURL, orjson.JSONDecodeError) as error:
            raise Unavailable(part=part) from error
        if answer.status_code >= 500 or not isinstance(found, dict):
            raise Unavailable(part=part)
        return answer.status_code, found
