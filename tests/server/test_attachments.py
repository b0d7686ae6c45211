"""Files in messages on their way: asked for, uploaded, examined, sent, and read by those who may."""

import io
import os
import struct
import zlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import pytest
from PIL import Image, PngImagePlugin

from data.objects import ObStore
from domain.kernel import NotFound, Principal, Work, uuid7
from domain.messaging import THUMBNAIL_TYPE, UploadTicket, UploadTickets
from domain.messaging.attachments import expire_attachment
from domain.objects import ObjectStore, object_key
from server.images import FileRefused, examine
from tests.conftest import NOW
from tests.server.application import Application, Reply
from tests.server.conftest import token_of

START = """mutation($product: ID!) { startConversation(input: {productId: $product}) {
  ... on Conversation { id } ... on Error { code message } } }"""
REQUEST = """mutation($id: ID!, $name: String!) { requestAttachmentUpload(input: {conversationId: $id, name: $name}) {
  ... on AttachmentUpload { attachmentId url method maxBytes } ... on Error { code message } } }"""
SEND = """mutation($id: ID!, $client: String!, $files: [ID!]!, $body: String!) {
  sendMessage(input: {conversationId: $id, clientId: $client, body: $body, attachmentIds: $files}) {
    __typename
    ... on Message { id body attachments { id name contentType sizeBytes width height url thumbnailUrl } }
    ... on Error { code message } } }"""
PDF = b"%PDF-1.4\n1 0 obj<<>>endobj\ntrailer<<>>\n%%EOF\n"
SCRIPT = b"<script>alert(1)</script>"
PHOTOS = Path(os.environ.get("AGORA_SAMPLE_PHOTOS", "/nowhere"))


def picture(kind: str = "PNG", size: tuple[int, int] = (600, 400), **options: Any) -> bytes:
    written = io.BytesIO()
    Image.effect_noise(size, 40).convert("RGB").save(written, kind, **options)
    return written.getvalue()


def bomb(side: int = 30_000) -> bytes:
    """Write a PNG of a few kilobytes that says it has a side of so many pixels."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", side, side, 1, 0, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", head)
        + chunk(b"IDAT", zlib.compress(b"\0" * 4_000_000))
        + chunk(b"IEND", b"")
    )


@dataclass
class Room:
    """A conversation in the served application, and the tokens of those who talk."""

    application: Application
    code: str
    id: str
    buyer: str
    seller: str
    others: dict[str, str] = field(default_factory=dict)

    async def ask(self, document: str, token: str, **variables: Any) -> Any:
        reply = await self.application.ask(document, variables, tenant=self.code, token=token)
        return next(iter(reply.data.values()))

    async def ticket(self, name: str = "a.png") -> Any:
        return await self.ask(REQUEST, self.buyer, id=self.id, name=name)

    async def put(self, url: str, content: bytes) -> Reply:
        return Reply(await self.application.client.put(url, content=content))

    async def post(self, url: str, content: bytes) -> Reply:
        return Reply(await self.application.client.post(url, content=content))

    async def upload(self, content: bytes, name: str = "a.png") -> Reply:
        return await self.put((await self.ticket(name))["url"], content)

    async def send(self, *files: str, body: str = "", token: str | None = None) -> Any:
        return await self.ask(SEND, token or self.buyer, id=self.id, client=uuid7().hex, files=files, body=body)

    async def get(self, path: str, token: str | None, code: str | None = None) -> httpx.Response:
        headers = {"x-agora-tenant": code or self.code} | ({"authorization": f"Bearer {token}"} if token else {})
        return await self.application.client.get(path, headers=headers)


@pytest.fixture
async def room(application: Application, shop: Any, other_shop: Any, workshop: Any) -> Room:
    def token(*permissions: str, user_id: UUID | None = None, tenant_id: UUID = shop.market.tenant_id) -> str:
        who = Principal(
            user_id=user_id or uuid7(),
            tenant_id=tenant_id,
            session_id=uuid7(),
            permissions=frozenset(permissions),
        )
        return token_of(workshop, who)

    made = Room(application, shop.code, "", token(), token(user_id=shop.market.admin.user_id))
    made.others = {
        "stranger": token(),
        "moderator": token("messaging.moderate"),
        "foreigner": token("messaging.*", tenant_id=other_shop.market.tenant_id),
    }
    made.id = (await made.ask(START, made.buyer, product=shop.keys["product"]))["id"]
    return made


class TestAPicture:
    async def test_goes_from_an_upload_to_those_who_take_part(self, room: Room) -> None:
        ticket = await room.ticket("C:\\photos\\мой кот.png")
        assert (ticket["method"], ticket["maxBytes"]) == ("POST", 10 * 1024**2)
        uploaded = await room.post(ticket["url"], picture())
        assert uploaded.status == 201
        assert (uploaded.body["contentType"], uploaded.body["width"], uploaded.body["height"]) == (
            "image/png",
            600,
            400,
        )
        path = f"/attachments/{ticket['attachmentId']}"
        assert (await room.get(path, room.seller)).status_code == 404
        sent = await room.send(ticket["attachmentId"])
        (file,) = sent["attachments"]
        assert (file["name"], file["url"], file["thumbnailUrl"]) == ("мой кот.png", path, f"{path}?size=thumbnail")
        for token in (room.buyer, room.seller, room.others["moderator"]):
            got = await room.get(path, token)
            assert (got.status_code, got.headers["content-type"]) == (200, "image/png")
            assert len(got.content) == file["sizeBytes"]
        assert got.headers["x-content-type-options"] == "nosniff"
        assert got.headers["content-security-policy"] == "default-src 'none'; sandbox"
        assert got.headers["content-disposition"].startswith("inline; filename*=UTF-8''%D0%BC")
        small = await room.get(file["thumbnailUrl"], room.seller)
        assert (small.headers["content-type"], Image.open(io.BytesIO(small.content)).size) == (
            THUMBNAIL_TYPE,
            (320, 213),
        )

    async def test_is_nobody_else_s(self, room: Room, other_shop: Any) -> None:
        uploaded = await room.upload(picture())
        await room.send(uploaded.body["id"])
        path = f"/attachments/{uploaded.body['id']}"
        never = await room.get(f"/attachments/{uuid7()}", room.others["stranger"])
        for who, code in (("stranger", room.code), ("foreigner", other_shop.code)):
            refused = await room.get(path, room.others[who], code)
            assert refused.status_code == 404
            assert refused.json()["code"] == never.json()["code"] == "NOT_FOUND"
        assert (await room.get(path, None)).status_code == 401

    async def test_waits_with_its_message_for_a_moderator(self, room: Room) -> None:
        uploaded = await room.upload(picture())
        await room.send(uploaded.body["id"], body="See www.elsewhere.example")
        path = f"/attachments/{uploaded.body['id']}"
        found = [
            (await room.get(path, token)).status_code for token in (room.buyer, room.seller, room.others["moderator"])
        ]
        assert found == [200, 404, 200]

    async def test_is_uploaded_once_and_sent_once(self, room: Room) -> None:
        ticket = await room.ticket()
        first = await room.put(ticket["url"], picture())
        again = await room.put(ticket["url"], picture("JPEG"))
        assert (first.status, again.status, again.body["code"]) == (201, 409, "INVALID_STATE_TRANSITION")
        assert (await room.send(ticket["attachmentId"]))["__typename"] == "Message"
        assert (await room.send(ticket["attachmentId"]))["code"] == "NOT_FOUND"

    async def test_is_sent_by_its_uploader_only(self, room: Room) -> None:
        ticket = await room.ticket()
        assert (await room.send(ticket["attachmentId"]))["code"] == "NOT_FOUND"
        await room.put(ticket["url"], picture())
        assert (await room.send(ticket["attachmentId"], token=room.seller))["code"] == "NOT_FOUND"

    @pytest.mark.skipif(not PHOTOS.is_dir(), reason="AGORA_SAMPLE_PHOTOS names no folder of photographs")
    async def test_may_be_any_photograph(self, room: Room) -> None:
        for path in sorted(PHOTOS.glob("*.jpg"))[:8]:  # noqa: ASYNC240 — nobody waits for the loop here.
            uploaded = await room.upload(path.read_bytes(), path.name)
            assert (uploaded.status, uploaded.body["contentType"]) == (201, "image/jpeg"), path


class TestADocument:
    async def test_is_kept_as_it_is_and_never_opened_in_place(self, room: Room) -> None:
        uploaded = await room.upload(PDF, "invoice.png")
        assert (uploaded.body["contentType"], uploaded.body["width"]) == ("application/pdf", None)
        sent = await room.send(uploaded.body["id"], body="Here")
        assert sent["attachments"][0]["thumbnailUrl"] is None
        got = await room.get(sent["attachments"][0]["url"], room.seller)
        assert (got.content, got.headers["content-type"]) == (PDF, "application/pdf")
        assert got.headers["content-disposition"] == "attachment; filename*=UTF-8''invoice.png"


class TestAnUpload:
    @pytest.mark.parametrize(
        "content",
        [b"", SCRIPT, b"<svg xmlns='http://www.w3.org/2000/svg'/>", b"MZ" + bytes(500), b"GIF89a" + SCRIPT, b"PK\3\4"],
    )
    async def test_of_anything_else_is_refused(self, room: Room, content: bytes) -> None:
        ticket = await room.ticket("a.png")
        refused = await room.put(ticket["url"], content)
        assert (refused.status, refused.body["code"]) == (415, "FILE_REFUSED")
        assert (await room.send(ticket["attachmentId"]))["code"] == "NOT_FOUND"

    async def test_of_too_many_bytes_is_refused(self, room: Room) -> None:
        refused = await room.upload(picture() + bytes(10 * 1024**2))
        assert (refused.status, refused.body["code"]) == (413, "FILE_TOO_LARGE")

    async def test_needs_a_ticket_of_ours(self, room: Room, workshop: Any) -> None:
        url = (await room.ticket())["url"]
        for bad in ("/attachments", "/attachments?ticket=abc", f"{url}x"):
            refused = await room.put(bad, picture())
            assert (refused.status, refused.body["code"]) == (403, "TICKET_INVALID")
        unknown = UploadTicket(tenant_id=uuid7(), attachment_id=uuid7(), user_id=uuid7())
        refused = await room.put(workshop.by_port[UploadTickets].issue(unknown), picture())
        assert refused.status in {403, 404}

    async def test_is_for_those_who_take_part(self, room: Room) -> None:
        for who in ("stranger", "moderator"):
            refused = await room.ask(REQUEST, room.others[who], id=room.id, name="a.png")
            assert refused["code"] == "NOT_FOUND"
        assert (await room.ask(REQUEST, room.buyer, id=room.id, name="a\nb"))["code"] == "INVALID_INPUT"

    async def test_is_limited_while_nothing_is_sent(self, room: Room) -> None:
        asked = [await room.ticket() for _ in range(21)]
        assert [each.get("code") for each in asked] == [None] * 20 + ["TOO_MANY_UPLOADS"]

    async def test_that_is_never_sent_is_thrown_away(self, room: Room, workshop: Any, shop: Any) -> None:
        kept, unused = [(await room.upload(picture())).body["id"] for _ in range(2)]
        await room.send(kept)
        work = Work(tenant_id=shop.market.tenant_id, actor=shop.market.admin, now=NOW, correlation_id="test")
        for _ in range(2):
            for each in (kept, unused):
                await workshop.transactions.run(expire_attachment, {"attachment_id": each}, work)
        found = [(await room.get(f"/attachments/{each}", room.buyer)).status_code for each in (kept, unused)]
        assert found == [200, 404]
        objects = workshop.by_port[ObjectStore]
        with pytest.raises(NotFound):
            await objects.read(object_key(shop.market.tenant_id, "messaging", UUID(unused)))


class TestExamining:
    def test_leaves_nothing_but_the_picture(self) -> None:
        exif = Image.Exif()
        exif[0x010E] = "My secret home"
        exif[0x0112] = 6
        shot = examine(io.BytesIO(picture("JPEG", exif=exif, comment=b"secret")))
        image = Image.open(io.BytesIO(shot.content))
        assert (dict(image.getexif()), b"secret" in shot.content) == ({}, False)
        # The camera was held upright, and so is the picture.
        assert (image.size, shot.examined.width, shot.examined.height) == ((400, 600), 400, 600)

    def test_drops_a_script_behind_and_in_a_png(self) -> None:
        text = PngImagePlugin.PngInfo()
        text.add_text("Comment", SCRIPT.decode())
        drawn = examine(io.BytesIO(picture(pnginfo=text) + SCRIPT))
        assert (b"script" in drawn.content, drawn.examined.content_type) == (False, "image/png")
        Image.open(io.BytesIO(drawn.content)).load()

    @pytest.mark.parametrize(
        ("content", "reason"),
        [
            (bomb(), "pixels"),
            (picture()[:2000], "can be read"),
            (b"\x89PNG\r\n\x1a\n" + bytes(100), "can be read"),
            (b"\xff\xd8\xff\xe0" + SCRIPT * 20, "can be read"),
        ],
    )
    def test_refuses_what_is_no_picture_or_too_much_of_one(self, content: bytes, reason: str) -> None:
        with pytest.raises(FileRefused, match=reason):
            examine(io.BytesIO(content))

    @pytest.mark.parametrize("kind", ["GIF", "WEBP"])
    def test_keeps_a_picture_moving_unless_it_is_too_much(self, kind: str) -> None:
        def moving(frames: int, side: int) -> io.BytesIO:
            written = io.BytesIO()
            shown = [Image.new("RGB", (side, side), (each * 50 % 256, each % 256, 0)) for each in range(frames)]
            shown[0].save(written, kind, save_all=True, append_images=shown[1:], duration=40, loop=0)
            return written

        drawn = examine(moving(5, 32))
        assert Image.open(io.BytesIO(drawn.content)).n_frames == 5
        with pytest.raises(FileRefused):
            examine(moving(201, 8))

    def test_makes_large_pictures_fit(self) -> None:
        drawn = examine(io.BytesIO(picture("JPEG", size=(5000, 1000))))
        assert (drawn.examined.width, drawn.examined.height) == (4096, 819)
        assert drawn.thumbnail is not None
        assert Image.open(io.BytesIO(drawn.thumbnail)).size == (320, 64)

    def test_keeps_what_can_be_seen_through(self) -> None:
        written = io.BytesIO()
        Image.new("RGBA", (10, 10), (255, 0, 0, 40)).save(written, "PNG")
        assert Image.open(io.BytesIO(examine(written).content)).getpixel((5, 5)) == (255, 0, 0, 40)


class TestTheStore:
    @pytest.mark.parametrize("kind", ["folder", "memory"])
    async def test_keeps_and_forgets(self, tmp_path: Path, kind: str) -> None:
        store = ObStore((tmp_path / "objects").as_uri() if kind == "folder" else "memory:///")

        async def pieces() -> Any:
            for each in (b"a" * 300_000, b"b"):
                yield each

        await store.put("tenant/one", pieces(), content_type="text/plain")
        await store.put("tenant/two", b"2", content_type="text/plain")
        assert b"".join([each async for each in await store.read("tenant/one")]) == b"a" * 300_000 + b"b"
        await store.delete(["tenant/one", "tenant/none"])
        with pytest.raises(NotFound):
            await store.read("tenant/one")
        assert [each async for each in await store.read("tenant/two")] == [b"2"]
