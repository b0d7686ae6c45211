"""The whole graph: every context's subgraph, and the supergraph that unites the ones that a process serves."""

from collections.abc import Sequence
from functools import cache
from importlib import import_module
from typing import Any

from schema.supergraph import Subgraph, Supergraph

CONTEXTS = (
    "platform",
    "tenancy",
    "identity",
    "localization",
    "catalog",
    "importing",
    "search",
    "inventory",
    "reviews",
    "pricing",
    "tax",
    "orders",
    "payments",
    "notifications",
    "messaging",
    "live",
    "delivery",
)


@cache
def subgraph(context: str) -> Subgraph:
    """Give a context's subgraph.

    Raises: ValueError for a context that there is not.
    """
    if context not in CONTEXTS:
        raise ValueError(f"there is no context {context!r}; there are {', '.join(CONTEXTS)}")
    found: Subgraph = import_module(f"schema.{context}").subgraph
    return found


def build(only: Sequence[str] = (), **options: Any) -> Supergraph:
    """Unite the subgraphs of some contexts, or of all."""
    return Supergraph({context: subgraph(context) for context in only or CONTEXTS}, **options)
