"""`agora doctor`: what is used, what is reachable, and what is misconfigured."""

import asyncio
import json
import os
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from importlib.metadata import version as installed_version
from typing import Any, LiteralString

import psycopg
import redis
from meilisearch_python_sdk import Client
from meilisearch_python_sdk.errors import MeilisearchError
from rich.console import Console
from rich.table import Table
from sqlalchemy.engine import make_url
from sqlalchemy.exc import SQLAlchemyError

from data.database import APP_ROLE
from data.embedded import EngineError, Engines
from data.migrations import pending
from data.restorations import held_since
from domain.search import IndexState
from search.embedded import EmbeddedSearchEngine
from server.misconfiguration import Finding, Verdict, listed, misconfigurations
from server.settings import Settings

OLDEST_POSTGRES = 16
PATIENCE_SECONDS = 3
LITTLE_DISK_BYTES, NO_DISK_BYTES = 2 * 2**30, 200 * 2**20
CLOCK_TOLERANCE_SECONDS = 2.0


COLOURS = {Verdict.OK: "green", Verdict.NOTE: "cyan", Verdict.WARNING: "yellow", Verdict.ERROR: "bold red"}


def report(settings: Settings, *, as_json: bool) -> bool:
    """Prints the findings and all settings; says whether nothing is in error."""
    findings = list(examine(settings))
    sound = all(finding.verdict is not Verdict.ERROR for finding in findings)
    if as_json:
        document = {"sound": sound, "findings": [asdict(each) for each in findings], "settings": listed(settings)}
        sys.stdout.write(json.dumps(document, indent=2) + "\n")
    else:
        _print(findings, listed(settings))
    return sound


def examine(settings: Settings) -> Iterator[Finding]:
    """Looks at everything in turn; an engine that fails does not hide the others."""
    yield Finding("agora", Verdict.OK, f"{installed_version('agora')} on Python {sys.version.split()[0]}")
    yield from misconfigurations(settings, os.environ)
    yield from _home(settings)
    with _engines(settings) as (database_url, redis_url, findings):
        yield from findings
        if database_url:
            yield from _guarded("postgresql", lambda: _postgres(database_url))
        if redis_url:
            yield from _guarded("valkey", lambda: _valkey(redis_url))
    yield from _guarded("search", lambda: _search(settings))


def _home(settings: Settings) -> Iterator[Finding]:
    home = settings.home
    existing = next(folder for folder in (home, *home.parents) if folder.exists())
    if not os.access(existing, os.W_OK):
        yield Finding("home", Verdict.ERROR, f"{existing} is not writable")
    free = shutil.disk_usage(existing).free
    verdict = Verdict.ERROR if free < NO_DISK_BYTES else Verdict.WARNING if free < LITTLE_DISK_BYTES else Verdict.OK
    yield Finding("home", verdict, f"{home}, {free / 2**30:.1f} GiB free")
    key = home / "secret.key"
    if key.exists() and key.stat().st_mode & 0o077:
        yield Finding("home", Verdict.ERROR, f"{key} can be read by others; chmod 600 it and change it")


@contextmanager
def _engines(settings: Settings) -> Iterator[tuple[str, str, list[Finding]]]:
    """URLs to examine: embedded engines are started if nobody runs them, but never made anew just to be looked at."""
    embedded = [
        name for name, url in (("postgresql", settings.database_url), ("valkey", settings.redis_url)) if not url
    ]
    if embedded and not any((settings.home / name).exists() for name in embedded):
        unmade = [
            Finding(name, Verdict.NOTE, "embedded; made on the first start of `agora serve`") for name in embedded
        ]
        yield settings.database_url, settings.redis_url, unmade
        return
    engines = Engines(
        settings.home, database_url=settings.database_url or None, redis_url=settings.redis_url or None, attach=True
    )
    try:
        endpoints = engines.start()
    except EngineError as error:
        yield settings.database_url, settings.redis_url, [Finding("engines", Verdict.ERROR, str(error))]
        return
    how = f"embedded, run by process {endpoints.pid}" if engines.attached else "embedded, started for this report"
    try:
        yield endpoints.database_url, endpoints.redis_url, [Finding(name, Verdict.OK, how) for name in embedded]
    finally:
        engines.stop()


def _guarded(part: str, check: Callable[[], Iterator[Finding]]) -> Iterator[Finding]:
    try:
        yield from check()
    except (psycopg.Error, redis.RedisError, SQLAlchemyError, MeilisearchError, OSError, ValueError) as error:
        reason = str(error).strip().splitlines() or [type(error).__name__]
        yield Finding(part, Verdict.ERROR, f"not reachable: {reason[0]}")


def _postgres(url: str) -> Iterator[Finding]:
    plain = make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)
    with psycopg.connect(plain, autocommit=True, connect_timeout=PATIENCE_SECONDS) as connection:
        milliseconds = _milliseconds(lambda: connection.execute("SELECT 1"))
        version = connection.info.server_version // 10_000
        verdict = Verdict.OK if version >= OLDEST_POSTGRES else Verdict.ERROR
        yield Finding(
            "postgresql",
            verdict,
            f"version {connection.info.server_version / 10_000:.4g}, answers in {milliseconds:.1f} ms",
        )
        encoding = connection.info.parameter_status("server_encoding")
        if encoding != "UTF8":
            yield Finding("postgresql", Verdict.ERROR, f"the database's encoding is {encoding}; it must be UTF8")
        yield from _clock(connection)
        yield from _isolation(connection)
    behind = pending(url)
    yield Finding(
        "migrations",
        *((Verdict.WARNING, f"{len(behind)} pending; run `agora migrate`") if behind else (Verdict.OK, "none pending")),
    )
    if not behind:
        yield from _restoration(url)


def _restoration(url: str) -> Iterator[Finding]:
    taken_at = held_since(url)
    if taken_at:
        detail = f"of a backup of {taken_at:%Y-%m-%d %H:%M:%S} UTC; jobs, sagas and messages wait for `agora release`"
        yield Finding("restoration", Verdict.WARNING, detail)


def _clock(connection: psycopg.Connection[Any]) -> Iterator[Finding]:
    before = datetime.now(UTC)
    theirs = connection.execute("SELECT clock_timestamp()").fetchone()
    skew_seconds = abs((theirs[0] - before).total_seconds()) if theirs else 0.0
    verdict = Verdict.OK if skew_seconds < CLOCK_TOLERANCE_SECONDS else Verdict.WARNING
    yield Finding("clock", verdict, f"{before:%Y-%m-%d %H:%M:%S} UTC, {skew_seconds:.2f} s from the database's")


def _isolation(connection: psycopg.Connection[Any]) -> Iterator[Finding]:
    if not _value(connection, "SELECT count(*) FROM pg_roles WHERE rolname = %s", APP_ROLE):
        yield Finding("isolation", Verdict.NOTE, f"the role {APP_ROLE} is made by the first migration")
        return
    powers = _value(
        connection,
        """SELECT concat_ws(', ', CASE WHEN rolsuper THEN 'is superuser' END, CASE WHEN rolbypassrls THEN 'bypasses row security' END,
                  CASE WHEN EXISTS (SELECT FROM pg_class WHERE relowner = role.oid AND relkind IN ('r', 'p')) THEN 'owns tables' END)
           FROM pg_roles role WHERE rolname = %s""",
        APP_ROLE,
    )
    yield Finding(
        "isolation",
        *(
            (Verdict.ERROR, f"{APP_ROLE} {powers}")
            if powers
            else (Verdict.OK, f"{APP_ROLE} owns nothing and bypasses nothing")
        ),
    )
    unforced = _value(
        connection,
        """SELECT string_agg(relation.oid::regclass::text, ', ') FROM pg_class relation
           JOIN pg_attribute ON attrelid = relation.oid AND attname = 'tenant_id' AND NOT attisdropped
           WHERE relkind IN ('r', 'p') AND NOT (relrowsecurity AND relforcerowsecurity)""",
    )
    yield Finding(
        "isolation",
        *(
            (Verdict.ERROR, f"row security is not forced on {unforced}")
            if unforced
            else (Verdict.OK, "row security is forced on every tenant's table")
        ),
    )


def _valkey(url: str) -> Iterator[Finding]:
    with redis.from_url(url, socket_timeout=PATIENCE_SECONDS, socket_connect_timeout=PATIENCE_SECONDS) as client:
        client.ping()
        milliseconds = _milliseconds(client.ping)
        facts: dict[str, Any] = client.info()
        product = (
            f"Valkey {facts['valkey_version']}" if "valkey_version" in facts else f"Redis {facts['redis_version']}"
        )
        yield Finding("valkey", Verdict.OK, f"{product}, answers in {milliseconds:.1f} ms")
        if facts.get("maxmemory_policy", "noeviction") != "noeviction":
            yield Finding(
                "valkey",
                Verdict.ERROR,
                f"maxmemory-policy {facts['maxmemory_policy']} may evict undelivered events; set noeviction",
            )
        if not facts.get("aof_enabled"):
            yield Finding("valkey", Verdict.WARNING, "appendonly is off: events in flight are lost when it stops")


def _search(settings: Settings) -> Iterator[Finding]:
    if settings.meilisearch_url:
        client = Client(settings.meilisearch_url, settings.meilisearch_key or None, timeout=PATIENCE_SECONDS)
        milliseconds = _milliseconds(client.health)
        yield Finding(
            "search", Verdict.OK, f"Meilisearch {client.get_version().pkg_version}, answers in {milliseconds:.1f} ms"
        )
        return
    folder = settings.home / "search"
    if not folder.exists():
        yield Finding("search", Verdict.NOTE, "embedded; made on the first start of `agora serve`")
        return
    status = asyncio.run(EmbeddedSearchEngine(folder, writable=False).status())
    sound = status.state in {IndexState.READY, IndexState.EMPTY, IndexState.REBUILDING}
    detail = f"embedded, {status.state}, {status.documents:,} documents{f': {status.reason}' if status.reason else ''}"
    yield Finding("search", Verdict.OK if sound else Verdict.WARNING, detail)


def _value(connection: psycopg.Connection[Any], statement: LiteralString, *arguments: str) -> Any:
    row = connection.execute(statement, arguments).fetchone()
    return row[0] if row else None


def _milliseconds(action: Callable[[], Any]) -> float:
    started = time.perf_counter()
    action()
    return (time.perf_counter() - started) * 1000


def _print(findings: list[Finding], settings: list[dict[str, str]]) -> None:
    console = Console()
    found = Table("part", "", "finding", title="Agora", title_justify="left")
    for finding in findings:
        found.add_row(finding.part, f"[{COLOURS[finding.verdict]}]{finding.verdict}[/]", finding.detail)
    console.print(found)
    chosen = Table("variable", "value", "meaning", title="Settings (* set, else the default)", title_justify="left")
    for setting in settings:
        mark = " *" if setting["from"] == "set" else ""
        chosen.add_row(setting["variable"] + mark, setting["value"], setting["meaning"])
    console.print(chosen)
