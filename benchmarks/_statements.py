"""What reaches PostgreSQL, read off its log."""

import asyncio
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager

import asyncpg
from _system import Agora

STATEMENT = re.compile(r"LOG:  (?:statement|execute [^:]*): (.*)")


@contextmanager
def logged(server: Agora, url: str) -> Iterator[list[str]]:
    """Give a list that holds the first line of every statement, once the block has ended."""
    texts: list[str] = []
    log = server.home / "logs" / "postgresql.log"
    asyncio.run(_configure(url, "SET log_statement = 'all'"))
    start = log.stat().st_size
    yield texts
    time.sleep(0.2)
    with log.open("rb") as stream:
        stream.seek(start)
        lines = stream.read().decode(errors="replace").splitlines()
    asyncio.run(_configure(url, "RESET log_statement"))
    texts += [found.group(1) for line in lines if (found := STATEMENT.search(line)) and "ALTER SYSTEM" not in line]


async def _configure(url: str, change: str) -> None:
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(f"ALTER SYSTEM {change}")
        await connection.execute("SELECT pg_reload_conf()")
    finally:
        await connection.close()
    await asyncio.sleep(0.3)
