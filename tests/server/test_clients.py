"""The clients that people use, against the whole application: chat, live selling and delivery, followed and written to."""

import asyncio
import json
import shutil
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import Uuid, bindparam, text
from sqlalchemy.dialects.postgresql import ARRAY

from benchmarks._fleet import UNDER_WAY
from domain.kernel import uuid7
from server.services import Services
from tests.server.application import Application, eventually
from tests.server.conftest import Shop, token_of

NODE_FOLDER = Path(__file__).parents[1] / "node"
PATIENCE_SECONDS = 40
pytestmark = [
    pytest.mark.skipif(not shutil.which("node"), reason="Node is not installed: the npm clients cannot run"),
    pytest.mark.skipif(not (NODE_FOLDER / "node_modules").exists(), reason="run npm ci in tests/node"),
]

CURSOR = "{ liveCursor }"
SEND = """mutation($input: SendMessageInput!) { sendMessage(input: $input) {
  __typename ... on Message { body position } ... on Error { code message } } }"""
SPEAK = """mutation($input: SendLiveChatInput!) { sendLiveChat(input: $input) {
  __typename ... on LiveChatMessage { body } ... on Error { code message } } }"""
DRIVE = """mutation($input: UpdateDeliveryLocationInput!) { updateDeliveryLocation(input: $input) {
  __typename ... on LocationReceipt { accepted } ... on Error { code message } } }"""
MESSAGES = """subscription($id: ID!, $after: String!) { messageReceived(conversationId: $id, after: $after) {
  message { body senderId position } } }"""
LINES = """subscription($id: ID!, $after: String!) { liveChatReceived(id: $id, after: $after) {
  sessionId message { body authorName isHost } } }"""
PLACES = "subscription($id: ID!) { driverLocation(deliveryId: $id) { deliveryId latitude longitude at } }"


@dataclass(frozen=True)
class Person:
    """Somebody who asks a seller, talks in a live session, and drives."""

    id: str
    token: str


@dataclass(frozen=True)
class Scene:
    """What is followed and written to."""

    application: Application
    shop: Shop
    person: Person
    conversation: str
    session: str
    delivery: str

    def send(self, body: str) -> dict[str, Any]:
        given = {"conversationId": self.conversation, "clientId": uuid7().hex, "body": body}
        return {"query": SEND, "variables": {"input": given}}

    def speak(self, body: str) -> dict[str, Any]:
        return {"query": SPEAK, "variables": {"input": {"sessionId": self.session, "body": body}}}

    def drive(self, at: datetime, latitude: float) -> dict[str, Any]:
        here = {"at": at.isoformat(), "latitude": latitude, "longitude": -79.4}
        return {"query": DRIVE, "variables": {"input": {"positions": [here], "deliveryId": self.delivery}}}

    def feeds(self, after: str) -> dict[str, Any]:
        return {
            "messages": {"query": MESSAGES, "variables": {"id": self.conversation, "after": after}},
            "lines": {"query": LINES, "variables": {"id": self.session, "after": after}},
            "places": {"query": PLACES, "variables": {"id": self.delivery}},
        }

    async def ask(self, query: str, variables: dict[str, Any] | None = None, token: str | None = None) -> Any:
        """Do something over HTTP, by default as the person, and give the answer of its one field."""
        reply = await self.application.ask(query, variables, tenant=self.shop.code, token=token or self.person.token)
        (answer,) = reply.data.values()
        return answer


@pytest.fixture(scope="module")
async def scene(application: Application, workshop: Services, shop: Shop, worker: None) -> Scene:
    who = replace(
        shop.market.admin,
        user_id=UUID(shop.keys["reader"]),
        session_id=uuid7(),
        roles=frozenset({"buyer"}),
        permissions=frozenset({"delivery.drive"}),
    )
    asked = await shop.market.make("startConversation", who, productId=shop.keys["product"])
    person = Person(str(who.user_id), token_of(workshop, who))
    return Scene(
        application, shop, person, asked["id"], await on_air(shop), await under_way(shop, workshop, who.user_id)
    )


async def on_air(shop: Shop) -> str:
    """Open a live session."""
    studio = await shop.market.make("createStudio", name="One")
    soon = (datetime.now(UTC) + timedelta(minutes=5)).isoformat()
    wanted = {"title": "Lamps", "studioId": studio["id"], "scheduledFor": soon, "skus": [shop.keys["sku"]]}
    session = str((await shop.market.make("scheduleLiveSession", **wanted))["id"])
    await shop.market.do("startLiveSession", None, input={"sessionId": session}, idempotencyKey=str(uuid7()))
    await shop.market.make("goLive", sessionId=session)
    return session


async def under_way(shop: Shop, workshop: Services, driver: UUID | None) -> str:
    """Give the driver a delivery that is on its way."""
    made = uuid7()
    values = {"tenant": shop.market.tenant_id, "store": shop.keys["store"], "drivers": [driver], "deliveries": [made]}
    async with workshop.database.session(shop.market.tenant_id) as session:
        people = [bindparam(name, type_=ARRAY(Uuid)) for name in ("drivers", "deliveries")]
        await session.execute(text(UNDER_WAY).bindparams(*people), values)
    return str(made)


@dataclass
class Talker:
    """An npm client that follows, and writes when it is told to."""

    process: asyncio.subprocess.Process

    async def line(self) -> dict[str, Any]:
        assert self.process.stdout
        raw = await asyncio.wait_for(self.process.stdout.readline(), PATIENCE_SECONDS)
        assert raw, await self._complaint()
        line: dict[str, Any] = without_typenames(json.loads(raw))
        assert "failed" not in line, line
        return line

    async def heard(self, feeds: Sequence[str], answers: int = 0) -> tuple[dict[str, Any], list[Any]]:
        """Read until each of the feeds told something and so many mutations were answered; give both."""
        found: dict[str, Any] = {}
        answered: list[Any] = []
        while set(found) != set(feeds) or len(answered) < answers:
            line = await self.line()
            if "answer" in line:
                answered.append(line["answer"])
            elif "heard" in line:
                assert line["heard"] not in found, (line, found)
                (found[line["heard"]],) = line["data"].values()
        return found, answered

    async def go(self) -> None:
        assert self.process.stdin
        self.process.stdin.write(b"go\n")
        await self.process.stdin.drain()

    async def end(self) -> int:
        return await asyncio.wait_for(self.process.wait(), PATIENCE_SECONDS)

    async def _complaint(self) -> str:
        assert self.process.stderr
        return (await self.process.stderr.read()).decode()


@asynccontextmanager
async def talking(plan: dict[str, Any]) -> AsyncIterator[Talker]:
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(
        "node", "talk_live.mjs", json.dumps(plan), cwd=NODE_FOLDER, stdin=pipe, stdout=pipe, stderr=pipe
    )
    try:
        yield Talker(process)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


@pytest.mark.parametrize("client", ["graphql-ws", "apollo", "urql"])
async def test_follows_and_writes_to_chat_live_and_delivery(scene: Scene, workshop: Services, client: str) -> None:
    # What was said before is told to those who name an earlier cursor: when they have heard it, they are following.
    after, before = await present(scene, workshop), datetime.now(UTC)
    sent = scene.send(f"Is it bright, {client}?")
    asked = await scene.ask(sent["query"], sent["variables"], scene.shop.token)
    assert asked["__typename"] == "Message", asked
    for each in (scene.speak(f"Good evening, {client}"), scene.drive(before, 43.61)):
        answer = await scene.ask(each["query"], each["variables"])
        assert "code" not in answer, answer
        assert answer.get("accepted", 1) == 1
    later = datetime.now(UTC)
    plan = {
        "url": scene.application.url.replace("http://", "ws://") + "/graphql",
        "http": f"{scene.application.url}/graphql",
        "client": client,
        "token": scene.person.token,
        "tenant": scene.shop.code,
        "feeds": scene.feeds(after),
        "mutations": [scene.send(f"Very, {client}."), scene.speak(f"Lovely, {client}"), scene.drive(later, 43.610001)],
        "events": 6,
    }
    async with talking(plan) as talker:
        first, _ = await talker.heard(["messages", "lines", "places"])
        assert first["messages"]["message"]["body"] == f"Is it bright, {client}?"
        assert first["messages"]["message"]["senderId"] == scene.shop.keys["user"]
        assert first["lines"]["message"]["body"] == f"Good evening, {client}"
        assert first["places"] == place(scene, before, 43.61)
        await talker.go()
        then, answers = await talker.heard(["messages", "lines", "places"], answers=3)
        position = asked["position"] + 1
        message = {"body": f"Very, {client}.", "senderId": scene.person.id, "position": position}
        assert then["messages"] == {"message": message}
        assert then["lines"]["sessionId"] == scene.session
        assert then["lines"]["message"]["body"] == f"Lovely, {client}"
        assert then["places"] == place(scene, later, 43.610001)
        assert answers == [
            {"sendMessage": {"body": f"Very, {client}.", "position": position}},
            {"sendLiveChat": {"body": f"Lovely, {client}"}},
            {"updateDeliveryLocation": {"accepted": 1}},
        ]
        assert await talker.end() == 0


async def present(scene: Scene, workshop: Services) -> str:
    """Give a cursor that comes after everything that has happened so far, once the relay has carried it all."""
    reads = workshop.database.system_reads()
    try:
        (newest,) = await reads.text("SELECT max(sequence) AS sequence FROM platform.event_log")
    finally:
        await reads.end()

    async def reached() -> str | None:
        cursor = str(await scene.ask(CURSOR))
        return cursor if int(cursor) >= newest["sequence"] else None

    return str(await eventually(reached, PATIENCE_SECONDS))


def without_typenames(told: Any) -> Any:
    """Give what was told without the names of its types, for which Apollo asks besides."""
    if isinstance(told, list):
        return [without_typenames(each) for each in told]
    if isinstance(told, dict):
        return {name: without_typenames(value) for name, value in told.items() if name != "__typename"}
    return told


def place(scene: Scene, at: datetime, latitude: float) -> dict[str, Any]:
    return {"deliveryId": scene.delivery, "latitude": latitude, "longitude": -79.4, "at": at.isoformat()}
