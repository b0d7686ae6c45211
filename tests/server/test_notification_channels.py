"""The ways out, against servers that really speak them."""

import asyncio
import base64
import os
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import http_ece
import orjson
import pytest
from aiosmtpd.smtp import SMTP
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from joserfc import jwt
from joserfc.jwk import ECKey

from domain.kernel import uuid7
from domain.notifications import Channel, Device, Message, NotSent, PushServices
from server.notifications.letters import message_id, read_message_id
from server.notifications.mailbox import Mailbox, MailboxSender
from server.notifications.services import AppriseSender
from server.notifications.smtp import SmtpSender
from server.notifications.unsubscribing import SignedTokens
from server.notifications.web_push import WebPushSender, public_key, vapid_key

LETTER = Message(
    id=uuid7(),
    tenant_id=uuid7(),
    channel=Channel.EMAIL,
    to="ann@example.com",
    subject="Ça va — «привет»",
    text="Hello Ann",
    html="<p>Hello Ann</p>",
    link="https://shop.example/orders/1",
    sender_name="Harbour, Ltd.",
    sender_address="shop@harbour.example",
    reply_to="help@harbour.example",
    unsubscribe_url="https://shop.example/unsubscribe/t",
)


class Desk:
    """A mail server's handler: takes letters, or answers what it is told to."""

    def __init__(self) -> None:
        self.letters: list[Any] = []
        self.answers = {"RCPT": "250 OK", "DATA": "250 OK"}

    async def handle_RCPT(self, server: Any, session: Any, envelope: Any, address: str, options: Any) -> str:  # noqa: N802 — the library's name.
        if self.answers["RCPT"].startswith("2"):
            envelope.rcpt_tos.append(address)
        return self.answers["RCPT"]

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802 — the library's name.
        self.letters.append(envelope)
        return self.answers["DATA"]


@pytest.fixture
async def desk() -> AsyncIterator[tuple[Desk, SmtpSender]]:
    handler, loop = Desk(), asyncio.get_running_loop()
    server = await loop.create_server(lambda: SMTP(handler, loop=loop), "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        yield handler, SmtpSender(f"smtp://127.0.0.1:{port}", timeout_seconds=10)


class TestSmtp:
    async def test_hands_a_letter_over_with_what_lets_its_reader_leave(self, desk: tuple[Desk, SmtpSender]) -> None:
        handler, sender = desk
        receipt = await sender.send(LETTER)
        (taken,) = handler.letters
        assert (taken.mail_from, taken.rcpt_tos) == ("shop@harbour.example", ["ann@example.com"])
        head = taken.content.decode()
        assert "List-Unsubscribe: <https://shop.example/unsubscribe/t>" in head
        assert "List-Unsubscribe-Post: List-Unsubscribe=One-Click" in head
        assert 'From: "Harbour, Ltd." <shop@harbour.example>' in head
        assert "Reply-To: help@harbour.example" in head
        assert receipt.provider_message_id == message_id(LETTER)
        assert read_message_id(receipt.provider_message_id or "") == (LETTER.tenant_id, LETTER.id)

    @pytest.mark.parametrize("stage", ["RCPT", "DATA"])
    @pytest.mark.parametrize(("answer", "permanent"), [("451 try later", False), ("550 no such user", True)])
    async def test_tells_what_comes_back_for_good_from_what_may_be_tried_again(
        self, desk: tuple[Desk, SmtpSender], stage: str, answer: str, permanent: bool
    ) -> None:
        handler, sender = desk
        handler.answers[stage] = answer
        with pytest.raises(NotSent) as refusal:
            await sender.send(LETTER)
        assert (refusal.value.permanent, refusal.value.reason) == (permanent, answer)

    async def test_may_try_again_when_nobody_is_there(self) -> None:
        with pytest.raises(NotSent) as refusal:
            await SmtpSender("smtp://127.0.0.1:1", timeout_seconds=5).send(LETTER)
        assert not refusal.value.permanent

    async def test_lets_no_subject_become_a_header(self, desk: tuple[Desk, SmtpSender]) -> None:
        with pytest.raises(ValueError, match=r"linefeed|newline"):
            await desk[1].send(replace(LETTER, subject="Hi\r\nBcc: everybody@example.com"))
        assert desk[0].letters == []


@contextmanager
def listening(status: int = 201, **headers: str) -> Iterator[tuple[str, list[tuple[Any, bytes]]]]:
    """Give the address of a server that keeps what is posted to it."""
    posted: list[tuple[Any, bytes]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            posted.append((self.headers, self.rfile.read(int(self.headers["content-length"]))))
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", posted
    finally:
        server.shutdown()
        server.server_close()
        thread.join(10)


KEY = vapid_key(lambda purpose, length: purpose.encode().ljust(length, b"."))
LOOPBACK = PushServices(hosts=("127.0.0.1",), schemes=("http",))


class Browser:
    """What a browser keeps of a push subscription."""

    def __init__(self) -> None:
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.secret = os.urandom(16)

    def device(self, endpoint: str) -> Device:
        point = self.key.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
        p256dh, auth = (base64.urlsafe_b64encode(each).decode().rstrip("=") for each in (point, self.secret))
        return Device(endpoint=endpoint, p256dh=p256dh, auth=auth)

    def read(self, body: bytes) -> dict[str, Any]:
        plain = http_ece.decrypt(body, private_key=self.key, auth_secret=self.secret, version="aes128gcm")
        return dict(orjson.loads(plain))


class TestWebPush:
    def push(self, *devices: Device) -> Message:
        return replace(LETTER, channel=Channel.PUSH, devices=devices)

    def sender(self) -> WebPushSender:
        return WebPushSender(KEY, LOOPBACK, "mailto:shop@harbour.example", timeout_seconds=10)

    async def test_is_read_by_the_browser_alone_and_signed_by_us(self) -> None:
        browser = Browser()
        with listening() as (url, posted):
            await self.sender().send(self.push(browser.device(f"{url}/push/1")))
        ((headers, body),) = posted
        assert LETTER.text.encode() not in body
        assert browser.read(body) == {
            "id": str(LETTER.id),
            "title": LETTER.subject,
            "body": LETTER.text,
            "url": LETTER.link,
        }
        assert (headers["content-encoding"], headers["ttl"]) == ("aes128gcm", "86400")
        token, key = (part.split("=", 1)[1] for part in headers["authorization"].removeprefix("vapid ").split(","))
        assert key == public_key(KEY)
        point = base64.urlsafe_b64decode(key + "=")
        x, y = (base64.urlsafe_b64encode(each).decode().rstrip("=") for each in (point[1:33], point[33:]))
        claims = jwt.decode(token, ECKey.import_key({"kty": "EC", "crv": "P-256", "x": x, "y": y})).claims
        assert (claims["aud"], claims["sub"]) == (url, "mailto:shop@harbour.example")

    async def test_goes_to_every_browser_and_tells_which_are_gone(self) -> None:
        one, other = Browser(), Browser()
        with listening() as (url, posted), listening(410) as (gone, _):
            receipt = await self.sender().send(self.push(one.device(f"{url}/1"), other.device(f"{gone}/2")))
            assert (len(posted), receipt.gone) == (1, (f"{gone}/2",))
            with pytest.raises(NotSent) as refusal:
                await self.sender().send(self.push(other.device(f"{gone}/2")))
        assert (refusal.value.permanent, refusal.value.gone) == (False, (f"{gone}/2",))

    async def test_is_led_nowhere_else(self) -> None:
        with listening() as (target, posted), listening(307, location=f"{target}/secret") as (url, _):
            with pytest.raises(NotSent):
                await self.sender().send(self.push(Browser().device(f"{url}/1")))
            assert posted == []

    async def test_goes_to_no_service_that_is_not_known(self) -> None:
        with listening() as (url, posted):
            strict = WebPushSender(KEY, PushServices(), "mailto:a@b.example", timeout_seconds=5)
            with pytest.raises(NotSent):
                await strict.send(self.push(Browser().device(f"{url}/1")))
            assert posted == []

    def test_keys_stay_the_same_for_the_same_secret(self) -> None:
        again = vapid_key(lambda purpose, length: purpose.encode().ljust(length, b"."))
        assert public_key(again) == public_key(KEY)
        assert len(base64.urlsafe_b64decode(public_key(KEY) + "=")) == 65


# The library looks for parts that the standard library is about to lose.
@pytest.mark.filterwarnings("ignore:'imghdr' is deprecated:DeprecationWarning")
class TestSms:
    @pytest.mark.parametrize(("status", "taken"), [(200, True), (500, False)])
    async def test_goes_through_whatever_service_the_url_names(self, status: int, taken: bool) -> None:
        with listening(status) as (url, posted):
            sender = AppriseSender(url.replace("http://", "json://") + "/{phone}")
            short = replace(LETTER, channel=Channel.SMS, to="+14165550123", html=None)
            if taken:
                await sender.send(short)
            else:
                with pytest.raises(NotSent):
                    await sender.send(short)
        assert orjson.loads(posted[0][1])["message"] == "Hello Ann\nhttps://shop.example/orders/1"


class TestTheMailbox:
    async def test_keeps_one_file_a_message_however_often_it_is_sent(self, tmp_path: Path) -> None:
        box = Mailbox(tmp_path)
        assert box.listed() == []
        for _ in range(2):
            await MailboxSender(box).send(LETTER)
        (kept,) = box.listed()
        assert (kept.channel, kept.to, kept.subject) == ("email", "ann@example.com", LETTER.subject)
        found = box.find(kept.name)
        assert found is not None
        assert found.html is not None
        assert (found.text.splitlines()[0], found.html.strip()) == ("Hello Ann", "<p>Hello Ann</p>")
        assert list((tmp_path / "tmp").iterdir()) == []

    def test_gives_nothing_outside_of_itself(self, tmp_path: Path) -> None:
        (tmp_path / "secret.key").write_text("x")
        (tmp_path / "new").mkdir()
        for name in ("../secret.key", "..%2fsecret.key", "secret.key", f"{uuid7()}.eml"):
            assert Mailbox(tmp_path).find(name) is None


class TestSignedTokens:
    def test_are_read_by_whoever_has_the_secret(self) -> None:
        tokens = SignedTokens(lambda purpose, length: purpose.encode() * length)
        tenant, letter = uuid7(), uuid7()
        token = tokens.issue(tenant, letter)
        assert tokens.read(token) == (tenant, letter)
        assert SignedTokens(lambda *_: b"another").read(token) is None
        for wrong in ("", "x", token[:-1], token + "x", "x" * 10_000, token.replace(".", "")):
            assert tokens.read(wrong) is None
