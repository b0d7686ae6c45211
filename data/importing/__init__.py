"""Bulk import in PostgreSQL: its jobs, and the loader that writes many products at once."""

from data.importing.jobs import SqlImportJobs, SqlImportReads, errors_of, import_job
from data.importing.loader import SqlProductLoader

__all__ = ["SqlImportJobs", "SqlImportReads", "SqlProductLoader", "errors_of", "import_job"]
