"""The database's history: one linear line of migrations, run as the owner of the tables."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, create_engine
from sqlalchemy.engine import make_url
from sqlalchemy.pool import NullPool

FOLDER = Path(__file__).parent
VERSION_TABLE = "schema_version"


def _config(connection: Connection | None = None) -> Config:
    config = Config(attributes={"connection": connection})
    config.set_main_option("script_location", str(FOLDER))
    return config


def upgrade(url: str) -> None:
    """Bring the database up to the newest migration; a second process that tries at the same time waits."""
    engine = create_engine(make_url(url).set(drivername="postgresql+psycopg"), poolclass=NullPool)
    with engine.begin() as connection:
        connection.exec_driver_sql("SELECT pg_advisory_xact_lock(hashtext('agora migrations'))")
        command.upgrade(_config(connection), "head")


def pending(url: str) -> list[str]:
    """List the migrations that the database has not seen."""
    script = ScriptDirectory.from_config(_config())
    engine = create_engine(make_url(url).set(drivername="postgresql+psycopg"), poolclass=NullPool)
    with engine.connect() as connection:
        current = MigrationContext.configure(connection, opts={"version_table": VERSION_TABLE}).get_current_revision()
    return [revision.revision for revision in script.iterate_revisions("head", current or "base")][::-1]
