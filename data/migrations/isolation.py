"""Tenant isolation, as every migration that makes a table calls for it."""

from alembic import op

APP_ROLE = "agora_app"
SYSTEM_ROLE = "agora_system"
ROLES = (
    *(
        f"DO $$ BEGIN IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = '{role}') THEN "
        f"CREATE ROLE {role} {login} NOSUPERUSER NOBYPASSRLS; END IF; END $$"
        for role, login in ((APP_ROLE, "LOGIN"), (SYSTEM_ROLE, "NOLOGIN"))
    ),
    # The application can become the platform's role on purpose, and never is it by inheritance.
    f"GRANT {SYSTEM_ROLE} TO {APP_ROLE} WITH INHERIT FALSE, SET TRUE",
    f"GRANT {APP_ROLE}, {SYSTEM_ROLE} TO CURRENT_USER WITH INHERIT FALSE, SET TRUE",
)
"""The roles of the platform belong to the server, not to a database: each statement may be run again."""


def create_schema(context: str) -> None:
    """Make a context's schema and let the application use it."""
    op.execute(f"CREATE SCHEMA {context}")
    op.execute(f"GRANT USAGE ON SCHEMA {context} TO {APP_ROLE}, {SYSTEM_ROLE}")
    for objects, rights in (("TABLES", "SELECT, INSERT, UPDATE, DELETE"), ("SEQUENCES", "USAGE, SELECT")):
        op.execute(
            f"ALTER DEFAULT PRIVILEGES IN SCHEMA {context} GRANT {rights} ON {objects} TO {APP_ROLE}, {SYSTEM_ROLE}"
        )


def isolate(table: str, *, column: str = "tenant_id") -> None:
    """Show a table's rows to their own tenant only, even to the table's owner; the platform's role sees all."""
    op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
    op.execute(f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY")
    # The sub-select makes PostgreSQL read the setting once a statement instead of once a row.
    own = f"{column} = (SELECT platform.tenant_id())"
    op.execute(f"CREATE POLICY tenant ON {table} TO {APP_ROLE} USING ({own}) WITH CHECK ({own})")
    op.execute(f"CREATE POLICY system ON {table} TO {SYSTEM_ROLE} USING (true) WITH CHECK (true)")
