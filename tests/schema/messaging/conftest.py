"""A buyer and a seller who talk about a product, with everything that they can do."""

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text

from domain.kernel import Principal, uuid7
from domain.topics import TopicHub
from resolvers.following import Queue
from resolvers.kernel import Context
from server.services import Services

MESSAGE = (
    "id conversationId senderId side clientId body position state moderation sentAt deliveredAt readAt"
    " attachments { id name contentType sizeBytes width height url thumbnailUrl }"
)
CONVERSATION = "id type state buyerId staffIds unreadCount lastMessage { id body }"
HISTORY = f"""query($id: ID!, $first: Int, $before: String) {{
  messages(conversationId: $id, first: $first, before: $before) {{
    nodes {{ {MESSAGE} }} pageInfo {{ hasNextPage endCursor }} totalCount }} }}"""
RETURNS = {
    "sendMessage": ("Message", MESSAGE),
    "reportMessage": ("Message", MESSAGE),
    "moderateMessage": ("Message", MESSAGE),
    "setTyping": ("TypingSignal", "conversationId userId isTyping expiresAt"),
    "requestAttachmentUpload": ("AttachmentUpload", "attachmentId url method maxBytes expiresAt"),
}


@dataclass
class Chat:
    """Who talks, about what, and how tests speak for them."""

    graph: Any
    services: Services
    tenant_id: UUID
    product: str
    seller: Principal
    buyer: Principal
    id: str = ""

    def person(self, *permissions: str, user_id: UUID | None = None) -> Principal:
        return Principal(user_id=user_id or uuid7(), tenant_id=self.tenant_id, permissions=frozenset(permissions))

    async def do(self, who: Principal, mutation: str, **given: Any) -> Any:
        kind = mutation[0].upper() + mutation[1:]
        returned, fields = RETURNS.get(mutation, ("Conversation", CONVERSATION))
        answer = await self.graph(
            f"mutation($input: {kind}Input!) {{ {mutation}(input: $input) {{ __typename "
            f"... on {returned} {{ {fields} }} ... on Error {{ code message }} "
            f"... on RateLimited {{ retryAfterSeconds }} }} }}"
            if mutation in {"sendMessage", "setTyping"}
            else f"mutation($input: {kind}Input!) {{ {mutation}(input: $input) {{ __typename "
            f"... on {returned} {{ {fields} }} ... on Error {{ code message }} }} }}",
            {"input": given},
            principal=who,
            tenant=who.tenant_id or self.tenant_id,
        )
        return answer.codes[0] if answer.errors else answer.data[mutation]

    async def start(self, who: Principal | None = None, **given: Any) -> Any:
        made = await self.do(who or self.buyer, "startConversation", **(given or {"productId": self.product}))
        assert made["__typename"] == "Conversation", made
        return made

    async def say(self, who: Principal, body: str, client_id: str | None = None, **given: Any) -> Any:
        return await self.do(
            who,
            "sendMessage",
            **{"conversationId": self.id, "clientId": client_id or uuid7().hex, "body": body, **given},
        )

    async def sent(self, who: Principal, body: str, **given: Any) -> Any:
        said = await self.say(who, body, **given)
        assert said.pop("__typename") == "Message", said
        return said

    async def read(self, who: Principal, message: Any) -> Any:
        return await self.do(who, "markMessagesRead", conversationId=self.id, upTo=message["id"])

    async def ask(self, who: Principal, document: str, **variables: Any) -> Any:
        answer = await self.graph(document, variables, principal=who, tenant=who.tenant_id or self.tenant_id)
        assert answer.errors == [], answer.errors
        return answer.data

    async def history(self, who: Principal, **given: Any) -> list[str]:
        data = await self.ask(who, HISTORY, id=self.id, **given)
        return [node["body"] for node in data["messages"]["nodes"]]

    async def unread(self, who: Principal) -> tuple[int, int]:
        """Give the unread messages of the conversation, and of all of somebody's conversations."""
        data = await self.ask(who, "query($id: ID!) { unreadCount conversation(id: $id) { unreadCount } }", id=self.id)
        return data["conversation"]["unreadCount"], data["unreadCount"]

    async def facts(self) -> list[str]:
        """Give what the log says of the conversation."""
        async with self.services.database.session(self.tenant_id) as session:
            found = await session.execute(
                text("SELECT name FROM platform.event_log WHERE aggregate_id = :id ORDER BY version"),
                {"id": UUID(self.id)},
            )
            return list(found.scalars())


@pytest.fixture
async def chat(graph: Any, goods: Any, services: Services, tenant_id: UUID, admin: Principal) -> Chat:
    seller = Principal(user_id=admin.user_id, tenant_id=tenant_id)
    buyer = Principal(user_id=uuid7(), tenant_id=tenant_id)
    made = Chat(graph, services, tenant_id, goods.product, seller, buyer)
    made.id = (await made.start())["id"]
    return made


@pytest.fixture
def stranger(make_tenant: Callable[..., UUID]) -> Principal:
    """Somebody with all rights, in another tenant."""
    return Principal(user_id=uuid7(), tenant_id=make_tenant(), permissions=frozenset({"*"}))


Subscribe = Callable[..., Awaitable[Any]]


@pytest.fixture
async def subscribe(supergraph: Any, services: Services, tenant_id: UUID) -> AsyncIterator[Subscribe]:
    """Follow `subscribe(principal, document, variables)`; gives the results one by one."""
    opened: list[Any] = []
    # Whoever is the first of a process waits until its ear is open; signals to all who come later are heard.
    leave = await services.by_port[TopicHub].follow(tenant_id, Queue(), [], ["warm"])
    leave()

    async def begin(principal: Principal, document: str, **variables: Any) -> Any:
        reads = services.database.reads(tenant_id)
        context = Context(
            reads=reads,
            transactions=services.transactions,
            services=services.by_port,
            principal=principal,
            tenant_id=tenant_id,
            now=lambda: datetime.now(UTC),
        )
        results = await supergraph.subscribe(document, variable_values=variables, context_value=context)
        opened.append((results, reads))
        return results

    yield begin
    for results, reads in opened:
        if hasattr(results, "aclose"):
            await results.aclose()
        await reads.end()
