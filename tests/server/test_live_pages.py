"""The studio's pages, and the hook that a media server asks, over HTTP."""

from collections.abc import Iterator
from uuid import UUID

import httpx
import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient

from domain.kernel import uuid7
from domain.live import StreamId, StreamUse
from server.live import PATH, EmbeddedStreaming, stream_hook
from server.pages.studio import studio_routes

STREAM = StreamId(tenant_id=uuid7(), session_id=uuid7(), preparation_id=uuid7())


@pytest.fixture
def open_sessions() -> set[UUID]:
    return {STREAM.session_id}


@pytest.fixture
def platform(open_sessions: set[UUID]) -> EmbeddedStreaming:
    async def is_open(tenant_id: UUID | None, session_id: UUID, preparation_id: UUID | None) -> bool:
        return session_id in open_sessions and preparation_id in {None, STREAM.preparation_id}

    return EmbeddedStreaming(b"secret", "rtmp://media/live/", "https://media/hls", is_open)


@pytest.fixture
def client(platform: EmbeddedStreaming) -> Iterator[httpx.Client]:
    app = Starlette(routes=[stream_hook(lambda: platform), *studio_routes("https://media.example/hls")])
    with TestClient(app, follow_redirects=False) as opened:
        yield opened


@pytest.fixture
async def key(platform: EmbeddedStreaming) -> str:
    stream = await platform.open(STREAM)
    assert stream.ingest_url == "rtmp://media/live"
    assert stream.playback_url == f"https://media/hls/{STREAM.session_id}/index.m3u8"
    assert stream == await platform.open(STREAM)
    return stream.ingest_key.partition("?key=")[2]


class TestTheHook:
    def ask(self, client: httpx.Client, key: str, **more: str) -> int:
        form = {"app": "live", "call": "publish", "name": str(STREAM.session_id), "key": key}
        return client.post(PATH, data=form | more).status_code

    def test_lets_the_host_publish_as_nginx_asks(self, client: httpx.Client, key: str) -> None:
        assert self.ask(client, key) == 204

    def test_lets_the_host_publish_as_mediamtx_asks(self, client: httpx.Client, key: str) -> None:
        asked = {"action": "publish", "path": f"live/{STREAM.session_id}", "query": f"key={key}", "protocol": "rtmp"}
        assert client.post(PATH, json=asked | {"ip": "192.0.2.1", "id": None}).status_code == 204
        assert client.post(PATH, json=asked | {"query": "key=wrong"}).status_code == 403

    def test_lets_everybody_see_what_is_open_and_nothing_else(
        self, client: httpx.Client, key: str, open_sessions: set[UUID]
    ) -> None:
        assert self.ask(client, "", call="play") == 204
        open_sessions.clear()
        assert (self.ask(client, "", call="play"), self.ask(client, key)) == (403, 403)

    @pytest.mark.parametrize("body", [b"", b"{", b"[]", b'"text"', b"null", b"\xff\xfe", b"x" * 20_000])
    def test_refuses_whatever_else_it_is_sent(self, client: httpx.Client, body: bytes) -> None:
        for kind in ("application/json", "application/x-www-form-urlencoded", ""):
            assert client.post(PATH, content=body, headers={"content-type": kind}).status_code == 403

    async def test_refuses_keys_that_were_made_elsewhere(self, platform: EmbeddedStreaming, key: str) -> None:
        other = EmbeddedStreaming(b"another secret", "rtmp://media/live", "https://media/hls", platform._is_open)
        assert await platform.allows(str(STREAM.session_id), key, StreamUse.PUBLISH)
        assert not await other.allows(str(STREAM.session_id), key, StreamUse.PUBLISH)


class TestThePages:
    @pytest.mark.parametrize("path", ["/studio", f"/live/{UUID(int=1)}"])
    def test_run_our_own_scripts_only(self, client: httpx.Client, path: str) -> None:
        answer = client.get(path)
        policy = answer.headers["content-security-policy"]
        assert answer.status_code == 200
        assert "default-src 'none'; script-src 'self'; style-src 'self';" in policy
        assert "media-src https://media.example;" in policy
        assert "<script>" not in answer.text
        assert "style=" not in answer.text

    @pytest.mark.parametrize("name", ["studio.js", "watch.js", "graph.js", "dom.js", "documents.js", "studio.css"])
    def test_have_their_parts(self, client: httpx.Client, name: str) -> None:
        answer = client.get(f"/studio/assets/{name}")
        assert answer.status_code == 200
        assert "innerHTML" not in answer.text

    def test_send_who_wants_to_watch_to_the_session(self, client: httpx.Client) -> None:
        wanted = str(uuid7())
        assert client.get("/studio", params={"watch": wanted}).headers["location"] == f"/live/{wanted}"
        assert client.get("/studio", params={"watch": "//evil.example"}).headers["location"] == "/studio"
        assert client.get("/live/nothing").status_code == 404
