"""Where a tenant's own provider may lead this server, and how much it may tell."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

import httpx
import pytest

from domain.identity.identity_providers import Authorization, Connection
from domain.kernel import Unavailable
from server.sign_on.directory import ConfiguredProviders, SignOnSettings
from server.sign_on.fetching import AddressRefused, Fetcher, Guard, is_public


class TestAPublicAddress:
    @pytest.mark.parametrize("address", ["8.8.8.8", "2606:4700:4700::1111", "::ffff:8.8.8.8"])
    def test_is_one_of_the_open_internet(self, address: str) -> None:
        assert is_public(address)

    @pytest.mark.parametrize(
        "address",
        [
            "127.0.0.1",
            "10.1.2.3",
            "172.16.0.1",
            "192.168.1.1",
            "169.254.169.254",
            "100.64.0.1",
            "0.1.2.3",
            "224.0.0.1",
            "255.255.255.255",
            "::1",
            "::",
            "fe80::1",
            "fd00::1",
            "::ffff:127.0.0.1",
            "::ffff:169.254.169.254",
            "64:ff9b::7f00:1",
            "2002:7f00:1::",
            "ff02::1",
        ],
    )
    def test_is_none_of_the_inner_ones_however_wrapped(self, address: str) -> None:
        assert not is_public(address)


@contextmanager
def names(**known: list[str]) -> Iterator[None]:
    """Have names lead where the owner of a domain could make them lead."""

    async def resolve(_loop: Any, host: str, port: int, **_: Any) -> list[Any]:
        return [(2, 1, 6, "", (each, port)) for each in known.get(host.partition(".")[0], [])]

    with patch.object(asyncio.base_events.BaseEventLoop, "getaddrinfo", resolve):
        yield


class TestAClosedGuard:
    @pytest.fixture
    async def client(self) -> AsyncIterator[httpx.AsyncClient]:
        async with httpx.AsyncClient(transport=Guard(closed=True), trust_env=False) as made:
            yield made

    @pytest.mark.parametrize(
        "url",
        ["https://127.0.0.1/", "https://[::1]:8443/", "https://169.254.169.254/latest/meta-data", "https://localhost/"],
    )
    async def test_calls_nobody_inside(self, client: httpx.AsyncClient, url: str) -> None:
        with pytest.raises(AddressRefused):
            await client.get(url)

    async def test_calls_by_https_alone(self, client: httpx.AsyncClient) -> None:
        with pytest.raises(AddressRefused):
            await client.get("http://8.8.8.8/")

    async def test_is_not_led_inside_by_a_name(self, client: httpx.AsyncClient) -> None:
        with names(sly=["127.0.0.1"], mixed=["8.8.8.8", "10.0.0.1"]):
            for name in ("sly", "mixed"):
                with pytest.raises(AddressRefused):
                    await client.get(f"https://{name}.example/")

    async def test_calls_the_address_that_it_looked_at(self) -> None:
        """A name that leads elsewhere the second time it is asked for is asked for once."""
        seen: list[httpx.Request] = []

        class Noting(httpx.AsyncBaseTransport):
            async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
                seen.append(request)
                return httpx.Response(200, stream=httpx.ByteStream(b"{}"))

        guard = Guard(closed=True)
        await guard.aclose()
        guard._inner = Noting()
        with names(good=["8.8.8.8"]):
            async with httpx.AsyncClient(transport=guard) as client:
                await client.get("https://good.example:8443/keys")
        assert str(seen[0].url) == "https://8.8.8.8:8443/keys"
        assert seen[0].headers["host"] == "good.example:8443"
        assert seen[0].extensions["sni_hostname"] == "good.example"

    async def test_holds_the_certificate_against_the_name(self) -> None:
        context = httpx.AsyncHTTPTransport()._pool._ssl_context
        assert context.check_hostname
        assert context.verify_mode is ssl.CERT_REQUIRED


class TestATenantsProvider:
    @pytest.mark.parametrize("issuer", ["https://127.0.0.1:9", "http://127.0.0.1:9", "https://localhost"])
    async def test_that_leads_inside_is_not_available_in_production(self, issuer: str) -> None:
        providers = ConfiguredProviders(SignOnSettings(sheltered=True))
        way = Authorization(state="s", nonce="n", verifier="v" * 43, redirect_uri="https://shop.example/")
        with pytest.raises(Unavailable):
            await providers.authorization_url(
                Connection(provider="sso.acme", title="Acme", issuer=issuer, client_id="a"), way
            )
        await providers.close()


class TestAFetcher:
    async def serve(self, answer: bytes) -> tuple[Any, str]:
        async def reply(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(answer)
            await writer.drain()
            writer.close()

        server = await asyncio.start_server(reply, "127.0.0.1", 0)
        return server, f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"

    @pytest.mark.parametrize(
        "answer",
        [
            b"HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 2\r\n\r\n{}",
            b"HTTP/1.1 404 Not Found\r\ncontent-length: 2\r\n\r\n{}",
            b"HTTP/1.1 500 Oops\r\ncontent-length: 2\r\n\r\n{}",
            b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n[]",
            b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nno!",
            b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: 2\r\n\r\n{}",
            b"HTTP/1.1 200 OK\r\ncontent-length: 3000\r\n\r\n{" + b" " * 2998 + b"}",
            b"nonsense\r\n\r\n",
        ],
        ids=["redirect", "missing", "broken", "list", "text", "compressed", "long", "nonsense"],
    )
    async def test_takes_a_short_plain_object_and_nothing_else(self, answer: bytes) -> None:
        server, url = await self.serve(answer)
        fetcher = Fetcher(closed=False, max_bytes=1_000)
        async with server:
            with pytest.raises(Unavailable):
                await fetcher.get(url, "Acme")
        await fetcher.close()

    async def test_gives_the_object(self) -> None:
        server, url = await self.serve(b'HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n{"a": 1} ')
        fetcher = Fetcher(closed=False)
        async with server:
            assert await fetcher.get(url, "Acme") == {"a": 1}
        await fetcher.close()
