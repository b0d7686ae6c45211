"""What search keeps only for a while."""

from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, Table

from data.search.tables import click, performed_search

LOG_KEPT = timedelta(days=90)


def expired(now: datetime) -> tuple[tuple[Table, ColumnElement[bool]], ...]:
    """Give the tables with the condition that their rows have served their time."""
    return (
        (performed_search, performed_search.c.performed_at < now - LOG_KEPT),
        (click, click.c.clicked_at < now - LOG_KEPT),
    )
