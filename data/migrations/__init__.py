"""The database's history: one linear line of migrations, run as the owner of the tables."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, create_engine
from sqlalchemy.engine import make_url
from sqlalchemy.pool import NullPool

from data.migrations.isolation import ROLES

FOLDER = Path(__file__).parent
VERSION_TABLE = "schema_version"


def _config(connection: Connection | None = None) -> Config:
    config = Config(attributes={"connection": connection})
    config.set_main_option("script_location", str(FOLDER))
    return config


def upgrade(url: str, to: str = "head") -> None:
    """Bring the database up to the newest migration, or to an earlier one; a second process that tries at once waits."""
    engine = create_engine(make_url(url).set(drivername="postgresql+psycopg"), poolclass=NullPool)
    with engine.begin() as connection:
        connection.exec_driver_sql("SELECT pg_advisory_xact_lock(hashtext('agora migrations'))")
        command.upgrade(_config(connection), to)


def is_known(revision: str) -> bool:
    """Say whether a migration is one of this version's."""
    return any(each.revision == revision for each in ScriptDirectory.from_config(_config()).walk_revisions())


def stamp(url: str, revision: str) -> None:
    """Note that the database is at a revision, where its schema came from elsewhere."""
    engine = create_engine(make_url(url).set(drivername="postgresql+psycopg"), poolclass=NullPool)
    with engine.begin() as connection:
        command.stamp(_config(connection), revision)


def make_roles(execute: Callable[[str], Any]) -> None:
    """Make the roles that the schema gives rights to, if they are not there."""
    for statement in ROLES:
        execute(statement)


def pending(url: str) -> list[str]:
    """List the migrations that the database has not seen; none where it is ahead of this version."""
    script = ScriptDirectory.from_config(_config())
    engine = create_engine(make_url(url).set(drivername="postgresql+psycopg"), poolclass=NullPool)
    with engine.connect() as connection:
        current = MigrationContext.configure(connection, opts={"version_table": VERSION_TABLE}).get_current_revision()
    if current is not None and not is_known(current):
        return []
    return [revision.revision for revision in script.iterate_revisions("head", current or "base")][::-1]
