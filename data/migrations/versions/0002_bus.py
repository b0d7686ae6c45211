"""Bus: the relay's cursor, inboxes, retries, dead letters, and procrastinate's job queue behind a narrow door."""

from importlib import resources

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from data.migrations.isolation import APP_ROLE, SYSTEM_ROLE, create_schema, isolate

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    _create_cursor()
    _create_inbox()
    _create_retries()
    _create_jobs()


def _create_cursor() -> None:
    op.create_table(
        "relay_cursor",
        sa.Column("id", sa.SmallInteger, sa.CheckConstraint("id = 1", name="ck_relay_cursor_single"), primary_key=True),
        sa.Column("sequence", sa.BigInteger, nullable=False),
        sa.Column("handled", sa.BigInteger, nullable=False),
        sa.Column("moved_at", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now()),
        schema="platform",
    )
    op.execute("INSERT INTO platform.relay_cursor (id, sequence, handled) VALUES (1, 0, 0)")
    op.execute(f"REVOKE INSERT, UPDATE, DELETE ON platform.relay_cursor FROM {APP_ROLE}")
    op.execute(f"REVOKE INSERT, DELETE ON platform.relay_cursor FROM {SYSTEM_ROLE}")


def _create_inbox() -> None:
    op.create_table(
        "inbox",
        sa.Column("handler", sa.Text, nullable=False),
        sa.Column("event_id", sa.Uuid, nullable=False),
        sa.Column("tenant_id", sa.Uuid, nullable=False),
        sa.Column("handled_at", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now()),
        sa.PrimaryKeyConstraint("handler", "event_id", name="pk_inbox"),
        sa.Index("ix_inbox_handled_at", "handled_at"),
        schema="platform",
    )
    isolate("platform.inbox")


def _create_retries() -> None:
    op.create_table(
        "event_retry",
        sa.Column("handler", sa.Text, nullable=False),
        sa.Column("event_id", sa.Uuid, nullable=False),
        sa.Column("tenant_id", sa.Uuid, nullable=False),
        sa.Column("aggregate_id", sa.Uuid, nullable=False),
        sa.Column("sequence", sa.BigInteger, nullable=False),
        sa.Column("envelope", postgresql.JSONB, nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("error", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("handler", "event_id", name="pk_event_retry"),
        sa.Index("ix_event_retry_aggregate_id", "handler", "aggregate_id", "sequence"),
        schema="platform",
    )
    isolate("platform.event_retry")
    op.create_table(
        "dead_letter",
        sa.Column("id", sa.Uuid, primary_key=True),
        sa.Column("tenant_id", sa.Uuid, nullable=False),
        sa.Column("handler", sa.Text, nullable=False),
        sa.Column("event_id", sa.Uuid, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("aggregate_id", sa.Uuid, nullable=False),
        sa.Column("sequence", sa.BigInteger, nullable=False),
        sa.Column("envelope", postgresql.JSONB, nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("error", sa.Text, nullable=False),
        sa.Column("failed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("requeued_at", sa.DateTime(timezone=True)),
        sa.UniqueConstraint("handler", "event_id", name="uq_dead_letter_handler_event_id"),
        sa.Index("ix_dead_letter_tenant_id_id", "tenant_id", "id"),
        schema="platform",
    )
    isolate("platform.dead_letter")


def _create_jobs() -> None:
    create_schema("jobs")
    op.execute("SET LOCAL search_path = jobs")
    # Many statements at once, with percent signs in them: only the driver's plain text protocol takes that.
    script = (resources.files("procrastinate.sql") / "schema.sql").read_text(encoding="utf-8")
    op.get_bind().connection.driver_connection.execute(script)
    op.execute("RESET search_path")
    # NOTIFY makes every commit of the database queue behind one lock; workers poll instead.
    op.execute("ALTER TABLE jobs.procrastinate_jobs DISABLE TRIGGER procrastinate_jobs_notify_queue_job_inserted_v1")
    op.execute(_PIN_SEARCH_PATH)
    op.execute(_DEFER)
    op.execute(_CANCEL)
    op.execute("REVOKE EXECUTE ON ALL FUNCTIONS IN SCHEMA jobs FROM PUBLIC")
    op.execute(f"GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA jobs TO {SYSTEM_ROLE}")
    # The application may ask for jobs of its own tenant, and neither read nor change what others asked for.
    op.execute(f"REVOKE ALL ON ALL TABLES IN SCHEMA jobs FROM {APP_ROLE}")
    op.execute(f"REVOKE ALL ON ALL SEQUENCES IN SCHEMA jobs FROM {APP_ROLE}")
    op.execute(f"GRANT EXECUTE ON FUNCTION jobs.defer, jobs.cancel TO {APP_ROLE}")


_PIN_SEARCH_PATH = """
DO $$ DECLARE routine regprocedure; BEGIN
  FOR routine IN SELECT oid::regprocedure FROM pg_proc WHERE pronamespace = 'jobs'::regnamespace LOOP
    EXECUTE format('ALTER FUNCTION %s SET search_path = jobs, pg_temp', routine);
  END LOOP;
END $$
"""

# Who asks is taken from the transaction and not from the caller, so no tenant can order work in the name of another.
_DEFER = """
CREATE FUNCTION jobs.defer(name text, payload jsonb, due timestamptz, key text) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = jobs, pg_temp AS $$
DECLARE
  scoped text := platform.tenant_id()::text || ':' || name || ':' || key;
  arguments jsonb := jsonb_build_object(
    'payload', payload,
    'tenant_id', platform.tenant_id(),
    'user_id', nullif(current_setting('app.user_id', true), ''),
    'correlation_id', coalesce(current_setting('app.correlation_id', true), ''));
  found_id bigint;
BEGIN
  IF platform.tenant_id() IS NULL THEN RAISE EXCEPTION 'a job belongs to a tenant'; END IF;
  LOOP
    UPDATE procrastinate_jobs SET scheduled_at = due, args = arguments
    WHERE queueing_lock = scoped AND status = 'todo' RETURNING id INTO found_id;
    IF FOUND THEN RETURN found_id; END IF;
    BEGIN
      RETURN (procrastinate_defer_jobs_v1(
        ARRAY[ROW('default', name, 0, NULL, scoped, arguments, due)::procrastinate_job_to_defer_v1]))[1];
    EXCEPTION WHEN unique_violation THEN
      -- Somebody else has just made the job of this key; it is moved in the next round.
    END;
  END LOOP;
END $$
"""

_CANCEL = """
CREATE FUNCTION jobs.cancel(name text, key text) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = jobs, pg_temp AS $$
BEGIN
  UPDATE procrastinate_jobs SET status = 'cancelled'
  WHERE queueing_lock = platform.tenant_id()::text || ':' || name || ':' || key AND status = 'todo';
  RETURN FOUND;
END $$
"""
