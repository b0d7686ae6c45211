"""A backup that is taken among buyers who come and go, and whoever takes or restores one being killed anywhere."""

import asyncio
import contextlib
import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any
from uuid import UUID

import psycopg
import pytest

from data.backup import contradictions
from data.database import Database
from data.embedded import Engines
from data.restorations import release, waiting
from domain.kernel import uuid7
from domain.processes.checkout import CHECKOUT
from server import backup, restoring
from server.backup import Wanted
from server.settings import Settings
from server.worker import run as run_worker
from tests.buying import market
from tests.conftest import tenant_maker
from tests.crash.buyers import GONE, SKUS
from tests.crash.street import AMISS, Place, street
from tests.server.application import eventually, served

ROOT = Path(__file__).parents[2]
KEY = "a secret that is long enough for tests"
BUYERS = int(os.environ.get("AGORA_CRASH", "30"))
ORDERS = 'SELECT id, payment_status FROM orders."order"'
DUE = "UPDATE platform.saga SET due_at = now() + %s::interval WHERE id = %s"
BACKUP_POINTS = ("snapshot", "dumped", "synced", "renamed")
RESTORE_POINTS = ("loaded", "files", "emptied", "swapped")


class Gone(BaseException):
    """Whoever ran it is not there any more."""


def ask(url: str, statement: str, *arguments: Any) -> list[Any]:
    with psycopg.connect(url, autocommit=True) as connection:
        found = connection.execute(statement, arguments or None)  # type: ignore[call-overload]
        return found.fetchall() if found.description else []


@pytest.fixture
def drop(engines: Engines) -> Iterator[Callable[[str], None]]:
    """Throw databases away at the end, with all that were made of them."""
    prefixes: list[str] = []
    yield prefixes.append
    for prefix in prefixes:
        for (each,) in ask(
            engines.database_url, "SELECT datname FROM pg_database WHERE starts_with(datname, %s)", prefix
        ):
            ask(engines.database_url, f"DROP DATABASE {each} WITH (FORCE)")


@pytest.fixture
async def place(
    new_database: Callable[[str], str], drop: Callable[[str], None], tmp_path: Path
) -> AsyncIterator[Place]:
    """Open a market in a database of its own."""
    url = new_database("busy_street")
    drop("busy_street")
    tenant_id = tenant_maker(url)()
    async with Database(url) as database, market(database, tenant_id) as opened:
        for number, sku in enumerate(SKUS):
            await opened.put_on_sale(sku, 4999 + 1750 * number, 40 + 2 * BUYERS, seller=number % 2)
        yield Place(
            database_url=url,
            tenant_id=tenant_id,
            books=str(tmp_path / "bank.sqlite"),
            stores=tuple(opened.stores),
            sellers=tuple(opened.sellers),
        )


async def _crowd(place: Place) -> asyncio.subprocess.Process:
    told = asdict(place) | {"seed": 4_000, "buyers": BUYERS, "point": None, "times": 0}
    return await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.crash.buyers", json.dumps(told, default=str), cwd=ROOT, stdout=subprocess.DEVNULL
    )


async def _left_half_way(place: Place) -> UUID:
    """Have a buyer whose process is gone just before the bank is asked; give the order."""

    def gone(point: str) -> None:
        if point == "checkout.charge.begin":
            raise Gone

    async with Database(place.database_url) as database, street(database, place, gone) as shop:
        work = shop.work()
        await shop.filled(work, ("mug", 1))
        saga = shop.saga(work, str(uuid7()))
        with contextlib.suppress(Gone):
            await shop.keeper().start(CHECKOUT, saga)
        # The others on the street are to leave it alone.
        ask(place.database_url, DUE, "1 hour", saga.id)
        return saga.id


def _elsewhere(engines: Engines, home: Path, name: str) -> Settings:
    return Settings(
        home=home,
        database_url=engines.database_url.replace("/agora?", f"/{name}?"),
        redis_url=engines.redis_url,
        redis_namespace=name.replace("_", "-"),
        secret_key=KEY,
    )


class TestABackupUnderLoad:
    @pytest.mark.timeout(600)
    async def test_restores_to_a_state_in_which_everything_agrees_and_goes_on(
        self, place: Place, engines: Engines, drop: Callable[[str], None], tmp_path: Path
    ) -> None:
        busy = _elsewhere(engines, tmp_path / "busy", "busy_street")
        crowd = await _crowd(place)

        async def acknowledged() -> dict[UUID, str]:
            return dict(await asyncio.to_thread(ask, place.database_url, ORDERS))

        async def several() -> bool:
            return len([each for each in (await acknowledged()).values() if each == "paid"]) >= 3

        await eventually(several, 120)
        half_way = await _left_half_way(place)
        known = await acknowledged()
        taken = await asyncio.to_thread(backup.run, busy, Wanted(output=str(tmp_path / "busy.agora")))
        later = len(await acknowledged())
        assert await asyncio.wait_for(crowd.wait(), 300) == 0
        restored = _elsewhere(engines, tmp_path / "quiet", "quiet_street")
        drop("quiet_street")
        await asyncio.to_thread(restoring.run, restored, taken.place)
        found = dict(await asyncio.to_thread(ask, restored.database_url, ORDERS))
        assert known.keys() <= found.keys()
        assert all(found[order] not in {"pending", "failed"} for order, status in known.items() if status == "paid")
        assert len(found) <= later
        assert len(found) < len(await acknowledged())
        assert [(rule, amiss) for rule, amiss in contradictions(restored.database_url) if amiss] == []
        assert waiting(restored.database_url).sagas >= 1
        await self._goes_on(restored, half_way)
        # The rest is brought to its end by the bank that knows of it, and every buyer is charged once at most.
        again = replace(place, database_url=restored.database_url)
        async with Database(again.database_url) as database, street(database, again) as shop:
            await shop.come_to_rest()
            assert [str(each) for each in await shop.all(AMISS)] == []
            asked = [charge["metadata"]["payment_id"] for charge in shop.bank.charges() if shop.bank.kept(charge)]
        assert len(asked) == len(set(asked))
        assert [(rule, amiss) for rule, amiss in contradictions(restored.database_url) if amiss] == []

    async def _goes_on(self, restored: Settings, half_way: UUID) -> None:
        """Serve what was restored, with a worker beside it, which brings to an end what was half-way when it may."""
        ask(restored.database_url, DUE, "0", half_way)
        state = "SELECT state FROM platform.saga WHERE id = %s"
        with served(restored) as application:
            worker = asyncio.create_task(run_worker(restored))
            try:

                async def relayed() -> bool:
                    ((sequence, position),) = await asyncio.to_thread(
                        ask, restored.database_url,
                        "SELECT cursor.sequence, max(log.sequence) FROM platform.relay_cursor AS cursor, "
                        "platform.event_log AS log GROUP BY 1",
                    )  # fmt: skip
                    return bool(sequence >= position)

                assert await eventually(relayed, 60)
                assert (await application.get("/health/ready")).status_code == 200
                assert ask(restored.database_url, state, half_way) == [("running",)]
                release(restored.database_url, drop_messages=False)

                async def ended() -> bool:
                    return await asyncio.to_thread(ask, restored.database_url, state, half_way) in (
                        [("done",)],
                        [("compensated",)],
                    )

                assert await eventually(ended, 60)
            finally:
                worker.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await worker
                await application.client.aclose()


@pytest.fixture(scope="module")
def shop(
    engines: Engines, new_database: Callable[[str], str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Settings]:
    """An installation with one tenant."""
    settings = _elsewhere(engines, tmp_path_factory.mktemp("killed"), "killed_shop")
    tenant_maker(new_database("killed_shop"))(code="backed-up")
    yield settings
    for (each,) in ask(
        engines.database_url, "SELECT datname FROM pg_database WHERE starts_with(datname, 'killed_shop')"
    ):
        ask(engines.database_url, f"DROP DATABASE {each} WITH (FORCE)")


def _killed(settings: Settings, verb: str, source: Path, point: str) -> None:
    told = {name: str(getattr(settings, name)) for name in settings.model_fields_set}
    told |= {"verb": verb, "source": str(source), "point": point}
    done = subprocess.run(
        [sys.executable, "-m", "tests.crash.archivist", json.dumps(told)],
        cwd=ROOT,
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode == GONE, done.stderr


class TestAKilledBackup:
    @pytest.mark.parametrize("point", BACKUP_POINTS)
    def test_is_either_complete_or_none(self, shop: Settings, tmp_path: Path, point: str) -> None:
        place = tmp_path / "shop.agora"
        _killed(shop, "backup", place, point)
        assert place.exists() == (point == "renamed")
        if place.exists():
            with restoring.reading(str(place), None) as archive:
                assert archive.manifest.tenants == 1
        backup.run(shop, Wanted(output=str(place)))
        assert [file.name for file in tmp_path.iterdir()] == ["shop.agora"]


class TestAKilledRestore:
    @pytest.mark.parametrize("point", RESTORE_POINTS)
    def test_leaves_either_what_was_there_or_all_that_was_backed_up(
        self,
        shop: Settings,
        engines: Engines,
        drop: Callable[[str], None],
        new_database: Callable[[str], str],
        tmp_path: Path,
        point: str,
    ) -> None:
        name = f"killed_at_{point}"
        drop(name)
        target = _elsewhere(engines, tmp_path, name)
        tenant_maker(new_database(name))(code="present")
        taken = Path(backup.run(shop, Wanted(output=str(tmp_path / "shop.agora"))).place)
        _killed(target, "restore", taken, point)
        expected = "backed-up" if point == "swapped" else "present"
        assert ask(target.database_url, "SELECT code FROM tenancy.tenant") == [(expected,)]
        restoring.run(target, str(taken), force=True)
        assert ask(target.database_url, "SELECT code FROM tenancy.tenant") == [("backed-up",)]
        assert [rule for rule, amiss in contradictions(target.database_url) if amiss] == []
