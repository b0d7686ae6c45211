"""A list of products and one product as REST, beside the same documents over GraphQL; and what an API key costs beside a token.

All of one run, over HTTP from one server; the answers are compared before anything is measured. It takes about two minutes.
Run: python benchmarks/rest.py [seconds per measurement] [rounds]
"""

import asyncio
import statistics
import sys
import tempfile
import urllib.request
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson
import psutil  # type: ignore[import-untyped]  # No stubs among our dependencies.
from _figures import Figure, report, table
from _graph_data import fill
from _load import post, raw
from _measuring import MANY, Cell, Target, measure, warm
from _system import Agora, Shop

from domain.identity.administration import AssignRole, assign_role
from domain.identity.api_keys import MAX_RATE_PER_MINUTE, CreateApiKey, create_api_key
from domain.identity.login import Register, register
from domain.identity.roles import PRESETS, Role
from domain.identity.sessions import AccessTokens
from domain.identity.users import Users
from domain.kernel import SYSTEM, Principal, Work, uuid7
from schema.graph import build
from server.edge.strawberry_executor import StrawberryExecutor
from server.rest.registry import Registry
from server.services import Services, open_services

EMAIL = "erp@example.com"
LISTED = {"first": 20}
REST, GRAPHQL, TOKEN, KEY = "REST", "GraphQL", "token", "key"
Cells = dict[tuple[str, str], Cell]


@dataclass
class Credentials:
    """What the same user comes in with."""

    token: dict[str, str]
    key: dict[str, str]


async def _credentials(server: Agora, shop: Shop) -> Credentials:
    async with open_services(server.settings()) as services:
        user_id = await _user(services, shop)
        seller = Principal(
            user_id=user_id, tenant_id=shop.tenant_id, session_id=uuid7(), permissions=PRESETS[Role.SELLER]
        )
        work = Work(tenant_id=shop.tenant_id, actor=seller, now=datetime.now(UTC), correlation_id="benchmark")
        # The bucket must not be what is measured.
        command = CreateApiKey(
            name="ERP", scopes=sorted(PRESETS[Role.SELLER]), rate_limit_per_minute=MAX_RATE_PER_MINUTE
        )
        issued = await services.transactions.run(create_api_key, command, work)
        token = services.by_port[AccessTokens].issue(seller, datetime.now(UTC)).token
    return Credentials({"Authorization": f"Bearer {token}"}, {"X-API-Key": issued.key})


async def _user(services: Services, shop: Shop) -> Any:
    work = Work(tenant_id=shop.tenant_id, actor=SYSTEM, now=datetime.now(UTC), correlation_id="benchmark")
    await services.transactions.run(register, Register(email=EMAIL, password_hash="none"), work)

    async def found(_command: None, _work: Work, users: Users) -> Any:
        credentials = await users.credentials(EMAIL)
        return credentials.user_id if credentials else None

    user_id = await services.transactions.run(found, None, work)
    await services.transactions.run(assign_role, AssignRole(user_id=user_id, role=Role.SELLER), work)
    return user_id


def requests(server: Agora, shop: Shop, came_with: Credentials) -> dict[tuple[str, str], list[bytes]]:
    """Give what is sent, by shape and way.

    Raises: RuntimeError where the two ways answer otherwise.
    """
    known = {each.name: each.text for each in Registry(StrawberryExecutor(build()).schema).operations}
    listed = _get(server, "/api/v1/products?first=20", shop.headers)["items"]
    product = listed[3]["id"]
    shapes = {
        "list of 20": (known["listProducts"], LISTED, "/api/v1/products?first=20"),
        "one product": (known["getProduct"], {"id": product}, f"/api/v1/products/{product}"),
    }
    plan: dict[tuple[str, str], list[bytes]] = {}
    for shape, (document, variables, path) in shapes.items():
        _compare(server, shop, document, variables, path)
        plan[shape, GRAPHQL] = [post("/graphql", document, variables, shop.headers)]
        plan[shape, REST] = [raw("GET", path, b"", shop.headers)]
    for name, headers in ((TOKEN, came_with.token), (KEY, came_with.key)):
        plan["one product, REST", name] = [raw("GET", f"/api/v1/products/{product}", b"", headers)]
        plan["smallest query", name] = [post("/graphql", "{ __typename }", None, headers)]
    return plan


def _compare(server: Agora, shop: Shop, document: str, variables: dict[str, Any], path: str) -> None:
    body = orjson.dumps({"query": document, "variables": variables})
    headers = {"Content-Type": "application/json", **shop.headers}
    request = urllib.request.Request(f"http://127.0.0.1:{server.port}/graphql", body, headers)
    with urllib.request.urlopen(request, timeout=30) as response:
        (graph,) = orjson.loads(response.read())["data"].values()
    rest = _get(server, path, shop.headers)
    if rest.get("items", rest) != graph.get("nodes", graph):
        raise RuntimeError(f"{path} answers otherwise than the graph")


def _get(server: Agora, path: str, headers: dict[str, str]) -> Any:
    request = urllib.request.Request(f"http://127.0.0.1:{server.port}{path}", headers=headers)
    with urllib.request.urlopen(request, timeout=30) as response:
        return orjson.loads(response.read())


def figures(ratios: dict[str, list[float]]) -> list[Figure]:
    """Give the ratios, each the median of those of the rounds: what both sides of a round met was the same."""
    goals = {"list of 20": 1.15, "one product": 1.25, "one product, REST": 1.35, "smallest query": 2.0}
    titles = {
        "list of 20": "list of 20: REST costs, of GraphQL",
        "one product": "one product: REST costs, of GraphQL",
        "one product, REST": "one product: a key costs, of a token",
        "smallest query": "smallest query: a key costs, of a token",
    }
    return [
        Figure(titles[shape], statistics.median(each), "×", goals[shape], note="CPU of the server, in pairs")
        for shape, each in ratios.items()
    ]


def run_all(
    target: Target, plan: dict[tuple[str, str], list[bytes]], seconds: float, rounds: int
) -> tuple[Cells, dict[str, list[float]]]:
    """Measure in rounds, so that whatever else the machine does hits both sides of a ratio alike."""
    cells: Cells = {key: Cell() for key in plan}
    ratios: dict[str, list[float]] = {}
    for sent in plan.values():
        warm(target, sent)
    target.settle()
    for _ in range(rounds):
        for key, sent in plan.items():
            cells[key].many.append(measure(target, sent, MANY, seconds))
        for shape in dict.fromkeys(shape for shape, _ in plan):
            new, old = (KEY, TOKEN) if (shape, KEY) in plan else (REST, GRAPHQL)
            ours, theirs = (cells[shape, name].many[-1].server_ms for name in (new, old))
            ratios.setdefault(shape, []).append(ours / theirs)
    return cells, ratios


def rows(cells: Cells) -> Sequence[Sequence[str]]:
    """The table: CPU in milliseconds per request."""
    return [
        [shape, name, f"{each.server_ms:.2f}", f"{each.database_ms:.2f}", f"{each.per_second:,.0f}"]
        for (shape, name), each in cells.items()
    ]


def main() -> int:
    """Measure, and print the tables."""
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 2.0
    rounds = int(sys.argv[2]) if len(sys.argv) > 2 else 5
    with tempfile.TemporaryDirectory(prefix="agora-rest-") as folder, ExitStack() as stack:
        home = Path(folder) / "home"
        with Agora(home) as filling:
            shop = fill(filling)
        server = stack.enter_context(Agora(home, "--no-worker"))
        came_with = asyncio.run(_credentials(server, shop))
        plan = requests(server, shop, came_with)
        target = Target("Agora", server.port, lambda: [psutil.Process(server.pid)], lambda: server.postgres)
        cells, ratios = run_all(target, plan, seconds, rounds)
    print(table(("shape", "way", "server ms", "PostgreSQL ms", "per second"), rows(cells)))
    print(report("REST and API keys", figures(ratios)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
