"""The shapes of engine_shapes.py over HTTP, without a database: breadth first, or depth first with --depth-first.

`slow` waits for about half a second, as slow things do never twice alike, and is asked for beside fast documents.
"""

import argparse
import asyncio
import random
from typing import Any

import engine_shapes as toy
import strawberry
import uvicorn
from starlette.applications import Starlette
from starlette.requests import HTTPConnection, Request
from starlette.responses import Response
from starlette.routing import Route

from schema.supergraph import Subgraph, Supergraph
from server.edge.routes import create_edge, edge_middleware
from server.edge.serving import server_config
from server.edge.sessions import anonymous_sessions
from server.edge.settings import EdgeSettings
from server.edge.strawberry_executor import StrawberryExecutor
from server.memory import settle

SLOW_SECONDS = 0.5


@strawberry.type(name="Query")
class SlowQuery:
    """A root field that waits for something."""

    @strawberry.field
    async def slow(self) -> str:
        """Wait."""
        await asyncio.sleep(random.uniform(0.5, 1.5) * SLOW_SECONDS)
        return "done"


def graph() -> Supergraph:
    """Unite the toy's subgraphs with the slow one."""
    reviews = Subgraph(toy.ReviewsQuery, types=[toy.ReviewedProduct, toy.Author])
    parts = {"accounts": Subgraph(toy.AccountsQuery), "catalog": Subgraph(toy.CatalogQuery), "reviews": reviews}
    return Supergraph({**parts, "slow": Subgraph(SlowQuery)})


async def context(_connection: HTTPConnection) -> dict[str, Any]:
    """Everything is in memory."""
    return toy.loaders()


async def alive(_request: Request) -> Response:
    """Answer that the server runs."""
    return Response()


def main() -> None:
    """Serve until told to stop."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--depth-first", action="store_true")
    given = parser.parse_args()
    schema = graph().depth_first() if given.depth_first else graph()
    settings = EdgeSettings()
    edge = create_edge(StrawberryExecutor(schema), anonymous_sessions(context), settings)
    routes = [*edge.routes, Route("/health/live", alive)]
    app = Starlette(routes=routes, middleware=edge_middleware(settings))
    settle()
    options = {"loop": "uvloop", "http": "httptools", "access_log": False, "log_level": "warning"}
    uvicorn.Server(server_config(app, settings, port=given.port, **options)).run()


if __name__ == "__main__":
    main()
