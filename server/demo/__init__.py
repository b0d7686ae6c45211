"""The demo marketplace: two tenants with stores, goods, people and opinions, the same ones in every installation.

`markets` says who and where, `goods` what; `loading` puts it through the domain with `handlers`.
"""

import base64
import os
from collections.abc import Callable, Mapping, Sequence
from pkgutil import resolve_name

import structlog

import data.tables  # noqa: F401 — maps every aggregate and registers every port.
from data.database import Database
from data.leases import Leases
from domain.kernel import Unavailable
from domain.tenancy import TenantReads, TenantStatus
from server.consumers import together
from server.demo.markets import MARKETS, Market
from server.settings import Settings

log = structlog.get_logger("agora.demo")

USERS_FILE = "demo-users.txt"
LINKS_FILE = "demo-links.txt"
PASSWORD_BYTES = 10


async def load(settings: Settings, markets: Sequence[Market] = MARKETS) -> None:
    """Load the marketplaces, unless they are there already; what a killed load left is completed.

    Raises: Unavailable while another process does the same.
    """
    if not await _is_loaded(settings, markets):
        async with Leases(settings.database_url, "agora demo") as leases:
            if not await leases.take("demo"):
                raise Unavailable(part="The demo, which another process is loading,")
            await _load_missing(settings, markets)
    _write_users(settings, markets)


async def _load_missing(settings: Settings, markets: Sequence[Market]) -> None:
    # What loading needs is imported only now: every start asks whether there is something to load.
    loader = resolve_name("server.demo.loading:MarketLoader")
    open_services = resolve_name("server.services:open_services")
    password_of = passwords(settings)
    async with open_services(settings) as services:
        # Side by side, so that PostgreSQL writes for one while Python makes the goods of the other.
        loaders = [loader(services, market, password_of) for market in markets]
        await together([each.run() for each in loaders])
        numbers = {market.code: await each.tracking_number() for market, each in zip(markets, loaders, strict=True)}
    _write_links(settings, numbers)
    log.info("demo.loaded", markets=[market.code for market in markets])


async def _is_loaded(settings: Settings, markets: Sequence[Market]) -> bool:
    """Say whether all tenants of the demo have left the trial, which is the last thing that loading does."""
    async with Database(settings.database_url, read_pool=1, write_pool=1) as database:
        reads = database.system_reads()
        try:
            rows = await reads.port(TenantReads).by_code([market.code for market in markets])
        finally:
            await reads.close()
    return all(row is not None and row.status != TenantStatus.TRIAL for row in rows)


def passwords(settings: Settings) -> Callable[[str], str]:
    """Give the function from an e-mail address to its password, which differs from installation to installation."""

    def password_of(email: str) -> str:
        key = settings.derive_key(f"demo password of {email}", PASSWORD_BYTES)
        text = base64.b32encode(key).decode().lower()
        return "-".join(text[start : start + 4] for start in range(0, len(text), 4))

    return password_of


def _write_links(settings: Settings, numbers: Mapping[str, str | None]) -> None:
    """Say where something can be seen without an account."""
    lines = [f"{settings.url}/track/{number}?tenant={code}\n" for code, number in numbers.items() if number]
    settings.home.mkdir(parents=True, exist_ok=True)
    (settings.home / LINKS_FILE).write_text("".join(lines), encoding="utf-8")


def _write_users(settings: Settings, markets: Sequence[Market]) -> None:
    file = settings.home / USERS_FILE
    if file.exists():
        return
    settings.home.mkdir(parents=True, exist_ok=True)
    password_of = passwords(settings)
    lines = [line for market in markets for line in _users(market, password_of)]
    fresh = file.with_suffix(f".{os.getpid()}")
    fresh.touch(mode=0o600)
    fresh.write_text("\n".join(lines) + "\n", encoding="utf-8")
    fresh.replace(file)


def _users(market: Market, password_of: Callable[[str], str]) -> list[str]:
    return [
        f"{person.role:<20}{market.code:<12} {person.email:<42}{password_of(person.email)}" for person in market.staff()
    ]
