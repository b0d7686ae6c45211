"""The database as it is at one instant, while everybody goes on writing to it."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import psycopg

from data.backup.errors import BackupError
from data.backup.objects import REFERENCES
from data.backup.programs import find_program, output_of
from data.database import APP_ROLE, SYSTEM_ROLE, asyncpg_url
from data.migrations import VERSION_TABLE

# A migration that runs holds its tables for itself; a backup that met one would wait for it, and everybody behind both.
LOCK_PATIENCE = "60s"
_FACTS = """
SELECT current_setting('server_version_num')::int / 10000 AS postgres, pg_export_snapshot() AS name,
       (SELECT rolsuper OR rolbypassrls FROM pg_roles WHERE rolname = current_user) AS sees_all
"""
_REVISION = f"SELECT version_num FROM {VERSION_TABLE}"  # noqa: S608 — our own name.
_TENANTS = "SELECT count(*) FROM tenancy.tenant"
_POSITION = "SELECT coalesce(max(sequence), 0) FROM platform.event_log"
_DEFAULTS = f"""
SELECT nspname, defaclobjtype, grantee::regrole::text, string_agg(privilege_type, ', ' ORDER BY privilege_type)
FROM pg_default_acl JOIN pg_namespace ON pg_namespace.oid = defaclnamespace, aclexplode(defaclacl)
WHERE grantee IN (SELECT oid FROM pg_roles WHERE rolname IN ('{APP_ROLE}', '{SYSTEM_ROLE}')) GROUP BY 1, 2, 3 ORDER BY 1, 2, 3
"""  # noqa: S608 — our own names.
_HIDDEN = f"""
SELECT oid::regclass::text FROM pg_class WHERE relrowsecurity AND relforcerowsecurity AND NOT EXISTS (
  SELECT FROM pg_policy WHERE polrelid = pg_class.oid AND '{SYSTEM_ROLE}'::regrole = ANY(polroles)
  AND pg_get_expr(polqual, polrelid) = 'true') LIMIT 1
"""  # noqa: S608 — our own name.


@dataclass(frozen=True)
class Snapshot:
    """One instant of a database; `name` is how other sessions come to see it, as long as it is held open."""

    url: str
    name: str
    postgres: int
    revision: str
    tenants: int
    position: int
    sees_all: bool
    defaults: list[list[str]]
    objects: list[str]
    imports: list[str]


@contextmanager
def snapshot(url: str) -> Iterator[Snapshot]:
    """Hold an instant of the database open, and say what it is like.

    Raises: BackupError where the database was never migrated.
    """
    with psycopg.connect(asyncpg_url(url), application_name="agora backup") as connection:
        connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        connection.read_only = True
        postgres, name, sees_all = _row(connection, _FACTS)
        try:
            revision = _row(connection, _REVISION)[0]
        except psycopg.errors.UndefinedTable:
            raise BackupError("The database is empty: there is nothing to back up.") from None
        if not sees_all and (hidden := connection.execute(_HIDDEN).fetchone()):
            raise BackupError(f"The rows of {hidden[0]} cannot be seen by this login; give it BYPASSRLS.")
        defaults = [list(row) for row in connection.execute(_DEFAULTS)]
        connection.execute(f"SET LOCAL ROLE {SYSTEM_ROLE}")
        named = {of: [row[0] for row in connection.execute(asked)] for of, asked in REFERENCES.items()}
        yield Snapshot(
            url=url,
            name=name,
            postgres=postgres,
            revision=revision,
            tenants=_row(connection, _TENANTS)[0],
            position=_row(connection, _POSITION)[0],
            sees_all=sees_all,
            defaults=defaults,
            objects=sorted({key for of, keys in named.items() if of != "imports" for key in keys}),
            imports=sorted(named.get("imports", ())),
        )


def dump(of: Snapshot) -> Iterator[bytes]:
    """Give the database of a snapshot in pg_dump's own format, which is compressed.

    It takes no lock that a reader would not take. The version of the schema stands in the manifest: its table is the only one
    that the platform's role does not see.
    """
    program, _ = find_program("pg_dump", of.postgres)
    seeing = [] if of.sees_all else [f"--role={SYSTEM_ROLE}", "--enable-row-security"]
    arguments = [
        "--format=custom",
        f"--snapshot={of.name}",
        f"--lock-wait-timeout={LOCK_PATIENCE}",
        f"--exclude-table={VERSION_TABLE}",
        "--no-subscriptions",
        "--no-publications",
        *seeing,
    ]
    return output_of(program, arguments, url=of.url)


def _row(connection: psycopg.Connection[Any], statement: str) -> Any:
    return connection.execute(statement).fetchone()
