"""`agora serve`, with the merged schema executed by graphql-core: everything else is the very same server."""

from collections.abc import Sequence

import server.app
from schema.graph import build
from schema.supergraph import Supergraph
from server.cli import main


def depth_first(only: Sequence[str] = (), **options: object) -> Supergraph:
    """Give the graph with its oracle for an executor."""
    return build(only, **options).depth_first()


if __name__ == "__main__":
    server.app.build_graph = depth_first  # type: ignore[attr-defined]  # What it builds is what this program is about.
    main()
