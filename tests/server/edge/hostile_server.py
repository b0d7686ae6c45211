"""The server that the hostile clients meet: a process of its own, so that its memory and its log can be watched."""

import sys
from pathlib import Path

here = Path(__file__).parent
sys.path[:0] = [str(here), str(here.parents[2])]

from edge_shop import shop_edge  # noqa: E402
from starlette.applications import Starlette  # noqa: E402

from server.edge.routes import edge_middleware  # noqa: E402
from server.edge.serving import DrainingServer, server_config  # noqa: E402
from server.edge.settings import EdgeSettings, SocketLimits  # noqa: E402

if __name__ == "__main__":
    settings = EdgeSettings(
        body_timeout_seconds=0.5,
        sockets=SocketLimits(init_timeout_seconds=0.5, connections_per_principal=200),
    )
    edge = shop_edge(settings)
    app = Starlette(routes=edge.routes, middleware=edge_middleware(settings))
    config = server_config(app, settings, port=int(sys.argv[1]), log_level="warning", lifespan="off")
    DrainingServer(config, edge.drain, grace_seconds=1).run()
