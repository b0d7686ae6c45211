"""How alembic runs here: on the connection that it is handed, in one transaction."""

from importlib import import_module

from alembic import context

from data.kernel import metadata
from data.migrations import VERSION_TABLE

if context.config.cmd_opts is not None:
    # Only autogenerate compares with the tables; an upgrade must not wait for their import.
    import_module("data.tables")

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    version_table=VERSION_TABLE,
    include_schemas=True,
    transactional_ddl=True,
)
with context.begin_transaction():
    context.run_migrations()
