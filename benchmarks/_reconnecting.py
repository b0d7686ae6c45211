"""Clients that come back by themselves: they follow durable topics on a server process that is killed while people talk.

Whoever loses a socket follows again after the last cursor that was heard. What was heard is compared with the log.
"""

import asyncio
import random
import signal
import subprocess
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any, TypeVar
from uuid import UUID

import httpx
import orjson
from sqlalchemy import text

from benchmarks._sockets import Client, Plan, Tally, open_client
from benchmarks._system import TENANT_HEADER, Agora, attached, free_port
from benchmarks.realtime import Scene, set_up
from data.embedded.binaries import valkey_program
from data.embedded.processes import launch, stop
from data.sealing import opened
from domain.live import chat_topic
from domain.messaging.events import inbox_topic
from server.services import open_services

PATIENCE_SECONDS = 90.0
LOOK_SECONDS = 0.05
SHORTEST_PAUSE, LONGEST_PAUSE = 0.1, 0.4
ROOM = 0.6

CHAT = "subscription C($after: String!) { messageReceived(after: $after) { cursor message { body } } }"
LIVE = """subscription L($id: ID!, $after: String!) { liveChatReceived(id: $id, after: $after) {
  cursor message { body } } }"""
SEND = """mutation M($input: SendMessageInput!) { sendMessage(input: $input) {
  ... on Message { id } ... on Error { code message } } }"""
SPEAK = """mutation S($input: SendLiveChatInput!, $key: String!) { sendLiveChat(input: $input, idempotencyKey: $key) {
  ... on LiveChatMessage { id } ... on Error { code message } } }"""
SETTLED = "SELECT sequence FROM platform.relay_cursor WHERE id = 1"
TOLD = """SELECT topic, sequence, data FROM platform.topic_entry JOIN platform.event_log USING (sequence)
  WHERE topic_entry.tenant_id = :tenant AND topic = ANY(:topics) AND sequence > :begin
    AND name IN ('message.sent', 'live.chat_posted')
  ORDER BY sequence"""

Heard = tuple[int, str]
T = TypeVar("T")


class Follower(Tally):
    """One client: it follows a topic, and again after the last cursor whenever its socket is lost or refused."""

    def __init__(self, port: int, topic: str, init: dict[str, Any], document: str, variables: dict[str, Any]) -> None:
        super().__init__()
        self.topic = topic
        self.heard: list[Heard] = []
        self.is_there = False
        self.connections = 0
        self._port = port
        self._asked = (init, document, variables)
        self._client: Client | None = None

    def count(self, text: bytes) -> None:
        """Take note of what was said."""
        payload = orjson.loads(text)["payload"]
        if payload.get("errors"):
            self.refuse(text)
            return
        (told,) = payload["data"].values()
        self.heard.append((int(told["cursor"]), told["message"]["body"]))

    def refuse(self, text: bytes) -> None:
        """Take note, and hang up to come again."""
        super().refuse(text)
        if self._client:
            self._client.transport.close()

    async def follow(self) -> None:
        """Follow until it is cancelled."""
        while True:
            with suppress(OSError):
                self._client = await open_client(self._port, self._plan())
                self.connections += 1
                self.is_there = True
                await self._client.lost
            self.is_there = False
            # Thousands that were lost at the same moment do not knock at the same moment.
            await asyncio.sleep(random.uniform(SHORTEST_PAUSE, LONGEST_PAUSE))

    def _plan(self) -> Plan:
        init, document, variables = self._asked
        after = {"after": str(self.heard[-1][0])} if self.heard else {}
        return Plan(init, document, variables | after, self)


@dataclass(frozen=True)
class Faults:
    """How what a client heard differs from what was committed."""

    lost: int
    repeated: int
    disordered: int
    foreign: int


def compare(heard: Sequence[Heard], committed: Sequence[Heard]) -> Faults:
    """Compare cursors and texts with the log."""
    known = set(heard)
    return Faults(
        lost=len(set(committed) - known),
        repeated=len(heard) - len(known),
        disordered=sum(later[0] < earlier[0] for earlier, later in pairwise(heard)),
        foreign=len(known - set(committed)),
    )


@dataclass(frozen=True)
class Outage:
    """Seconds from a crash until the server answers again, and until every follower is back."""

    started: float
    back: float


@dataclass
class Talk:
    """People who talk at a steady rate through a server that stays; what is not answered is said again under its key."""

    scene: Scene
    port: int
    chats_per_second: float
    lines_per_second: float
    said: list[str] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        sellers = {pair.seller: pair.conversation for pair in self.scene.pairs}
        # Nobody writes faster than a person may.
        self._writers = [*((pair.buyer, pair.conversation) for pair in self.scene.pairs), *sellers.items()]

    async def go_on(self, enough: asyncio.Event) -> None:
        """Talk until it is enough, and until everything was answered."""
        async with (
            httpx.AsyncClient(base_url=f"http://127.0.0.1:{self.port}", timeout=30) as http,
            asyncio.TaskGroup() as tasks,
        ):
            for sayings, rate in ((self._chats, self.chats_per_second), (self._lines, self.lines_per_second)):
                tasks.create_task(self._steadily(http, sayings, 1 / rate, enough))

    async def _steadily(
        self, http: httpx.AsyncClient, saying: Callable[[int], tuple[UUID, str, dict[str, Any], str]], pause: float,
        enough: asyncio.Event,
    ) -> None:  # fmt: skip
        began, number = time.perf_counter(), 0
        async with asyncio.TaskGroup() as tasks:
            while not enough.is_set():
                tasks.create_task(self._say(http, *saying(number)))
                number += 1
                await asyncio.sleep(max(0.0, began + number * pause - time.perf_counter()))

    def _chats(self, number: int) -> tuple[UUID, str, dict[str, Any], str]:
        who, conversation = self._writers[number % len(self._writers)]
        body = f"Is it still there, {number}?"
        given = {"conversationId": str(conversation), "clientId": f"said-{number}", "body": body}
        return who, SEND, {"input": given}, body

    def _lines(self, number: int) -> tuple[UUID, str, dict[str, Any], str]:
        body = f"How lovely, {number}"
        given = {"input": {"sessionId": self.scene.session, "body": body}, "key": f"line-{number}"}
        return self.scene.speakers[number % len(self.scene.speakers)], SPEAK, given, body

    async def _say(
        self, http: httpx.AsyncClient, who: UUID, document: str, variables: dict[str, Any], body: str
    ) -> None:
        init = self.scene.init(who)
        headers = {"authorization": f"Bearer {init['accessToken']}", TENANT_HEADER: init["tenant"]}
        while True:
            with suppress(httpx.HTTPError):
                reply = await http.post("/graphql", json={"query": document, "variables": variables}, headers=headers)
                answer = reply.json() if reply.is_success else {"errors": True}
                if not answer.get("errors"):
                    break
            await asyncio.sleep(LONGEST_PAUSE)
        (found,) = answer["data"].values()
        if "code" in found:
            self.refused.append(f"{found['code']}: {found['message']}")
        else:
            self.said.append(body)


@dataclass
class Party:
    """Followers of a server that may be killed, and people who talk through another."""

    keeper: Agora
    server: Agora
    scene: Scene
    begin: int
    talk: Talk
    followers: Sequence[Follower]

    async def until(self, holds: Callable[[], bool], what: str) -> float:
        """Wait until something holds, and give the seconds that it took.

        Raises: TimeoutError where it takes too long.
        """
        began = time.perf_counter()
        while not holds():
            if time.perf_counter() - began > PATIENCE_SECONDS:
                raise TimeoutError(f"{what}: {[each.errors[-1:] for each in self.followers if each.errors][:3]}")
            await asyncio.sleep(LOOK_SECONDS)
        return time.perf_counter() - began

    async def everybody(self) -> float:
        """Wait until every follower has a socket."""
        return await self.until(lambda: all(each.is_there for each in self.followers), "not all came back")

    async def more(self, messages: int) -> None:
        """Wait until so many more were said."""
        wanted = len(self.talk.said) + messages
        await self.until(lambda: len(self.talk.said) >= wanted, f"said {len(self.talk.said)} of {wanted}")

    async def crash(self) -> Outage:
        """Kill the server, and start it again."""
        began = time.perf_counter()
        await asyncio.to_thread(self.server.kill)
        await self.until(lambda: not any(each.is_there for each in self.followers), "some did not notice")
        await asyncio.to_thread(self.server.__enter__)
        started = time.perf_counter() - began
        await self.everybody()
        return Outage(started, time.perf_counter() - began)

    async def committed(self) -> dict[str, list[Heard]]:
        """Give what the log says was told in every topic since it began."""
        topics = sorted({each.topic for each in self.followers})
        told: dict[str, list[Heard]] = {topic: [] for topic in topics}
        tenant_id = self.scene.bazaar.shop.tenant_id
        async with (
            open_services(self.scene.bazaar.settings) as services,
            services.database.session(tenant_id) as session,
        ):
            values = {"tenant": tenant_id, "topics": topics, "begin": self.begin}
            rows = list(await session.execute(text(TOLD), values))
            # What somebody wrote is sealed in the log.
            for row, data in zip(rows, await opened(session, [row.data for row in rows]), strict=True):
                told[row.topic].append((row.sequence, data["body"]))
        return told

    async def verdict(self) -> dict[str, Faults]:
        """Wait until nobody has anything to come, as far as that can be waited for, and compare everybody with the log."""
        told = await self.committed()
        with suppress(TimeoutError):
            await self.until(
                lambda: all(len(each.heard) >= len(told[each.topic]) for each in self.followers), "missing"
            )
        return {
            f"{place} {each.topic}": compare(each.heard, told[each.topic]) for place, each in enumerate(self.followers)
        }


@asynccontextmanager
async def party(keeper: Agora, clients: int, chats_per_second: float, lines_per_second: float) -> AsyncIterator[Party]:
    """Let everybody in: some in a live room, the others in their chats, of which a seller has several."""
    scene = await set_up(keeper, clients)
    begin = await begin_at(scene)
    server = attached(keeper.home, 1)
    await asyncio.to_thread(server.__enter__)
    followers = followers_of(server.port, scene, begin, clients)
    following = [asyncio.create_task(each.follow()) for each in followers]
    talk = Talk(scene, keeper.port, chats_per_second, lines_per_second)
    made = Party(keeper, server, scene, begin, talk, followers)
    try:
        await made.everybody()
        yield made
    finally:
        for each in following:
            each.cancel()
        await asyncio.gather(*following, return_exceptions=True)
        await asyncio.to_thread(server.__exit__)


async def begin_at(scene: Scene) -> int:
    """Give the cursor of the last event that was carried over so far."""
    async with open_services(scene.bazaar.settings) as services:
        reads = services.database.system_reads()
        try:
            (row,) = await reads.text(SETTLED)
        finally:
            await reads.end()
    return int(row["sequence"])


def followers_of(port: int, scene: Scene, begin: int, clients: int) -> list[Follower]:
    """Make clients that follow chats and a room from a cursor on."""
    after = {"after": str(begin)}
    people = [*dict.fromkeys(pair.seller for pair in scene.pairs), *(pair.buyer for pair in scene.pairs)]
    people = people[: clients - int(clients * ROOM)]
    chats = [Follower(port, inbox_topic(each), scene.init(each), CHAT, after) for each in people]
    room = {"id": scene.session, **after}
    viewers = [scene.init(each) for each in [*scene.speakers, *(pair.buyer for pair in scene.pairs)]]
    lines = [
        Follower(port, chat_topic(scene.session), viewers[place % len(viewers)], LIVE, room)
        for place in range(clients - len(chats))
    ]
    return [*chats, *lines]


async def live_through(made: Party, troubles: Sequence[Callable[[], Awaitable[T]]], between: int) -> list[T]:
    """Let people talk through one trouble after the other, so many messages apart; gives what each gave."""
    enough, gave = asyncio.Event(), []
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(made.talk.go_on(enough))
        for trouble in troubles:
            await made.more(between)
            gave.append(await trouble())
        await made.more(between)
        enough.set()
    return gave


@contextmanager
def own_valkey(folder: Path) -> Iterator[tuple[str, Callable[[], None]]]:
    """Run a Valkey that keeps what it was told; gives its address, and what kills it and starts it again."""
    port, running = free_port(), list[subprocess.Popen[bytes]]()
    folder.mkdir(parents=True, exist_ok=True)
    command = [
        valkey_program(), "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "yes",
        "--dir", str(folder), "--daemonize", "no",
    ]  # fmt: skip

    def end() -> None:
        for process in running:
            stop(process, [(signal.SIGKILL, 10.0)])

    def restart() -> None:
        end()
        running[:] = [launch(command, output=subprocess.DEVNULL)]

    restart()
    try:
        yield f"redis://127.0.0.1:{port}/0", restart
    finally:
        end()
