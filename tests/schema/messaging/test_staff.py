"""Who speaks for a store: those who have the role to, as it changes."""

from dataclasses import replace
from typing import Any
from uuid import UUID

import pytest

from domain.kernel import NOBODY, Envelope, Principal, Work, uuid7
from domain.processes.chatting import keep_staff
from tests.schema.messaging.conftest import Chat

REGISTER = """mutation($email: String!) { register(email: $email, password: "correct horse battery") {
  __typename ... on Error { message } } }"""
LOGIN = """mutation($email: String!) { login(email: $email, password: "correct horse battery") {
  ... on Authentication { user { id } } ... on Error { message } } }"""
ROLE = """mutation($user: ID!, $role: String!, $store: ID) {{ {name}(input: {{userId: $user, role: $role, storeId: $store}}) {{
  __typename ... on Error {{ message }} }} }}"""
PRODUCT = """mutation($input: CreateProductInput!) { createProduct(input: $input) { ... on Product { id } } }"""
PUBLISH = "mutation($id: ID!) { publishProduct(input: {id: $id}) { __typename } }"


@pytest.fixture
def hire(chat: Chat, admin: Principal, work: Work) -> Any:
    """Give somebody a role, or take it, and let messaging hear of it: `hire(user_id, role, store_id)`."""

    async def change(user_id: str, role: str, store_id: str | None = None, name: str = "assignRole") -> None:
        given = {"user": user_id, "role": role, "store": store_id}
        answer = await chat.graph(ROLE.format(name=name), given, principal=admin)
        assert answer.data[name]["__typename"] == "User", answer.data
        heard = Envelope(
            event_id=uuid7(),
            name="identity.role_assigned",
            tenant_id=chat.tenant_id,
            aggregate_id=UUID(user_id),
            aggregate_type="User",
            version=1,
            data={"user_id": user_id, "role": role, "store_id": store_id},
            occurred_at=work.now,
            correlation_id="test",
        )
        await chat.services.transactions.run(keep_staff, heard, work)

    return change


@pytest.fixture
def member(chat: Chat) -> Any:
    async def register() -> str:
        email = f"{uuid7().hex}@example.com"
        await chat.graph(REGISTER, {"email": email}, principal=NOBODY)
        answer = await chat.graph(LOGIN, {"email": email}, principal=NOBODY)
        return str(answer.data["login"]["user"]["id"])

    return register


@pytest.fixture
async def shelf(chat: Chat, goods: Any, admin: Principal) -> str:
    """A product of the store."""
    price = {"amountMinor": 1, "currency": "CAD"}
    given = {"name": "Cup", "sku": f"C-{uuid7().hex}", "price": price, "storeId": goods.store}
    made = await chat.graph(PRODUCT, {"input": given}, principal=admin)
    product = str(made.data["createProduct"]["id"])
    await chat.graph(PUBLISH, {"id": product}, principal=admin)
    return product


class TestTheStaff:
    async def test_of_a_store_comes_and_goes(self, chat: Chat, goods: Any, shelf: str, member: Any, hire: Any) -> None:
        first, second, elsewhere = [await member() for _ in range(3)]
        await hire(first, "seller", goods.store)
        await hire(elsewhere, "driver", goods.store)
        started = await chat.start(productId=shelf)
        chat.id = started["id"]
        seller = str(chat.seller.user_id)
        assert started["staffIds"] == sorted([first, seller])
        await chat.sent(chat.buyer, "Hello")
        await hire(second, "store_manager", goods.store)
        assert (await chat.start(productId=shelf))["staffIds"] == sorted([first, second, seller])
        newcomer = replace(chat.seller, user_id=UUID(second))
        assert await chat.unread(newcomer) == (0, 0)
        await chat.sent(chat.buyer, "Are you there?")
        assert (await chat.unread(newcomer), await chat.history(newcomer)) == ((1, 1), ["Are you there?", "Hello"])
        assert (await chat.say(newcomer, "Yes"))["__typename"] == "Message"
        await hire(second, "store_manager", goods.store, "revokeRole")
        assert (await chat.say(newcomer, "Still"))["code"] == "NOT_FOUND"
        assert (await chat.start(productId=shelf))["staffIds"] == sorted([first, seller])

    async def test_of_the_support_is_found_when_it_comes(self, chat: Chat, member: Any, hire: Any) -> None:
        chat.id = (await chat.start(support=True))["id"]
        agent_id = await member()
        await hire(agent_id, "support_agent")
        agent = replace(chat.seller, user_id=UUID(agent_id))
        assert (await chat.say(agent, "How can I help?"))["__typename"] == "Message"
        assert await chat.history(chat.buyer) == ["How can I help?"]
