"""How alembic runs here: on the connection that it is handed, in one transaction."""

from alembic import context

import data.tables  # noqa: F401 — fills the metadata that autogenerate compares with.
from data.kernel import metadata
from data.migrations import VERSION_TABLE

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    version_table=VERSION_TABLE,
    include_schemas=True,
    transactional_ddl=True,
)
with context.begin_transaction():
    context.run_migrations()
