"""A session on its way: somebody announces, prepares and begins it, and others watch."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import text as sql

from domain.kernel import NOBODY, Principal, uuid7
from resolvers.kernel import Context
from server.services import Services

PASSWORD = "correct horse battery"
REGISTER = """mutation($email: String!, $password: String!, $name: String) {
  register(email: $email, password: $password, firstName: $name) { __typename } }"""
FIELDS = """__typename ... on LiveSession { id status version salesCount totalRevenue { amountMinor } streamUrl
  pinnedProduct { id } flashSale { id } } ... on Error { code message }"""
STUDIO = """mutation($name: String!) { createStudio(input: {name: $name, equipment: ["camera"]}) {
  __typename ... on Studio { id name equipment } ... on Error { code message } } }"""
SCHEDULE = f"mutation($input: ScheduleLiveSessionInput!) {{ scheduleLiveSession(input: $input) {{ {FIELDS} }} }}"
START = f"""mutation($id: ID!, $key: String!) {{
  startLiveSession(input: {{sessionId: $id}}, idempotencyKey: $key) {{ {FIELDS} }} }}"""
CHAT = """mutation($id: ID!, $body: String!) { sendLiveChat(input: {sessionId: $id, body: $body}) {
  __typename ... on LiveChatMessage { id body authorName isHost }
  ... on TooManyMessages { retryAfterSeconds } ... on Error { code message } } }"""
BAN = f"""mutation($id: ID!, $user: ID!) {{
  banLiveViewer(input: {{sessionId: $id, userId: $user}}) {{ {FIELDS} }} }}"""
REACT = """mutation($id: ID!, $kind: ReactionKind!) { sendReaction(input: {sessionId: $id, kind: $kind}) {
  __typename ... on LiveReactionSent { kind } ... on Error { code message } } }"""
SESSION = f"query($id: ID!) {{ liveSession(id: $id) {{ {FIELDS.replace('... on Error { code message }', '')} }} }}"
STOCK = """mutation($store: ID!, $sku: String!, $change: Int!, $key: String!) {
  adjustStock(input: {storeId: $store, sku: $sku, change: $change}, idempotencyKey: $key) {
    __typename ... on Error { message } } }"""


def step(name: str, more: str = "") -> str:
    """Write a mutation that takes nothing but the session."""
    kind = name[0].upper() + name[1:]
    return f"mutation($id: ID!) {{ {name}(input: {{sessionId: $id{more}}}) {{ {FIELDS} }} }}  # {kind}"


@dataclass
class Stage:
    """A tenant with a studio and goods on a shelf, in which `host` may do everything."""

    graph: Any
    services: Services
    tenant_id: UUID
    host: Principal
    goods: Any
    studio: str = ""
    sessions: list[str] = field(default_factory=list)

    async def ask(self, text: str, principal: Principal | None = None, **variables: Any) -> Any:
        """Execute an operation that has one root field, and give its answer."""
        answer = await self.graph(text, variables, principal=principal or self.host)
        assert not answer.errors, answer.errors
        (value,) = answer.data.values()
        return value

    async def scheduled(self, **more: Any) -> str:
        given = {
            "title": "Mugs, live",
            "studioId": self.studio,
            "scheduledFor": (datetime.now(UTC) + timedelta(minutes=5)).isoformat(),
            "skus": [self.goods.sku],
        }
        made = await self.ask(SCHEDULE, input=given | more)
        assert made["__typename"] == "LiveSession", made
        return str(made["id"])

    async def ready(self, **more: Any) -> str:
        session = await self.scheduled(**more)
        made = await self.ask(START, id=session, key=str(uuid7()))
        assert made.get("status") == "READY", made
        return session

    async def on_air(self, **more: Any) -> str:
        session = await self.ready(**more)
        assert (await self.ask(step("goLive"), id=session))["status"] == "LIVE"
        return session

    async def stock(self, change: int, sku: str | None = None) -> None:
        await self.ask(STOCK, store=self.goods.store, sku=sku or self.goods.sku, change=change, key=str(uuid7()))

    async def viewer(self, name: str = "Vera") -> Principal:
        """Give somebody with an account and nothing else."""
        email = f"{name.lower()}.{uuid7().hex}@example.com"
        await self.graph(REGISTER, {"email": email, "password": PASSWORD, "name": name}, principal=NOBODY)
        async with self.services.database.session(self.tenant_id) as session:
            row = (await session.execute(sql('SELECT id FROM identity."user" WHERE email = :e'), {"e": email})).one()
        return Principal(user_id=row.id, tenant_id=self.tenant_id, roles=frozenset({"buyer"}))

    async def rows(self, statement: str, **values: Any) -> list[Any]:
        async with self.services.database.session(self.tenant_id) as session:
            return list((await session.execute(sql(statement), values)).all())

    @asynccontextmanager
    async def following(
        self, supergraph: Any, text: str, principal: Principal | None = None, **variables: Any
    ) -> AsyncIterator["Following"]:
        """Subscribe; what follows is heard from here on."""
        context = Context(
            reads=self.services.database.reads(self.tenant_id),
            transactions=self.services.transactions,
            services=self.services.by_port,
            principal=principal or NOBODY,
            tenant_id=self.tenant_id,
            correlation_id=str(uuid7()),
        )
        events = await supergraph.subscribe(text, variable_values=variables, context_value=context)
        try:
            yield Following(events)
        finally:
            await events.aclose()
            await context.reads.end()


@dataclass
class Following:
    """A subscription that was begun."""

    events: Any

    def begin(self) -> "asyncio.Task[Any]":
        """Start listening, and give what comes first."""
        return asyncio.ensure_future(self.next())

    async def next(self) -> Any:
        result = await asyncio.wait_for(anext(self.events), 15)
        if result.errors:
            raise result.errors[0].original_error
        (value,) = result.data.values()
        return value
