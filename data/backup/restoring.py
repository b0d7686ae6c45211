"""A dump loaded into a database of its own, which takes the place of the present one only when it is complete."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import psycopg
from psycopg import sql
from sqlalchemy.engine import make_url

from data.backup.archive import ArchiveReader, Manifest
from data.backup.errors import BackupError
from data.backup.programs import find_program, output_of
from data.database import SYSTEM_ROLE, asyncpg_url
from data.migrations import is_known, make_roles, stamp, upgrade
from domain.kernel import uuid7

DUMP = "database.dump"
MAINTENANCE = ("postgres", "template1")
OBJECTS_OF = {"r": "TABLES", "S": "SEQUENCES", "f": "FUNCTIONS", "T": "TYPES", "n": "SCHEMAS"}
JUMP = 10**9
"""By how much the log goes on after a restore: whoever followed it knows places that it reached after the backup was taken,
and must not take what happens now for something that was seen already."""
_SESSIONS = """
SELECT count(*), string_agg(DISTINCT coalesce(nullif(application_name, ''), usename), ', ') FROM pg_stat_activity
WHERE datname = %s AND backend_type = 'client backend'
"""
_TABLES = """
SELECT count(*), count(*) FILTER (WHERE nspname = 'platform' AND relname = 'event_log') FROM pg_class
JOIN pg_namespace ON pg_namespace.oid = relnamespace
WHERE relkind IN ('r', 'p') AND nspname NOT IN ('pg_catalog', 'information_schema')
"""
_CONTENT = "SELECT EXISTS (SELECT FROM platform.event_log) OR EXISTS (SELECT FROM tenancy.tenant)"
_JUMPED = "SELECT setval('platform.event_log_sequence_seq', nextval('platform.event_log_sequence_seq') + %s)"


@dataclass(frozen=True)
class Loaded:
    """A database that is complete and waits to take the place of the present one."""

    name: str
    url: str


class Target:
    """The database that is to be replaced, or made."""

    def __init__(self, url: str) -> None:
        self._url = make_url(asyncpg_url(url))
        self.name = str(self._url.database)
        self._is_empty = True

    def check(self, manifest: Manifest, *, force: bool) -> None:
        """See that a backup can come here.

        Raises: BackupError where it is of a newer version, the server is too old, somebody works with the database, or it holds
            something and nobody said that it may go.
        """
        if not is_known(manifest.revision):
            raise BackupError(
                f"The backup was taken by a newer version ({manifest.agora}, schema {manifest.revision}); restore it with that one."
            )
        with self._maintenance() as connection:
            server = connection.info.server_version // 10_000
            if server < manifest.postgres:
                raise BackupError(
                    f"The backup is of PostgreSQL {manifest.postgres}, and the server is PostgreSQL {server}: "
                    "restore it into a server of that version or a newer one."
                )
            find_program("pg_restore", max(server, manifest.dumped_by))
            self._check_unused(connection)
            there = self._exists(connection, self.name)
        self._is_empty = not (there and self._holds_something())
        if not self._is_empty and not force:
            raise BackupError(
                f"The database {self.name} is not empty; with --force it is set aside, and the backup takes its place."
            )

    def load(self, archive: ArchiveReader) -> Loaded:
        """Make a database beside the present one, with everything that the backup holds, of this version's schema."""
        name = f"{self.name}_restoring"
        with self._maintenance() as connection:
            make_roles(connection.execute)
            connection.execute(sql.SQL("DROP DATABASE IF EXISTS {}").format(sql.Identifier(name)))
            connection.execute(
                sql.SQL("CREATE DATABASE {} TEMPLATE template0 ENCODING 'UTF8'").format(sql.Identifier(name))
            )
        url = self._of(name)
        self._load_dump(archive, url)
        stamp(url, archive.manifest.revision)
        _set_defaults(url, archive.manifest)
        upgrade(url)
        _hold_back(url, archive.manifest)
        return Loaded(name, url)

    def swap(self, loaded: Loaded) -> str | None:
        """Put the loaded database in the place of the present one, in one step.

        Gives the name by which that one is kept, if it held anything.
        """
        kept = f"{self.name}_before_{datetime.now(UTC):%Y%m%d_%H%M%S_%f}"
        rename = sql.SQL("ALTER DATABASE {} RENAME TO {}")
        with self._maintenance() as connection:
            there = self._exists(connection, self.name)
            try:
                with connection.transaction():
                    if there:
                        connection.execute(rename.format(sql.Identifier(self.name), sql.Identifier(kept)))
                    connection.execute(rename.format(sql.Identifier(loaded.name), sql.Identifier(self.name)))
            except psycopg.errors.ObjectInUse as error:
                raise BackupError(f"Somebody has begun to use {self.name}; nothing was replaced.") from error
            if there and self._is_empty:
                connection.execute(sql.SQL("DROP DATABASE {}").format(sql.Identifier(kept)))
        return kept if there and not self._is_empty else None

    def _load_dump(self, archive: ArchiveReader, url: str) -> None:
        least = max(archive.manifest.dumped_by, archive.manifest.postgres)
        program, _ = find_program("pg_restore", least)
        # Rights of objects to come are written for the login that made the dump; `_set_defaults` gives them to this one.
        listed = b"".join(output_of(program, ["--list"], given=archive.pieces(DUMP))).decode().splitlines()
        wanted = "\n".join(line for line in listed if " DEFAULT ACL " not in line)
        with _file(wanted) as contents:
            arguments = [f"--use-list={contents}", "--no-owner", "--no-comments", "--single-transaction"]
            for _ in output_of(program, arguments, url=url, given=archive.pieces(DUMP)):
                pass

    def _check_unused(self, connection: psycopg.Connection[Any]) -> None:
        count, names = connection.execute(_SESSIONS, [self.name]).fetchone() or (0, "")
        if count:
            raise BackupError(
                f"{count} sessions work with the database {self.name} ({names}); stop all servers and workers first."
            )

    def _holds_something(self) -> bool:
        with psycopg.connect(self._of(self.name)) as connection:
            tables, logs = connection.execute(_TABLES).fetchone() or (0, 0)
            if not logs:
                return bool(tables)
            connection.execute(f"SET ROLE {SYSTEM_ROLE}")
            found = connection.execute(_CONTENT).fetchone()
        return bool(found and found[0])

    def _exists(self, connection: psycopg.Connection[Any], name: str) -> bool:
        return connection.execute("SELECT FROM pg_database WHERE datname = %s", [name]).fetchone() is not None

    @contextmanager
    def _maintenance(self) -> Iterator[psycopg.Connection[Any]]:
        refusal: psycopg.Error | None = None
        for name in MAINTENANCE:
            try:
                connection = psycopg.connect(self._of(name), autocommit=True, application_name="agora restore")
            except psycopg.OperationalError as error:
                refusal = error
                continue
            with connection:
                yield connection
            return
        raise BackupError(f"The server cannot be reached: {refusal}")

    def _of(self, name: str) -> str:
        return self._url.set(database=name).render_as_string(hide_password=False)


@contextmanager
def _file(text: str) -> Iterator[str]:
    with tempfile.NamedTemporaryFile("w", prefix="agora-") as file:
        file.write(text)
        file.flush()
        yield file.name


def _set_defaults(url: str, manifest: Manifest) -> None:
    with psycopg.connect(url) as connection:
        for schema, kind, role, privileges in manifest.defaults:
            connection.execute(
                sql.SQL("ALTER DEFAULT PRIVILEGES IN SCHEMA {} GRANT {} ON {} TO {}").format(
                    sql.Identifier(schema),
                    sql.SQL(", ").join(map(_keyword, privileges.split(", "))),
                    sql.SQL(OBJECTS_OF[kind]),
                    sql.Identifier(role),
                )
            )


def _keyword(privilege: str) -> sql.SQL:
    if not privilege.isalpha():
        raise BackupError(f"The backup names a right that there is not: {privilege}.")
    return sql.SQL(privilege)


def _hold_back(url: str, manifest: Manifest) -> None:
    """Note where this database comes from, which holds back what reaches outside, and let its log go on far ahead."""
    insert = "INSERT INTO platform.restoration (id, taken_at, position) VALUES (%s, %s, %s)"
    with psycopg.connect(url) as connection:
        connection.execute(insert, [uuid7(), manifest.taken_at, manifest.position])
        connection.execute(_JUMPED, [JUMP])
