"""Backups: one archive of a consistent state, and the way back from it."""

from data.backup.archive import ArchiveReader, ArchiveWriter, Manifest
from data.backup.dumping import Snapshot, dump, snapshot
from data.backup.errors import BackupError
from data.backup.invariants import contradictions
from data.backup.objects import ObjectFolder
from data.backup.restoring import Loaded, Target
from data.backup.sealing import opened, sealed

__all__ = [
    "ArchiveReader",
    "ArchiveWriter",
    "BackupError",
    "Loaded",
    "Manifest",
    "ObjectFolder",
    "Snapshot",
    "Target",
    "contradictions",
    "dump",
    "opened",
    "sealed",
    "snapshot",
]
