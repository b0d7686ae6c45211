"""Bulk import of products into the catalogue and onto the shelves of a store."""

from domain.importing.jobs import (
    CancelImport,
    EndImport,
    ImportJob,
    ImportJobs,
    ImportReads,
    ImportState,
    LoadChunk,
    Outcome,
    ProductLoader,
    StartImport,
    begin_import,
    cancel_import,
    end_import,
    load_chunk,
)
from domain.importing.mapping import FileUnreadable, ImportMap, ImportRow, RowError

__all__ = [
    "CancelImport",
    "EndImport",
    "FileUnreadable",
    "ImportJob",
    "ImportJobs",
    "ImportMap",
    "ImportReads",
    "ImportRow",
    "ImportState",
    "LoadChunk",
    "Outcome",
    "ProductLoader",
    "RowError",
    "StartImport",
    "begin_import",
    "cancel_import",
    "end_import",
    "load_chunk",
]
