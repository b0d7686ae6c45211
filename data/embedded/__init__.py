"""Real PostgreSQL and Valkey started from wheels, for a server, a worker, a test or a command."""

from data.embedded.engines import Endpoints, Engines
from data.embedded.home import HomeInUse, HomeLock
from data.embedded.postgres import EmbeddedPostgres, OtherVersion
from data.embedded.processes import EngineError
from data.embedded.valkey import EmbeddedValkey

__all__ = [
    "EmbeddedPostgres",
    "EmbeddedValkey",
    "Endpoints",
    "EngineError",
    "Engines",
    "HomeInUse",
    "HomeLock",
    "OtherVersion",
]
