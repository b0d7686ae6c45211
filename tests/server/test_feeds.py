"""Feeds over real sockets: what many share is executed once, and nobody gets less, or more, than happened."""

import asyncio
import json
import socket
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import pytest
import strawberry
import uvicorn
from starlette.applications import Starlette
from websockets.asyncio.client import ClientConnection, connect

from data.bus import RedisBus
from data.bus import connect as connect_redis
from data.embedded import Engines
from data.relay import Relay
from domain.identity.sessions import AccessTokens
from domain.kernel import SYSTEM, Forbidden, Principal, Work, uuid7
from domain.topics import FellBehind, Presence, Signals, TopicEvent, TopicHub
from resolvers.kernel import Context, Feed
from schema.kernel import PUBLIC, attribute, feed, make_subgraph, permission
from server.edge.routes import create_edge
from server.edge.serving import server_config
from server.edge.settings import EdgeSettings
from server.feeds import GROUP_EVENTS, GraphExecutor, Group, Member
from server.services import Services, open_services
from server.sessions import Sessions
from server.settings import Settings
from tests.conftest import NOW, tenant_maker
from tests.events import OpenTally, RaiseTally, eventually, open_tally, raise_tally, running
from tests.schema.test_following import tally_topics  # noqa: F401 — says which topics a tally's events belong to.
from tests.server.application import TRANSPORT

calls: Counter[str] = Counter()


@dataclass
class Shown:
    """What a subscriber is shown of an event."""

    cursor: str
    amount: int
    secret: str = "for few"
    padding: str = "x" * 50_000


@strawberry.type
class Raised:
    __reads__ = (Shown,)

    cursor: str
    amount: int
    padding: str
    secret: str = attribute(who=permission("tally.secret"))


async def values(_context: Context, events: Sequence[TopicEvent]) -> list[Shown | None]:
    calls["values"] += len(events)
    return [Shown(event.cursor, event.data["amount"]) if event.data["amount"] < 1_000 else None for event in events]


async def raised(context: Context, tally_id: UUID, after: str | None = None) -> Feed:
    def allows(event: TopicEvent) -> None:
        if (
            context.principal.user_id
            and event.data["amount"] in {666, 1_666}
            and "guest" not in context.principal.roles
        ):
            raise Forbidden(permission="tally.go_on")

    return Feed(topics=[f"tally:{tally_id}"], values=values, after=after, shared=True, allows=allows)


async def count(context: Context, tally_id: UUID) -> Feed:
    async def opening(_: Context) -> list[Shown]:
        return [Shown("0", 0)]

    who = str(context.principal.user_id or context.address)
    return Feed(
        signals=[f"count:{tally_id}"],
        values=values,
        opening=opening,
        shared=True,
        while_open=[(f"tally:{tally_id}", who)],
    )


@strawberry.type
class Query:
    nothing: str = "nothing"


@strawberry.type
class Subscription:
    raised = feed(raised, Raised, who=PUBLIC)
    count = feed(count, Raised, who=PUBLIC)


RAISED = "subscription($id: ID!, $after: String) { raised(tallyId: $id, after: $after) { cursor amount } }"
SECRET = "subscription($id: ID!, $after: String) { raised(tallyId: $id, after: $after) { amount secret } }"
COUNT = "subscription($id: ID!) { count(tallyId: $id) { amount } }"


@dataclass
class Served:
    """A server with the feeds of tallies."""

    url: str
    services: Services
    tenant: UUID
    code: str
    work: Work
    sockets: list[ClientConnection] = field(default_factory=list)

    async def open(self, tally_id: UUID, amount: int = 1) -> None:
        await self.services.transactions.run(open_tally, OpenTally(amount=amount, id=tally_id), self.work)

    async def raise_by(self, tally_id: UUID, *amounts: int) -> None:
        for amount in amounts:
            await self.services.transactions.run(raise_tally, RaiseTally(id=tally_id, amount=amount), self.work)

    def token(self, **rights: Any) -> str:
        user = Principal(user_id=uuid7(), tenant_id=self.tenant, session_id=uuid7(), **rights)
        return self.services.by_port[AccessTokens].issue(user, NOW.now(NOW.tzinfo)).token

    @asynccontextmanager
    async def follow(self, document: str, token: str | None = None, **variables: Any) -> AsyncIterator["Follower"]:
        async with connect(self.url, subprotocols=[TRANSPORT], max_queue=None) as opened:
            payload = {"tenant": self.code} | ({"accessToken": token} if token else {})
            await opened.send(json.dumps({"type": "connection_init", "payload": payload}))
            assert json.loads(await opened.recv())["type"] == "connection_ack"
            message = {"id": "1", "type": "subscribe", "payload": {"query": document, "variables": variables}}
            await opened.send(json.dumps(message))
            yield Follower(opened)


@dataclass
class Follower:
    """One socket with one subscription."""

    socket: ClientConnection

    async def message(self) -> dict[str, Any]:
        return dict(json.loads(await asyncio.wait_for(self.socket.recv(), 20)))

    async def amounts(self, many: int) -> list[int]:
        """Give the next amounts but the first of a tally, which may be told before or after somebody follows."""
        found: list[int] = []
        while len(found) < many:
            message = await self.message()
            assert message["type"] == "next", message
            amount = next(iter(message["payload"]["data"].values()))["amount"]
            found += [amount] if amount != 1 else []
        return found


@pytest.fixture(scope="module")
async def served(
    engines: Engines, new_database: Callable[[str], str], tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Served]:
    settings = Settings(
        home=tmp_path_factory.mktemp("feeds"),
        database_url=new_database("feeds"),
        redis_url=engines.redis_url,
        redis_namespace="feeds",
        secret_key="a secret that is long enough for tests",
    )
    async with AsyncExitStack() as stack:
        services = await stack.enter_async_context(open_services(settings))
        redis = await stack.enter_async_context(connect_redis(settings.redis_url))
        relay = Relay(settings.database_url, RedisBus(redis, settings.redis_namespace), {})
        await stack.enter_async_context(running(relay.run))
        await asyncio.wait_for(relay.leading.wait(), 20)
        sessions = Sessions(settings)
        sessions.services = services
        executor = GraphExecutor(make_subgraph(query=Query, subscription=Subscription))
        app = Starlette(routes=create_edge(executor, sessions, EdgeSettings(explorer=False)).routes)
        listener = socket.create_server(("127.0.0.1", 0))
        server = uvicorn.Server(server_config(app, EdgeSettings(), log_config=None, lifespan="off"))
        serving = asyncio.create_task(server.serve(sockets=[listener]))
        tenant, code = tenant_maker(settings.database_url)(code="feeds"), "feeds"
        work = Work(tenant_id=tenant, actor=SYSTEM, now=NOW, correlation_id="test")
        yield Served(f"ws://127.0.0.1:{listener.getsockname()[1]}/graphql", services, tenant, code, work)
        server.should_exit = True
        await serving


async def followed(served: Served, tally_id: UUID, many: int) -> None:
    """Wait until so many followers of a tally are listening."""
    hub: Any = served.services.by_port[TopicHub]

    async def listening() -> bool:
        found = hub._followers.get((served.tenant, f"tally:{tally_id}"), {})
        return sum(len(each.members) if hasattr(each, "members") else 1 for each in found.values()) >= many

    await eventually(listening)


class TestSharedFeeds:
    async def test_are_executed_once_for_all_who_see_the_same(self, served: Served) -> None:
        tally_id = uuid7()
        await served.open(tally_id)
        async with AsyncExitStack() as stack:
            everybody = [
                await stack.enter_async_context(
                    served.follow(RAISED, served.token() if index % 2 else None, id=str(tally_id))
                )
                for index in range(10)
            ]
            await followed(served, tally_id, 10)
            before = calls["values"]
            await served.raise_by(tally_id, 5, 1_000, 7)
            for each in everybody:
                assert await each.amounts(2) == [5, 7]
            assert calls["values"] - before == 3

    async def test_resume_without_loss_or_repeat_while_events_go_on(self, served: Served) -> None:
        tally_id = uuid7()
        await served.open(tally_id)
        cursor = None
        writing = asyncio.create_task(served.raise_by(tally_id, *range(2, 102)))
        got: list[int] = []
        while len(got) < 100:
            async with served.follow(RAISED, id=str(tally_id), after=cursor or "0") as follower:
                for _ in range(9):
                    message = await follower.message()
                    shown = message["payload"]["data"]["raised"]
                    if shown["amount"] == 1:
                        continue
                    got.append(shown["amount"])
                    cursor = shown["cursor"]
                    if len(got) == 100:
                        break
        await writing
        assert got == list(range(2, 102))

    @pytest.mark.parametrize("amount", [666, 1_666], ids=["seen", "unseen"])
    async def test_end_for_who_may_not_go_on_and_for_nobody_else(self, served: Served, amount: int) -> None:
        tally_id = uuid7()
        await served.open(tally_id)
        async with (
            served.follow(RAISED, served.token(), id=str(tally_id)) as banned,
            served.follow(RAISED, served.token(roles=frozenset({"guest"})), id=str(tally_id)) as other,
        ):
            await followed(served, tally_id, 2)
            await served.raise_by(tally_id, 5, amount, 7)
            assert await banned.amounts(1) == [5]
            refused = await banned.message()
            assert refused["type"] == "error"
            assert refused["payload"][0]["extensions"]["code"] == "FORBIDDEN"
            assert await other.amounts(2 + (amount < 1_000)) == [each for each in (5, amount, 7) if each < 1_000]

    async def test_are_not_shared_where_something_is_not_for_everybody(self, served: Served) -> None:
        tally_id = uuid7()
        async with (
            served.follow(SECRET, served.token(permissions=frozenset({"tally.secret"})), id=str(tally_id)) as trusted,
            served.follow(SECRET, served.token(), id=str(tally_id)) as other,
        ):
            await followed(served, tally_id, 2)
            await served.open(tally_id, 5)
            assert (await trusted.message())["payload"]["data"]["raised"] == {"amount": 5, "secret": "for few"}
            refused = await other.message()
            assert refused["payload"]["data"] is None
            assert refused["payload"]["errors"][0]["extensions"]["code"] == "FORBIDDEN"

    async def test_refuse_a_cursor_that_was_never_given_out(self, served: Served) -> None:
        async with served.follow(RAISED, id=str(uuid7()), after="yesterday") as follower:
            refused = await follower.message()
            assert refused["type"] == "error"
            assert refused["payload"][0]["extensions"]["code"] == "INVALID_INPUT"

    async def test_tell_a_slow_subscriber_where_to_resume_and_let_the_others_go_on(self, served: Served) -> None:
        tally_id = uuid7()
        await served.open(tally_id)
        document = "subscription($id: ID!) { raised(tallyId: $id) { cursor amount padding } }"
        async with AsyncExitStack() as stack:
            quick = await stack.enter_async_context(served.follow(document, id=str(tally_id)))
            slow = await stack.enter_async_context(served.follow(document, id=str(tally_id)))
            await followed(served, tally_id, 2)
            slow.socket.transport.pause_reading()
            drained = asyncio.create_task(quick.amounts(450))
            await served.raise_by(tally_id, *[2] * 450)
            assert await drained == [2] * 450
            slow.socket.transport.resume_reading()
            last, got = "", 0
            while (message := await slow.message())["type"] == "next":
                shown = message["payload"]["data"]["raised"]
                last, got = shown["cursor"], got + (shown["amount"] == 2)
            assert message["payload"][0]["extensions"]["code"] == "FELL_BEHIND"
            assert message["payload"][0]["extensions"]["after"] == last
            assert got < 450
            resumed = await stack.enter_async_context(served.follow(RAISED, id=str(tally_id), after=last))
            assert await resumed.amounts(450 - got) == [2] * (450 - got)


class TestSignals:
    async def test_reach_who_follows_and_count_him_as_present(self, served: Served) -> None:
        tally_id, presence = uuid7(), served.services.by_port[Presence]

        async def people() -> int:
            return int((await presence.count(served.tenant, [f"tally:{tally_id}"]))[0])

        async with (
            served.follow(COUNT, served.token(), id=str(tally_id)) as one,
            served.follow(COUNT, served.token(), id=str(tally_id)) as two,
        ):
            assert await one.amounts(1) == await two.amounts(1) == [0]
            await eventually(lambda: _is(people, 2))
            await served.services.by_port[Signals].send(served.tenant, f"count:{tally_id}", {"amount": 41})
            assert await one.amounts(1) == await two.amounts(1) == [41]
        await eventually(lambda: _is(people, 0))


async def _is(ask: Callable[[], Any], wanted: int) -> bool:
    return bool(await ask() == wanted)


class StillHub:
    """A hub in which nothing happens."""

    position = 0

    async def follow(self, *_: Any) -> Callable[[], None]:
        return lambda: None


class TestAGroup:
    async def test_that_is_left_behind_tells_its_members_where_to_resume_instead_of_growing(self) -> None:
        tenant_id, feed = uuid7(), Feed(values=values, topics=["tallies"], shared=True)
        group: Any = Group(feed, None, None)  # type: ignore[arg-type]
        member = Member(Context(reads=None, transactions=None), feed, None)  # type: ignore[arg-type]
        member.begin(7, None)
        group.members[member] = None
        for sequence in range(8, 8 + GROUP_EVENTS + 1):
            data = {"amount": 1}
            group.hear(
                TopicEvent(tenant_id=tenant_id, topics=["tallies"], name="tally.raised", data=data, sequence=sequence)
            )
        with pytest.raises(FellBehind):
            await group.run(StillHub(), tenant_id, asyncio.Event())
        with pytest.raises(FellBehind) as refused:
            await asyncio.wait_for(member.take(), 5)
        assert refused.value.after == "7"
