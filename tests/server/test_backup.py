"""Backups and the way back, on real databases: what is in them, what is refused, and what a restored one does."""

import asyncio
import json
import os
import re
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import psycopg
import pytest
from redis import Redis

from data.backup import ArchiveReader, ArchiveWriter, BackupError, contradictions, opened, programs, sealed
from data.backup.dumping import snapshot
from data.backup.programs import find_program
from data.backup.sealing import PIECE_BYTES
from data.database import Database
from data.embedded import Engines
from data.migrations import pending, upgrade
from data.objects import ObStore
from data.restorations import Hold, held_since, release, waiting
from domain.kernel import uuid7
from server import backup, restoring
from server.backup import Wanted
from server.settings import Settings
from tests.conftest import tenant_maker

KEY = "a secret that is long enough for tests"
RIGHTS = """
SELECT relation.oid::regclass::text, relkind::text, relrowsecurity, relforcerowsecurity,
  array(SELECT grantee::regrole || ' ' || privilege_type FROM aclexplode(relacl) WHERE grantee <> relowner ORDER BY 1),
  array(SELECT polname || polcmd::text || polroles::regrole[]::text || coalesce(pg_get_expr(polqual, polrelid), '')
        || coalesce(pg_get_expr(polwithcheck, polrelid), '') FROM pg_policy WHERE polrelid = relation.oid ORDER BY 1)
FROM pg_class AS relation JOIN pg_namespace ON pg_namespace.oid = relnamespace
WHERE relkind IN ('r', 'p', 'S', 'v') AND nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast') ORDER BY 1
"""
TO_COME = """
SELECT nspname, defaclobjtype::text, array(SELECT grantee::regrole || ' ' || privilege_type FROM aclexplode(defaclacl)
  WHERE grantee::regrole::text LIKE 'agora\\_%' ORDER BY 1) FROM pg_default_acl JOIN pg_namespace ON pg_namespace.oid = defaclnamespace
ORDER BY 1, 2
"""
INDEXES = "SELECT schemaname, indexname, indexdef FROM pg_indexes WHERE schemaname NOT LIKE 'pg\\_%' ORDER BY 1, 2"
FUNCTIONS = """
SELECT oid::regprocedure::text, md5(prosrc), array(SELECT grantee::regrole || ' ' || privilege_type FROM aclexplode(proacl)
  WHERE grantee <> proowner AND grantee <> 0 ORDER BY 1) FROM pg_proc WHERE pronamespace::regnamespace::text NOT LIKE 'pg\\_%'
AND pronamespace <> 'information_schema'::regnamespace ORDER BY 1
"""


def ask(url: str, statement: str, *arguments: Any) -> list[Any]:
    with psycopg.connect(url, autocommit=True) as connection:
        found = connection.execute(statement, arguments or None)  # type: ignore[call-overload]
        return found.fetchall() if found.description else []


def rows(url: str) -> dict[str, tuple[int, str]]:
    """Give how many rows each table has and what all of them are."""
    tables = ask(url, "SELECT oid::regclass::text FROM pg_class WHERE relkind = 'r' AND oid >= 16384 ORDER BY 1")
    every = "SELECT count(*), coalesce(md5(string_agg(md5(t::text), '' ORDER BY md5(t::text))), '') FROM {} AS t"
    return {name: ask(url, every.format(name))[0] for (name,) in tables}


@pytest.fixture(scope="module")
def named(engines: Engines, new_database: Callable[[str], str]) -> Iterator[Callable[[str], str]]:
    """Make databases that are thrown away with all that were made of them."""
    made: list[str] = []

    def make(name: str, *, empty: bool = False) -> str:
        made.append(name)
        if not empty:
            return new_database(name)
        ask(engines.database_url, f"CREATE DATABASE {name}")
        return engines.database_url.replace("/agora?", f"/{name}?")

    yield make
    for name in made:
        for (each,) in ask(
            engines.database_url, "SELECT datname FROM pg_database WHERE starts_with(datname, %s)", name
        ):
            ask(engines.database_url, f"DROP DATABASE {each} WITH (FORCE)")


@pytest.fixture(scope="module")
def settings(named: Callable[[str], str], redis_url: str, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """An installation with tenants, events and a file."""
    made = Settings(
        home=tmp_path_factory.mktemp("backed"),
        database_url=named("backed_up"),
        redis_url=redis_url,
        redis_namespace="backed",
        secret_key=KEY,
    )
    make_tenant = tenant_maker(made.database_url)
    for code in ("harbour", "meadow"):
        tenant_id = make_tenant(code=code)
        for version in range(1, 4):
            ask(
                made.database_url,
                "INSERT INTO platform.event_log (event_id, tenant_id, aggregate_id, aggregate_type, version, name, occurred_at) "
                "VALUES (%s, %s, %s, 'Tally', %s, 'tally.raised', now())",
                uuid7(), tenant_id, tenant_id, version,
            )  # fmt: skip
    return made


@pytest.fixture(scope="module")
async def attachment(settings: Settings) -> str:
    """Give the key of a file that a row refers to."""
    ((tenant_id,),) = ask(settings.database_url, "SELECT id FROM tenancy.tenant WHERE code = 'harbour'")
    attachment_id = uuid7()
    ask(
        settings.database_url,
        "INSERT INTO messaging.attachment (id, tenant_id, version, conversation_id, uploader_id, name, state, requested_at) "
        "VALUES (%s, %s, 1, %s, %s, 'a.txt', 'uploaded', now())",
        attachment_id, tenant_id, uuid7(), uuid7(),
    )  # fmt: skip
    key = f"{tenant_id.hex}/messaging/{attachment_id.hex}"
    store = ObStore(settings.objects_url)
    await store.put(key, b"what was sent", content_type="text/plain")
    await store.put(f"{tenant_id.hex}/messaging/{uuid7().hex}", b"what nobody refers to", content_type="text/plain")
    return key


@pytest.fixture(scope="module")
def archive(settings: Settings, attachment: str) -> Path:
    return Path(backup.run(settings, Wanted()).place)


@pytest.fixture
def elsewhere(settings: Settings, named: Callable[..., str], tmp_path: Path) -> Settings:
    """Another installation, in which there is nothing yet."""
    number = uuid7().hex[-8:]
    return Settings(
        home=tmp_path,
        database_url=named(f"elsewhere_{number}", empty=True),
        redis_url=settings.redis_url,
        redis_namespace=f"elsewhere-{number}",
        secret_key=KEY,
    )


def with_key(settings: Settings, key: str) -> Settings:
    """The same settings with another secret key; a copy would remember what was derived from the first."""
    chosen = {name: getattr(settings, name) for name in settings.model_fields_set}
    return Settings(**chosen | {"secret_key": key})


class TestBackup:
    def test_says_what_it_is_of(self, archive: Path, settings: Settings, attachment: str) -> None:
        with restoring.reading(str(archive), None) as found:
            manifest = found.manifest
        assert (manifest.tenants, manifest.missing, manifest.postgres) == (2, [], 18)
        assert manifest.position == ask(settings.database_url, "SELECT max(sequence) FROM platform.event_log")[0][0]
        assert manifest.revision == ask(settings.database_url, "SELECT version_num FROM schema_version")[0][0]
        assert sorted(manifest.parts) == ["database.dump", f"objects/{attachment}", "settings.json"]
        assert manifest.parts[f"objects/{attachment}"].bytes == len(b"what was sent")
        assert re.fullmatch(r"agora-\d{8}T\d{12}Z\.agora", archive.name)
        assert archive.stat().st_mode & 0o077 == 0

    def test_holds_no_secret(self, archive: Path, settings: Settings) -> None:
        with zipfile.ZipFile(archive) as parts:
            told = parts.read("settings.json").decode() + parts.read("manifest.json").decode()
        password = psycopg.conninfo.conninfo_to_dict(settings.database_url)["password"]
        assert KEY not in told
        assert str(password) not in told
        assert any(each["variable"] == "AGORA_REDIS_NAMESPACE" for each in json.loads(told.partition("]")[0] + "]"))

    def test_keeps_so_many_of_the_dated_ones(self, settings: Settings, tmp_path: Path) -> None:
        (tmp_path / "notes.txt").touch()
        taken = [backup.run(settings, Wanted(output=str(tmp_path), keep=2)) for _ in range(3)]
        left = {Path(each.place).name for each in taken[1:]}
        assert taken[2].removed == [Path(taken[0].place).name]
        assert {file.name for file in tmp_path.iterdir()} == left | {"notes.txt"}

    def test_goes_into_a_store(self, settings: Settings, tmp_path: Path, elsewhere: Settings) -> None:
        url = (tmp_path / "store").as_uri()
        first, second = (backup.run(settings, Wanted(output=url, keep=1)) for _ in range(2))
        assert second.removed == [first.place.rpartition("/")[2]]
        assert [file.as_uri() for file in (tmp_path / "store").iterdir()] == [second.place]
        restoring.run(elsewhere, second.place)
        assert len(ask(elsewhere.database_url, "SELECT 1 FROM tenancy.tenant")) == 2

    def test_names_a_file_that_is_gone_and_is_complete_without_it(self, settings: Settings, attachment: str) -> None:
        file = settings.home / "objects" / attachment
        hidden = file.rename(file.with_suffix(".hidden"))
        try:
            assert backup.run(settings, Wanted()).manifest.missing == [f"objects/{attachment}"]
        finally:
            hidden.rename(file)

    def test_refuses_the_secret_key_without_a_passphrase(self, settings: Settings, tmp_path: Path) -> None:
        with pytest.raises(BackupError, match="passphrase"):
            backup.run(settings, Wanted(output=str(tmp_path), include_secret_key=True))
        assert list(tmp_path.iterdir()) == []

    def test_refuses_a_database_that_was_never_migrated(self, elsewhere: Settings) -> None:
        with pytest.raises(BackupError, match="nothing to back up"):
            backup.run(elsewhere, Wanted())
        assert not list(elsewhere.home.glob("backups/*"))

    def test_refuses_programs_that_are_older_than_the_server(
        self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        old = tmp_path / "pg_dump"
        old.write_text("#!/bin/sh\necho 'pg_dump (PostgreSQL) 15.4'\n")
        old.chmod(0o755)
        monkeypatch.setattr(programs, "_candidates", lambda _name: iter([old]))
        with pytest.raises(BackupError) as refusal:
            find_program("pg_dump", 18)
        assert str(refusal.value).startswith(
            f"pg_dump of PostgreSQL 18 or newer is needed; found only {old} (version 15)"
        )
        assert find_program("pg_dump", 15) == (old, 15)

    async def test_blocks_nobody_and_sees_nothing_of_what_comes_later(self, settings: Settings) -> None:
        with snapshot(settings.database_url) as of:
            ask(settings.database_url, "SET lock_timeout = '1s'; UPDATE tenancy.tenant SET name = name; "
                                       "CREATE TABLE platform.later (); DROP TABLE platform.later")  # fmt: skip
            tenant_maker(settings.database_url)(code="latecomer")
            assert of.tenants == 2
        ask(settings.database_url, "DELETE FROM tenancy.tenant WHERE code = 'latecomer'")


class TestRestore:
    def test_gives_the_same_rows_rights_policies_indexes_and_functions(
        self, archive: Path, settings: Settings, elsewhere: Settings, attachment: str
    ) -> None:
        restored = restoring.run(elsewhere, str(archive))
        assert restored.kept is None
        before, after = rows(settings.database_url), rows(elsewhere.database_url)
        assert after.pop("platform.restoration") != before.pop("platform.restoration")
        assert after == before
        for compared in (RIGHTS, TO_COME, INDEXES, FUNCTIONS):
            assert ask(elsewhere.database_url, compared) == ask(settings.database_url, compared)
        assert (elsewhere.home / "objects" / attachment).read_bytes() == b"what was sent"
        assert sum(file.is_file() for file in (elsewhere.home / "objects").rglob("*")) == 1
        assert [rule for rule, found in contradictions(elsewhere.database_url) if found] == []

    def test_goes_on_far_behind_what_anybody_has_seen(self, archive: Path, elsewhere: Settings) -> None:
        position = restoring.run(elsewhere, str(archive)).manifest.position
        ((following,),) = ask(elsewhere.database_url, "SELECT nextval('platform.event_log_sequence_seq')")
        assert following > position + 10**9

    def test_empties_the_bus_of_this_installation_alone(self, archive: Path, elsewhere: Settings) -> None:
        with Redis.from_url(elsewhere.redis_url) as redis:
            ours, theirs = f"{{{elsewhere.redis_namespace}}}:position", "{somebody-else}:position"
            redis.set(ours, 99)
            redis.set(theirs, 7)
            restoring.run(elsewhere, str(archive))
            assert (redis.get(ours), redis.get(theirs)) == (None, b"7")
            redis.delete(theirs)

    def test_refuses_a_database_that_is_not_empty_unless_told(self, archive: Path, elsewhere: Settings) -> None:
        restoring.run(elsewhere, str(archive))
        tenant_maker(elsewhere.database_url)(code="newcomer")
        before = rows(elsewhere.database_url)
        with pytest.raises(BackupError, match="is not empty; with --force"):
            restoring.run(elsewhere, str(archive))
        assert rows(elsewhere.database_url) == before
        kept = restoring.run(elsewhere, str(archive), force=True).kept
        assert kept is not None
        assert len(ask(elsewhere.database_url, "SELECT 1 FROM tenancy.tenant")) == 2
        name = psycopg.conninfo.conninfo_to_dict(elsewhere.database_url)["dbname"]
        assert rows(elsewhere.database_url.replace(f"/{name}?", f"/{kept}?")) == before

    def test_refuses_a_database_that_is_not_ours(self, archive: Path, elsewhere: Settings) -> None:
        ask(elsewhere.database_url, "CREATE TABLE letters (id int)")
        with pytest.raises(BackupError, match="is not empty"):
            restoring.run(elsewhere, str(archive))

    def test_refuses_while_somebody_works_with_the_database(self, archive: Path, elsewhere: Settings) -> None:
        with (
            psycopg.connect(elsewhere.database_url, application_name="agora jobs"),
            pytest.raises(BackupError, match=r"1 sessions work with the database .* \(agora jobs\)"),
        ):
            restoring.run(elsewhere, str(archive), force=True)
        assert ask(elsewhere.database_url, "SELECT 1 FROM pg_namespace WHERE nspname = 'platform'") == []

    def test_brings_an_older_one_up_to_now(
        self, settings: Settings, named: Callable[..., str], elsewhere: Settings
    ) -> None:
        older = settings.model_copy(update={"database_url": named("older", empty=True)})
        upgrade(older.database_url, "0024")
        tenant_maker(older.database_url)(code="early")
        restoring.run(elsewhere, backup.run(older, Wanted()).place)
        assert pending(elsewhere.database_url) == []
        assert ask(elsewhere.database_url, "SELECT code FROM tenancy.tenant") == [("early",)]

    def test_refuses_a_newer_one(self, archive: Path, elsewhere: Settings, tmp_path: Path) -> None:
        newer = rewritten(archive, tmp_path / "newer.agora", revision="9999", agora="7.0.0")
        with pytest.raises(BackupError, match=r"taken by a newer version \(7.0.0, schema 9999\)"):
            restoring.run(elsewhere, str(newer))
        assert rows(elsewhere.database_url) == {}

    def test_refuses_an_older_server(self, archive: Path, elsewhere: Settings, tmp_path: Path) -> None:
        newer = rewritten(archive, tmp_path / "newer.agora", postgres=19)
        with pytest.raises(BackupError, match="of PostgreSQL 19, and the server is PostgreSQL 18"):
            restoring.run(elsewhere, str(newer))

    def test_refuses_another_secret_key(self, archive: Path, elsewhere: Settings) -> None:
        other = with_key(elsewhere, "another secret that is long enough")
        with pytest.raises(BackupError, match="secret key is another one"):
            restoring.run(other, str(archive))
        without = with_key(elsewhere, "")
        with pytest.raises(BackupError, match="needs the secret key"):
            restoring.run(without, str(archive))
        assert not (without.home / "secret.key").exists()
        assert rows(elsewhere.database_url) == {}

    def test_brings_the_secret_key_along_where_it_was_included(
        self, settings: Settings, elsewhere: Settings, tmp_path: Path
    ) -> None:
        wanted = Wanted(output=str(tmp_path / "kept.agora"), passphrase="correct horse", include_secret_key=True)
        place = backup.run(settings, wanted).place
        assert KEY.encode() not in Path(place).read_bytes()
        without = with_key(elsewhere, "")
        with pytest.raises(BackupError, match="is encrypted; give its passphrase"):
            restoring.run(without, place)
        with pytest.raises(BackupError, match="passphrase is wrong"):
            restoring.run(without, place, passphrase="battery staple")
        restoring.run(without, place, passphrase="correct horse")
        assert (without.home / "secret.key").read_text() == KEY
        assert (without.home / "secret.key").stat().st_mode & 0o077 == 0

    def test_is_possible_for_logins_that_are_nobody_special(
        self, archive: Path, settings: Settings, engines: Engines, named: Callable[..., str], elsewhere: Settings
    ) -> None:
        for login in ("modest", "humble"):
            ask(engines.database_url, f"CREATE ROLE {login} LOGIN CREATEDB CREATEROLE PASSWORD 'x'")
            ask(engines.database_url, f"GRANT agora_app, agora_system TO {login} WITH ADMIN OPTION, INHERIT FALSE")
        owned, target = (self._owned(engines, named, login) for login in ("modest", "humble"))
        upgrade(owned)
        tenant_maker(settings.database_url)
        ask(engines.database_url.replace("/agora?", "/modest_owned?"),
            "INSERT INTO tenancy.tenant SELECT * FROM jsonb_populate_record(NULL::tenancy.tenant, %s)",
            json.dumps(self._tenant(settings)))  # fmt: skip
        place = backup.run(elsewhere.model_copy(update={"database_url": owned}), Wanted()).place
        restoring.run(elsewhere.model_copy(update={"database_url": target}), place)
        modest, humble = (engines.database_url.replace("/agora?", f"/{login}_owned?") for login in ("modest", "humble"))
        assert len(ask(humble, "SELECT 1 FROM tenancy.tenant")) == 1
        assert ask(humble, RIGHTS) == ask(modest, RIGHTS)
        assert ask(humble, TO_COME) == ask(modest, TO_COME)

    def _owned(self, engines: Engines, named: Callable[..., str], login: str) -> str:
        named(f"{login}_owned", empty=True)
        ask(engines.database_url, f"ALTER DATABASE {login}_owned OWNER TO {login}")
        url = engines.database_url.replace("/agora?", f"/{login}_owned?")
        return re.sub(r"//agora:[^@]+@", f"//{login}:x@", url)

    def _tenant(self, settings: Settings) -> Any:
        return ask(settings.database_url, "SELECT to_jsonb(t) FROM tenancy.tenant AS t WHERE code = 'meadow'")[0][0]


class TestADamagedBackup:
    @pytest.fixture
    def copy(self, archive: Path, tmp_path: Path) -> Path:
        made = tmp_path / "copy.agora"
        made.write_bytes(archive.read_bytes())
        return made

    def refused(self, copy: Path, elsewhere: Settings, why: str) -> None:
        with pytest.raises(BackupError, match=why):
            restoring.run(elsewhere, str(copy))
        assert rows(elsewhere.database_url) == {}
        assert not (elsewhere.home / "objects").exists()

    def test_is_refused_where_a_bit_is_another(self, copy: Path, elsewhere: Settings) -> None:
        content = bytearray(copy.read_bytes())
        content[len(content) // 2] ^= 1
        copy.write_bytes(content)
        self.refused(copy, elsewhere, "The backup is damaged: database.dump")

    def test_is_refused_where_it_is_cut_off(self, copy: Path, elsewhere: Settings) -> None:
        copy.write_bytes(copy.read_bytes()[:-1000])
        self.refused(copy, elsewhere, "This is no complete backup")

    def test_is_refused_where_a_part_was_exchanged(self, copy: Path, elsewhere: Settings, archive: Path) -> None:
        with zipfile.ZipFile(archive) as source, zipfile.ZipFile(copy, "w") as target:
            for name in source.namelist():
                target.writestr(name, b"something else" if name.startswith("objects/") else source.read(name))
        self.refused(copy, elsewhere, "The backup is damaged: objects/.* is not what was written")

    def test_is_refused_where_a_part_is_too_much(self, copy: Path, elsewhere: Settings) -> None:
        with zipfile.ZipFile(copy, "a") as target:
            target.writestr("objects/../../somewhere", b"else")
        self.refused(copy, elsewhere, "is missing, or not in the manifest")

    def test_is_refused_where_it_is_no_backup(self, copy: Path, elsewhere: Settings) -> None:
        copy.write_bytes(b"PGDMP and so on")
        self.refused(copy, elsewhere, "This is no complete backup")
        copy.unlink()
        self.refused(copy, elsewhere, "cannot be read: No such file or directory")


class TestSealing:
    @pytest.mark.parametrize("size", [0, 1, PIECE_BYTES - 1, PIECE_BYTES, PIECE_BYTES + 1, 3 * PIECE_BYTES + 17])
    def test_is_read_anywhere_as_it_was_written(self, tmp_path: Path, size: int) -> None:
        content = bytes(number % 251 for number in range(size))
        file = self.written(tmp_path, content)
        with file.open("rb") as raw:
            stream = opened(raw, "secret")
            assert stream.read() == content
            stream.seek(size // 2)
            assert stream.read(10) == content[size // 2 : size // 2 + 10]

    @pytest.mark.parametrize("spoil", [lambda c: c[:-1], lambda c: c[: -(17 + 16)], lambda c: c[:60] + b"\0" + c[61:]])
    def test_is_not_read_where_something_is_missing_or_changed(self, tmp_path: Path, spoil: Any) -> None:
        file = self.written(tmp_path, bytes(3 * PIECE_BYTES + 17))
        file.write_bytes(spoil(file.read_bytes()))
        with file.open("rb") as raw, pytest.raises(BackupError, match="damaged"):
            opened(raw, "secret").read()

    def written(self, folder: Path, content: bytes) -> Path:
        file = folder / "sealed"
        with file.open("wb") as raw:
            stream = sealed(raw, "secret")
            for start in range(0, len(content), 100_000):
                stream.write(content[start : start + 100_000])
            stream.close()
        return file


class TestVerify:
    def test_finds_nothing_amiss_in_a_good_one(self, archive: Path) -> None:
        verified = restoring.verify(str(archive))
        assert verified.sound
        assert len(verified.rules) > 10

    def test_names_what_contradicts_itself(self, settings: Settings, named: Callable[..., str]) -> None:
        spoiled = settings.model_copy(update={"database_url": named("spoiled")})
        url, tenant_id = spoiled.database_url, tenant_maker(spoiled.database_url)(code="spoiled")
        ask(url, "ALTER TABLE payments.entry DISABLE TRIGGER ALL")
        ask(url, "INSERT INTO payments.entry (tenant_id, posting_id, account, currency, amount_minor) "
                 "VALUES (%s, %s, 'cash', 'CAD', 5)", tenant_id, uuid7())  # fmt: skip
        ask(url, "ALTER TABLE reviews.review NO FORCE ROW LEVEL SECURITY")
        ask(url, "INSERT INTO platform.event_log (event_id, tenant_id, aggregate_id, aggregate_type, version, name, occurred_at) "
                 "SELECT gen_random_uuid(), %s, %s, 'Tally', version, 'tally.raised', now() FROM unnest(ARRAY[1, 3]) AS version",
            tenant_id, tenant_id)  # fmt: skip
        found = dict(restoring.verify(backup.run(spoiled, Wanted()).place).rules)
        assert found["every tenant's table is isolated"] == ["reviews.review"]
        assert found["the ledger balances to zero, by tenant and currency"] == [f"{tenant_id} CAD"]
        assert found["the events of an aggregate have no gap"] == [f"Tally {tenant_id}"]
        assert len([rule for rule, wrong in found.items() if wrong]) == 4


class TestHold:
    async def test_lets_what_reaches_outside_begin_when_it_is_released(
        self, archive: Path, elsewhere: Settings
    ) -> None:
        restoring.run(elsewhere, str(archive))
        assert held_since(elsewhere.database_url) is not None
        assert waiting(elsewhere.database_url).messages == 0
        begun, looked, stop = asyncio.Event(), asyncio.Semaphore(0), asyncio.Event()

        async def part(_stop: asyncio.Event) -> None:
            begun.set()

        async with Database(elsewhere.database_url) as database:
            hold = Hold(database, poll_seconds=0.01)
            asked = hold._taken_at

            async def counted() -> Any:
                found = await asked()
                looked.release()
                return found

            hold._taken_at = counted  # type: ignore[method-assign]
            running = asyncio.create_task(hold.before(part)(stop))
            for _ in range(3):
                await looked.acquire()
            assert not begun.is_set()
            assert release(elsewhere.database_url, drop_messages=False) == 0
            await asyncio.wait_for(running, 20)
        assert begun.is_set()
        assert held_since(elsewhere.database_url) is None

    async def test_drops_the_messages_that_wait_where_somebody_says_so(
        self, archive: Path, elsewhere: Settings
    ) -> None:
        restoring.run(elsewhere, str(archive))
        for channel in ("email", "in_app"):
            ask(elsewhere.database_url,
                "INSERT INTO notifications.notification (id, tenant_id, version, key, channel, category, address, locale, timezone, "
                "state, attempts, due_at, queued_at) SELECT %s, id, 1, %s, %s, 'transactional', 'a@b.example', 'en', 'UTC', "
                "'queued', 0, now(), now() FROM tenancy.tenant WHERE code = 'harbour'",
                uuid7(), channel, channel)  # fmt: skip
        assert waiting(elsewhere.database_url).messages == 1
        assert release(elsewhere.database_url, drop_messages=True) == 1
        states = ask(elsewhere.database_url, "SELECT channel, state FROM notifications.notification ORDER BY channel")
        assert states == [("email", "failed"), ("in_app", "queued")]


def rewritten(archive: Path, to: Path, **changed: Any) -> Path:
    """Write a backup again, with another manifest."""
    with archive.open("rb") as source, to.open("wb") as target:
        reader, writer = ArchiveReader(source), ArchiveWriter(target)
        for name in reader.manifest.parts:
            writer.add(name, reader.pieces(name))
        writer.finish(replace(reader.manifest, **changed))
    return to


class TestCommands:
    @pytest.mark.timeout(600)
    def test_take_check_restore_and_release(self, settings: Settings, elsewhere: Settings, tmp_path: Path) -> None:
        place = tmp_path / "taken.agora"
        taken = self.agora(settings, "backup", "--output", str(place))
        assert (taken.returncode, taken.stderr) == (0, "")
        assert re.fullmatch(rf"{place}: [\d,]+ bytes, 2 tenants, up to event \d+\n", taken.stdout)
        restored = self.agora(elsewhere, "restore", str(place))
        assert restored.returncode == 0, restored.stderr
        assert "are held back" in restored.stdout
        again = self.agora(elsewhere, "restore", str(place))
        assert (again.returncode, again.stderr.count("\n")) == (1, 1)
        assert "is not empty; with --force" in again.stderr
        assert self.agora(elsewhere, "release", "--yes").stdout.endswith("Released.\n")
        assert held_since(elsewhere.database_url) is None

    def agora(self, settings: Settings, *arguments: str) -> subprocess.CompletedProcess[str]:
        plain = {name: value for name, value in os.environ.items() if not name.startswith("AGORA_")}
        return subprocess.run(
            [sys.executable, "-m", "server.cli", *arguments],
            cwd=Path(__file__).parents[2],
            env=plain | settings.as_environment(),
            capture_output=True,
            text=True,
            check=False,
        )
