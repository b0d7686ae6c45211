"""The graph as files: each subgraph's SDL, the public SDL, and the composed supergraph for a federation router."""

import json
import shutil
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path

from schema.graph import CONTEXTS, build, subgraph
from server.groups import group_of

ROOT = Path(__file__).parent.parent
COMPOSER = ROOT / "deploy" / "composition"
PUBLIC_SDL = ROOT / "schema" / "public.graphql"
REST_DESCRIPTION = ROOT / "schema" / "rest.openapi.json"
SUPERGRAPH_SDL = ROOT / "schema" / "supergraph.graphql"
URL = "http://127.0.0.1:8000/subgraphs/{context}/graphql"


class CompositionError(Exception):
    """The subgraphs do not fit together, or the composer is not installed."""


def print_schema(context: str | None = None) -> str:
    """Give a subgraph's SDL with its federation directives, or the public SDL of the whole graph."""
    return subgraph(context).as_str() + "\n" if context else build().as_str() + "\n"


def compose(contexts: Sequence[str] = CONTEXTS, url: str = URL) -> str:
    """Compose the subgraphs with @theguild/federation-composition, which a development machine has.

    Raises: CompositionError on any error or warning, or without Node.
    """
    node = shutil.which("node")
    if node is None or not (COMPOSER / "node_modules").is_dir():
        raise CompositionError(f"run `npm ci` in {COMPOSER.relative_to(ROOT)} first; Node 20 or newer is needed")
    services = {
        each: {"url": url.format(context=each, group=group_of(each)), "sdl": subgraph(each).as_str()}
        for each in contexts
    }
    done = subprocess.run(  # noqa: S603 — our own script, our own input.
        [node, "compose.mjs"], cwd=COMPOSER, input=json.dumps(services), capture_output=True, text=True, check=False
    )
    if done.returncode or done.stderr:
        raise CompositionError(done.stderr.strip())
    return done.stdout.rstrip() + "\n"


def located(supergraph: str, base: Callable[[str], str]) -> str:
    """Give a supergraph whose subgraphs are elsewhere: `base` gives the address of a context's server."""
    for context in CONTEXTS:
        path = f"/subgraphs/{context}/graphql"
        supergraph = supergraph.replace(f'"{URL.format(context=context)}"', f'"{base(context)}{path}"')
    return supergraph


def write() -> None:
    """Write the committed files anew."""
    PUBLIC_SDL.write_text(print_schema(), encoding="utf-8")
    SUPERGRAPH_SDL.write_text(compose(), encoding="utf-8")
