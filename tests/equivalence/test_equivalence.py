"""The graph answers alike in one process and in parts: the same data, and the same refusals."""

import asyncio
import os
from collections import Counter
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from random import Random
from typing import Any

import psutil  # type: ignore[import-untyped]  # No stubs among our dependencies.
import pytest
from graphql import OperationType
from websockets.exceptions import ConnectionClosed

from schema.graph import CONTEXTS, build
from server.groups import group_of
from server.services import key_ring, token_service
from server.settings import Settings
from tests.equivalence.comparing import Comparison, codes
from tests.equivalence.counting import requests
from tests.equivalence.following import FOLLOWED, Followed
from tests.equivalence.reading import NOWHERE, Asked, filled, operations
from tests.equivalence.sockets import opened
from tests.equivalence.splitting import alone
from tests.equivalence.worlds import World, Worlds, open_worlds
from tests.gateway.processes import missing
from tests.schema.fuzz.generating import MEASURED, generator
from tests.schema.fuzz.shop import FERNHILL, email_of
from tests.schema.supergraph.operations import Operation

REASON = missing()
pytestmark = [pytest.mark.skipif(REASON is not None, reason=REASON or ""), pytest.mark.timeout(900)]
OPERATIONS = int(os.environ.get("AGORA_FUZZ", "1000"))
SEEDS = 4
PEOPLE = ("guest", "buyer", "seller", "admin", "admin", "platform", "platform", "platform")


@pytest.fixture(scope="module")
async def worlds(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Worlds]:
    async for made in open_worlds(tmp_path_factory.mktemp("equivalence")):
        yield made


@pytest.fixture(scope="module")
def comparison() -> Comparison:
    return Comparison()


LIMITS = frozenset({"COST_LIMIT_EXCEEDED", "PAGE_SIZE_OUT_OF_RANGE", "DEPTH_LIMIT_EXCEEDED", "ALIAS_LIMIT_EXCEEDED"})
"""What each part of a document is measured by when it is asked in parts; the whole may exceed what no part does."""
CREDENTIALS = frozenset({"UNAUTHENTICATED"})
"""What each part refuses for itself, so that there are nulls where one process has no data at all."""


def agree(whole: Any, parts: Any) -> bool:
    """Say whether two answers are the same, but for what is the router's by design."""
    if "data" not in whole and set(codes(whole)) <= LIMITS:
        return set(codes(parts)) <= LIMITS
    same = codes(whole) == codes(parts)
    return same and (
        refused_in_parts(whole, parts) or not list(Comparison().differences(whole.get("data"), parts.get("data")))
    )


def refused_in_parts(whole: Any, parts: Any) -> bool:
    """Say whether the one refused the credentials, and the other did so in each part."""
    nothing = not any((parts.get("data") or {}).values())
    return "data" not in whole and nothing and set(codes(whole)) == set(codes(parts)) == CREDENTIALS


BUSY = frozenset(
    {
        ("SystemHealth", "workers"),
        ("SystemHealth", "consumers"),
        ("Query", "trendingSearches"),
        ("Query", "liveCursor"),
        ("AuditEntry", "correlationId"),
        ("Query", "privilegedActions"),
    }
)
"""What tells how busy each of two servers is or was of late, what the questions themselves add to, and the ids that each gives to
requests without one."""
TOO_MUCH = "COST_LIMIT_EXCEEDED"


class TestGenerated:
    @pytest.mark.parametrize("seed", range(SEEDS))
    async def test_queries_are_answered_alike(self, worlds: Worlds, seed: int) -> None:
        random, outcomes, wrong = Random(seed), Counter[str](), []
        schema: Any = build()._schema
        made = generator(
            schema, worlds.shop, worlds.neighbour, worlds.cursors, random, kinds=(OperationType.QUERY,), distinct=True,
            skip=lambda *place: place in MEASURED or place in BUSY,
        )  # fmt: skip
        for operation in made.operations(2 * OPERATIONS // SEEDS):
            person, language = random.choice(PEOPLE), random.choice(("en", "ru", "fr-CA"))
            whole, parts = await worlds.both(operation.document, operation.variables, person=person, language=language)
            if TOO_MUCH in {*codes(whole), *codes(parts)}:
                # What an operation may cost is told for each part by itself, and for what the router asks it.
                continue
            outcomes["answered" if whole.get("data") else "refused"] += 1
            if not await self._alike(worlds, operation, whole, parts, person=person, language=language):
                wrong.append(f"{person}\n{operation.document}\n{operation.variables}\n{whole}\n{parts}")
            if outcomes.total() == OPERATIONS // SEEDS:
                break
        assert not wrong, f"{len(wrong)}\n" + "\n\n".join(wrong[:5])
        assert outcomes.total() == OPERATIONS // SEEDS
        assert outcomes["answered"] > outcomes["refused"] / 2, outcomes

    async def _alike(self, worlds: Worlds, operation: Operation, whole: Any, parts: Any, **asked: Any) -> bool:
        """Compare, and where the same place is null for several reasons, look at each: which is told is left to the server."""
        if agree(whole, parts):
            return True
        if not whole.get("errors") or whole.get("data") is not None:
            return False
        split = list(alone(operation.document, operation.variables))
        each = [await worlds.both(document, variables, **asked) for document, variables in split]
        return len(split) > 1 and all(agree(*answers) for answers in each)


class TestWritten:
    @pytest.mark.parametrize("asked", list(operations()), ids=str)
    async def test_operation_is_answered_alike(self, worlds: Worlds, comparison: Comparison, asked: Asked) -> None:
        answers = []
        for world in (worlds.whole, worlds.parts):
            variables = filled(asked.variables, worlds.shop, worlds.neighbour, world.answers)
            answers.append(
                await world.ask(
                    asked.document, variables, person=asked.person, language=asked.language, operation=asked.named
                )
            )
            world.answers[asked.name] = answers[-1].get("data")
        whole, parts = answers
        assert codes(whole) == asked.refused, whole
        assert codes(parts) == codes(whole), parts["errors"]
        if not refused_in_parts(whole, parts):
            assert list(comparison.differences(whole.get("data"), parts.get("data"))) == []


class TestFollowed:
    @pytest.mark.parametrize("followed", FOLLOWED, ids=lambda each: each.name)
    async def test_events_are_alike(self, worlds: Worlds, comparison: Comparison, followed: Followed) -> None:
        whole, parts = [await events(worlds, world, followed) for world in (worlds.whole, worlds.parts)]
        assert [codes(each) for each in whole] == [codes(each) for each in parts], (whole, parts)
        assert {code for each in whole for code in codes(each)} == set(followed.refused), whole
        seen = [[each.get("data") for each in some] for some in (whole, parts)]
        assert list(comparison.differences(*seen)) == []


async def events(worlds: Worlds, world: World, followed: Followed) -> list[Any]:
    """Follow in one world, make the changes there, and give the events."""
    position = (await world.ask("{ liveCursor }"))["data"]["liveCursor"]
    mine = (await world.ask("{ myCart { id } }", person=followed.person)).get("data")

    def given(variables: Any) -> Any:
        return filled(variables, worlds.shop, worlds.neighbour, {"position": position, "mine": mine})

    token, variables = world.caller.tokens.get(followed.person), given(followed.variables)
    async with opened(world.url, token) as socket:
        await socket.subscribe(followed.document, variables)
        for person, mutation, changed in followed.changes:
            answer = await world.ask(mutation, given(changed), person=person)
            assert "errors" not in answer, answer
        found = [await socket.next() for _ in range(followed.events)]
    if followed.resumes:
        (root,) = found[0]["data"].values()
        async with opened(world.url, token) as socket:
            await socket.subscribe(followed.document, variables | {"after": root["cursor"]})
            assert [await socket.next() for _ in found[1:]] == found[1:]
    return found


FIVE = """query($first: Int!) { products(first: $first, sort: NAME) { nodes {
  sku store { code province { name } } stock { available } rating { total } effectivePrice { net { amountMinor } } } } }"""
SETTING = """mutation($store: ID!) { setStoreSetting(input: {storeId: $store, key: "traced", value: "1"}) {
  ... on StoreSetting { key } } }"""
CAUSED = "query($id: String!) { auditLog(filter: {correlationId: $id}, first: 2) { nodes { name correlationId } } }"
LOGIN_LOG = "query($user: ID!) { loginLog(userId: $user, first: 1) { nodes { succeeded address userAgent } } }"
HALVES = "query($sku: String!, $id: ID!) { product(sku: $sku) { sku store { code } } liveSession(id: $id) { title } }"


class TestParts:
    @pytest.mark.parametrize("first", [2, 20])
    async def test_five_subgraphs_are_asked_for_all_products_at_once(self, worlds: Worlds, first: int) -> None:
        before = await requests(worlds)
        answer = await worlds.parts.ask(FIVE, {"first": first})
        assert len(answer["data"]["products"]["nodes"]) == first
        # Hive Gateway asks catalog once more for what the price depends on, with all products at once too.
        asked = await requests(worlds) - before
        assert asked == Counter(catalog=2, tenancy=1, inventory=1, reviews=1, pricing=1)

    async def test_equal_questions_of_two_people_stay_apart(self, worlds: Worlds) -> None:
        asked = ["buyer", "admin"] * 10
        answers = await asyncio.gather(*(worlds.parts.ask("{ me { email } }", person=each) for each in asked))
        told = [answer["data"]["me"]["email"].partition("@")[0] for answer in answers]
        assert told == asked

    async def test_an_event_has_the_correlation_of_its_cause(self, worlds: Worlds) -> None:
        headers = {
            "authorization": f"Bearer {worlds.parts.caller.tokens['admin']}",
            "x-agora-tenant": FERNHILL.code,
            "x-correlation-id": "traced/through-the-parts",
        }
        body = {"query": SETTING, "variables": {"store": str(worlds.shop.ids["store"][0])}}
        answer = await worlds.parts.caller.client.post(f"{worlds.parts.url}/graphql", json=body, headers=headers)
        assert answer.headers["x-correlation-id"] == "traced/through-the-parts"
        found = await worlds.parts.ask(CAUSED, {"id": "traced/through-the-parts"}, person="admin")
        assert [each["name"] for each in found["data"]["auditLog"]["nodes"]] == ["tenancy.setting_changed"]

    async def test_nobody_says_for_himself_where_he_is(self, worlds: Worlds) -> None:
        login = 'mutation($email: String!) { login(email: $email, password: "not the right one") { __typename } }'
        headers = {
            "x-agora-tenant": FERNHILL.code, "x-forwarded-for": "198.51.100.1", "user-agent": "Browser/1",
            "x-agora-client-address": "198.51.100.2", "x-agora-router": "t=1,n=1,s=1",
        }  # fmt: skip
        body = {"query": login, "variables": {"email": email_of("seller1")}}
        await worlds.parts.caller.client.post(f"{worlds.parts.url}/graphql", json=body, headers=headers)
        user = str(worlds.shop.people["seller"].user_id)
        answer = await worlds.parts.ask(LOGIN_LOG, {"user": user}, person="admin")
        (entry,) = answer["data"]["loginLog"]["nodes"]
        assert entry == {"succeeded": False, "address": "127.0.0.1", "userAgent": "Browser/1"}

    async def test_a_group_answers_nobody_but_its_router(self, worlds: Worlds) -> None:
        client, group = worlds.parts.caller.client, worlds.groups["storefront"]
        refused = await client.post(f"{group}/subgraphs/catalog/graphql", json={"query": "{ __typename }"})
        assert refused.status_code == 403
        assert (await client.post(f"{group}/graphql", json={"query": "{ __typename }"})).status_code == 404
        for context in CONTEXTS:
            health = await client.get(f"{worlds.groups[group_of(context)]}/subgraphs/{context}/health")
            assert health.json()["status"] in {"ok", "degraded"}

    async def test_a_token_that_runs_out_ends_the_socket(self, worlds: Worlds) -> None:
        settings = Settings(home=worlds.homes["parts"], access_token_seconds=2)
        issued = token_service(settings, key_ring(settings)).issue(worlds.shop.people["buyer"], datetime.now(UTC))
        async with opened(worlds.parts.url, issued.token) as socket:
            await socket.subscribe("subscription { messageReceived { cursor } }", {})
            with pytest.raises(ConnectionClosed) as ended:
                await socket.last()
        assert ended.value.rcvd is not None
        assert ended.value.rcvd.code == 4403

    async def test_one_that_is_down_leaves_the_others_their_answers(self, worlds: Worlds) -> None:
        stop_listening(worlds.groups["conversation"])
        answer = await worlds.parts.ask(HALVES, {"sku": worlds.shop.texts["shelved"][0], "id": NOWHERE})
        assert answer["data"]["product"]["store"]["code"]
        assert answer["data"]["liveSession"] is None
        assert [(each["path"], each["extensions"]["code"]) for each in answer["errors"]] == [
            (["liveSession"], "SUBGRAPH_UNAVAILABLE")
        ]


def stop_listening(address: str) -> None:
    """Kill the process that serves at an address; that it is started again is its supervisor's business."""
    port = address.rpartition(":")[2]
    for process in psutil.process_iter(["cmdline"]):
        command = process.info["cmdline"] or []
        if "--port" in command and command[command.index("--port") + 1] == port:
            process.kill()
            process.wait(10)
