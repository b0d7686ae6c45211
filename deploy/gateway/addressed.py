"""Writes the supergraph with the addresses that subgraphs have in docker-compose.yml and deploy/kubernetes: `make gateway-files`."""

import re
import shutil
from pathlib import Path

from server.groups import group_of

ROOT = Path(__file__).parents[2]
SUPERGRAPH = ROOT / "schema" / "supergraph.graphql"
COMPOSE_FILE = ROOT / "deploy" / "gateway" / "supergraph.graphql"
KUBERNETES_FILES = ROOT / "deploy" / "kubernetes" / "components" / "distributed" / "files"
_URL = re.compile(r"http://127\.0\.0\.1:8000/subgraphs/([a-z_]+)/graphql")


def addressed(supergraph: str) -> str:
    """Give the supergraph in which each subgraph is asked at the service that is called like its group."""
    return _URL.sub(lambda found: f"http://{group_of(found[1])}:8000/subgraphs/{found[1]}/graphql", supergraph)


def main() -> None:
    COMPOSE_FILE.write_text(addressed(SUPERGRAPH.read_text(encoding="utf-8")), encoding="utf-8")
    KUBERNETES_FILES.mkdir(exist_ok=True)
    for file in (COMPOSE_FILE, *COMPOSE_FILE.parent.glob("*.mjs")):
        shutil.copy(file, KUBERNETES_FILES)


if __name__ == "__main__":
    main()
