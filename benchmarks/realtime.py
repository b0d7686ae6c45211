"""Ten thousand sockets on one server process: a live room of five thousand, private chats, and deliveries that are followed.

Measures the memory and the CPU of the server, how long a message takes from being sent to each of its frames, what telling one
event to a whole room costs, and how many positions of drivers are taken a second.
Run: python benchmarks/realtime.py [seconds] [sockets]
"""

import asyncio
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import orjson
import psutil  # type: ignore[import-untyped]  # No stubs among our dependencies.
from sqlalchemy import insert

from benchmarks._audience import STAMP, Audience, Crowd, Heard, Talk, gather
from benchmarks._buyers import Bazaar, open_bazaar
from benchmarks._figures import Figure, load, percentile, report
from benchmarks._fleet import DRIVER_LOCATION, TELL, Fleet, ping_for, put_on_the_road
from benchmarks._system import Agora, ask, cpu_seconds, peak_mb
from data.catalog.tables import product
from data.identity.tables import user
from domain.kernel import Principal, Work, uuid7
from domain.messaging import StartConversation
from domain.processes.chatting import start_conversation
from server.services import Services, key_ring, open_services, token_service

SECONDS, SOCKETS = 60.0, 10_000
ROOM, CHATS, DELIVERIES = 0.5, 0.4, 0.1
BUYERS_PER_SELLER = 7
LIVE_PER_SECOND, CHAT_PER_SECOND, PINGS_PER_SECOND = 2.0, 200.0, 50.0
SPEAKERS = 40
PING_SECONDS = 15.0

LIVE_CHAT = "subscription L($id: ID!) { liveChatReceived(id: $id) { cursor message { authorName body sentAt } } }"
SEND_LIVE = """mutation S($input: SendLiveChatInput!) { sendLiveChat(input: $input) {
  ... on LiveChatMessage { id } ... on Error { code message } } }"""
CHAT = "subscription C { messageReceived { cursor message { id body senderId sentAt } } }"
SEND = """mutation M($input: SendMessageInput!) { sendMessage(input: $input) {
  ... on Message { id } ... on Error { code message } } }"""
CREATE_STUDIO = """mutation($input: CreateStudioInput!) { createStudio(input: $input) {
  ... on Studio { id } ... on Error { code message } } }"""
SCHEDULE = """mutation($input: ScheduleLiveSessionInput!) { scheduleLiveSession(input: $input) {
  ... on LiveSession { id } ... on Error { code message } } }"""
PREPARE = """mutation($input: StartLiveSessionInput!, $key: String!) { startLiveSession(input: $input, idempotencyKey: $key) {
  ... on LiveSession { id status } ... on Error { code message } } }"""
GO_LIVE = """mutation($input: GoLiveInput!) { goLive(input: $input) {
  ... on LiveSession { id status } ... on Error { code message } } }"""


@dataclass(frozen=True)
class Pair:
    """A buyer and a seller in a conversation."""

    buyer: UUID
    seller: UUID
    conversation: UUID


@dataclass
class Scene:
    """Everything that is followed and talked about."""

    bazaar: Bazaar
    session: str
    speakers: Sequence[UUID]
    pairs: Sequence[Pair]
    fleet: Fleet

    def init(self, user_id: UUID) -> dict[str, Any]:
        """What a client of this person says at first."""
        tokens = token_service(self.bazaar.settings, key_ring(self.bazaar.settings))
        rights = frozenset({"delivery.drive"})
        who = Principal(user_id=user_id, tenant_id=self.bazaar.shop.tenant_id, session_id=uuid7(), permissions=rights)
        token = tokens.issue(who, datetime.now(UTC)).token
        return {"accessToken": token, "tenant": self.bazaar.shop.tenant}


async def set_up(server: Agora, sockets: int) -> Scene:
    """Make the conversations, the live session and the deliveries."""
    bazaar = await open_bazaar(server)
    sellers = max(1, int(sockets * CHATS) // (BUYERS_PER_SELLER + 1))
    async with open_services(bazaar.settings) as services:
        pairs, speakers = await _converse(services, bazaar, sellers), await _enrol(services, bazaar)
        fleet = await put_on_the_road(services, bazaar, int(sockets * DELIVERIES))
    return Scene(bazaar, _go_live(server, bazaar), speakers, pairs, fleet)


async def _enrol(services: Services, bazaar: Bazaar) -> list[UUID]:
    """Make the accounts of those who speak in the room, under whose names it is shown."""
    people = [uuid7() for _ in range(SPEAKERS)]
    async with services.database.session(bazaar.shop.tenant_id) as session:
        accounts = [
            {"tenant_id": bazaar.shop.tenant_id, "version": 1, "id": each, "email": f"{each}@example.com",
             "password_hash": "none", "display_name": "Speaker", "status": "active", "preferences": {}}
            for each in people
        ]  # fmt: skip
        await session.execute(insert(user), accounts)
    return people


async def _converse(services: Services, bazaar: Bazaar, sellers: int) -> list[Pair]:
    """Let every seller talk to some buyers about a product."""
    tenant_id, store = bazaar.shop.tenant_id, next(iter(bazaar.shop.stores.values()))
    people = [(uuid7(), uuid7()) for _ in range(sellers)]
    async with services.database.session(tenant_id) as session:
        goods = [
            {"tenant_id": tenant_id, "version": 1, "id": product_id, "sku": f"talk-{place}", "name": "Talk", "brand": "Acme",
             "slug": f"talk-{place}", "state": "active", "price_minor": 100, "currency": "CAD", "seller_id": seller,
             "store_id": store}
            for place, (seller, product_id) in enumerate(people)
        ]  # fmt: skip
        await session.execute(insert(product), goods)
    pairs = []
    for seller, product_id in people:
        for _ in range(BUYERS_PER_SELLER):
            buyer = Principal(user_id=uuid7(), tenant_id=tenant_id)
            work = Work(tenant_id=tenant_id, actor=buyer, now=datetime.now(UTC), correlation_id="benchmark")
            begun = await services.transactions.run(start_conversation, StartConversation(product_id=product_id), work)
            pairs.append(Pair(buyer.require_user(), seller, begun.id))
    return pairs


def _go_live(server: Agora, bazaar: Bazaar) -> str:
    """Open a session that shows some goods."""

    def done(document: str, variables: dict[str, Any]) -> dict[str, Any]:
        (answer,) = ask(server.port, document, variables, **_headers(bazaar)).values()
        if "code" in answer:
            raise RuntimeError(str(answer))
        return dict(answer)

    studio = done(CREATE_STUDIO, {"input": {"name": "One"}})["id"]
    soon = (datetime.now(UTC) + timedelta(minutes=5)).isoformat()
    wanted = {"title": "Mugs", "studioId": studio, "scheduledFor": soon, "skus": [bazaar.skus[0]]}
    session = str(done(SCHEDULE, {"input": wanted})["id"])
    done(PREPARE, {"input": {"sessionId": session}, "key": "prepare"})
    done(GO_LIVE, {"input": {"sessionId": session}})
    return session


def _headers(bazaar: Bazaar) -> dict[str, str]:
    return {"authorization": f"Bearer {bazaar.shop.token}", "X_Agora_Tenant": bazaar.shop.tenant}


def audience(server: Agora, scene: Scene, sockets: int, seconds: float) -> Audience:
    """Say who follows what, and who says what how often."""
    room = int(sockets * ROOM)
    viewers = [scene.init(each) for each in scene.speakers[:room]]
    viewers += [scene.init(uuid7()) for _ in range(room - len(viewers))]
    sellers = list(dict.fromkeys(pair.seller for pair in scene.pairs))
    talking = [pair.buyer for pair in scene.pairs]
    first = {pair.seller: pair for pair in reversed(scene.pairs)}
    body = {"body": f"Is it still there, @NUMBER@? {STAMP}", "clientId": "@NUMBER@"}
    said = [{"input": {"conversationId": str(pair.conversation), **body}} for pair in scene.pairs]
    said += [{"input": {"conversationId": str(first[seller].conversation), **body}} for seller in sellers]
    everybody = [*talking, *sellers]
    line = {"input": {"sessionId": scene.session, "body": f"How lovely {STAMP}"}}
    spoken: list[dict[str, Any] | None] = [line if place < SPEAKERS else None for place in range(room)]
    return Audience(
        server.port,
        [
            Crowd("room", LIVE_CHAT, viewers, [{"id": scene.session}] * room),
            Crowd("chat", CHAT, [scene.init(each) for each in everybody], [{}] * len(everybody)),
            Crowd("deliveries", DRIVER_LOCATION, *scene.fleet.followers(scene.init)),
        ],
        [
            Talk("room", "room", SEND_LIVE, spoken, LIVE_PER_SECOND),
            Talk("chat", "chat", SEND, said, CHAT_PER_SECOND),
            Talk("deliveries", "deliveries", TELL, scene.fleet.pings(), PINGS_PER_SECOND),
        ],
        seconds,
    )


@dataclass
class Used:
    """CPU seconds of the parts while the audience talked."""

    server: float
    worker: float
    database: float
    valkey: float


def perform(server: Agora, wanted: Audience) -> tuple[Heard, Used, float]:
    """Let everybody in, let them talk, and give what they heard, what it took, and the resident memory in MB."""
    clients = gather(wanted)
    assert clients.stdin
    assert clients.stdout
    if clients.stdout.readline() != b"open\n":
        raise RuntimeError("the clients could not follow")
    parts = [[_process(server)], [server.worker], server.postgres, server.valkey]
    before = [cpu_seconds(each) for each in parts]
    clients.stdin.write(b"talk\n")
    clients.stdin.flush()
    answer = clients.stdout.readline()
    after = [cpu_seconds(each) for each in parts]
    clients.wait()
    used = Used(*(now - then for now, then in zip(after, before, strict=True)))
    return Heard(**orjson.loads(answer)), used, peak_mb(server.pid)


def _process(server: Agora) -> psutil.Process:
    return psutil.Process(server.pid)


def figures(heard: Heard, used: Used, resident: float, sockets: int, fan_out_us: float) -> list[Figure]:
    """Compare with what was to be reached.

    Raises: RuntimeError where a crowd heard nothing.
    """
    if not all(heard.milliseconds.values()):
        raise RuntimeError(f"heard {heard.frames}, refused {heard.refused[:3]}")
    room, chat = heard.milliseconds["room"], heard.milliseconds["chat"]
    everything = sorted([*room, *chat])
    wanted_room = int(heard.sent["room"] * sockets * ROOM)
    cpu = f"CPU of the server {used.server / heard.seconds:.0%}, worker {used.worker / heard.seconds:.0%}, "
    cpu += f"PostgreSQL {used.database / heard.seconds:.0%}, Valkey {used.valkey / heard.seconds:.0%}, "
    cpu += f"clients {heard.client_cpu_seconds / heard.seconds:.0%} of a core"
    return [
        Figure(
            "sockets that follow",
            heard.opened,
            "",
            sockets,
            at_least=True,
            note=f"{heard.opening_seconds:.0f} s to open",
        ),
        Figure("sockets that were lost", heard.lost, "", 0),
        Figure("largest memory of the server", resident, "MB", 1_500),
        Figure("frames to the room", heard.frames["room"], "", wanted_room, at_least=True, note=f"of {wanted_room:,}"),
        Figure(
            "frames of private messages, to both sides",
            heard.frames["chat"],
            "",
            2 * heard.sent["chat"],
            at_least=True,
            note=cpu,
        ),
        Figure("sent to frame, p50", percentile(everything, 0.5), "ms", 30),
        Figure("sent to frame, p99", percentile(everything, 0.99), "ms", 200),
        Figure("sent to frame in the room, p99", percentile(room, 0.99), "ms"),
        Figure("sent to frame in chats, p50", percentile(chat, 0.5), "ms"),
        Figure("sent to frame in chats, p99", percentile(chat, 0.99), "ms"),
        Figure("position to frame, p99", percentile(heard.milliseconds["deliveries"], 0.99), "ms", 1_000),
        Figure("refusals", len(heard.refused), "", 0, note="; ".join(heard.refused[:1])[:120]),
        Figure("one event to one of 5,000 alike", fan_out_us, "µs of CPU", 12),
    ]


def fan_out(server: Agora, scene: Scene, sockets: int) -> float:
    """Give the CPU of the server per frame, in µs, when nothing happens but a room that is told something."""
    room = int(sockets * ROOM)
    quiet = audience(server, scene, sockets, 15.0)
    only = Audience(quiet.port, quiet.crowds[:1], quiet.talks[:1], 15.0)
    clients = gather(only)
    assert clients.stdin
    assert clients.stdout
    if clients.stdout.readline() != b"open\n":
        raise RuntimeError("the clients could not follow")
    process = [_process(server)]
    idle_from, began = cpu_seconds(process), time.perf_counter()
    time.sleep(8)
    idle = (cpu_seconds(process) - idle_from) / (time.perf_counter() - began)
    before, began = cpu_seconds(process), time.perf_counter()
    clients.stdin.write(b"talk\n")
    clients.stdin.flush()
    heard = Heard(**orjson.loads(clients.stdout.readline()))
    used = cpu_seconds(process) - before - idle * (time.perf_counter() - began)
    clients.wait()
    return 1e6 * used / max(1, heard.sent["room"] * room)


def main() -> int:
    """Measure, and print the tables."""
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else SECONDS
    sockets = int(sys.argv[2]) if len(sys.argv) > 2 else SOCKETS
    print(load(), flush=True)
    with tempfile.TemporaryDirectory(prefix="agora-realtime-") as home, Agora(Path(home)) as server:
        scene = asyncio.run(set_up(server, sockets))
        alone = fan_out(server, scene, sockets)
        heard, used, resident = perform(server, audience(server, scene, sockets, seconds))
        found = figures(heard, used, resident, sockets, alone)
        found += ping_for(server, scene.fleet, scene.init, PING_SECONDS)
        print(report(f"{sockets:,} sockets for {seconds:g} s", found))
    return 0


if __name__ == "__main__":
    sys.exit(main())
