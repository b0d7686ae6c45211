"""A federated supergraph in one process, and its breadth-first execution engine."""

from schema.supergraph.checks import MergeError
from schema.supergraph.declarations import Typed, attribute, bulk, computed
from schema.supergraph.documents import DocumentCache
from schema.supergraph.executor import BreadthFirstExecutor
from schema.supergraph.limits import DeadlineExceeded, Limits, ResultTooLarge
from schema.supergraph.merge import Supergraph
from schema.supergraph.subgraph import Subgraph

__all__ = [
    "BreadthFirstExecutor",
    "DeadlineExceeded",
    "DocumentCache",
    "Limits",
    "MergeError",
    "ResultTooLarge",
    "Subgraph",
    "Supergraph",
    "Typed",
    "attribute",
    "bulk",
    "computed",
]
