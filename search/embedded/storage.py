"""Where an index lives: generations of it, a pointer to the current one, and a lock for the one writer.

home/current.json          which generation is searched, and the layout that it was written with
home/settings.json         relevance settings, when they are not the defaults
home/writer.lock           held by the writing process
home/generation-…/         a tantivy index
"""

import fcntl
import os
import shutil
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import IO
from uuid import uuid4

import orjson
import tantivy

from domain.search import IndexIsWrittenElsewhere, IndexNeedsRebuild, SearchSettings, SearchUnavailable
from search import settings as configuration
from search.embedded.fields import LAYOUT, TEXT, build_schema, text_analyzer

Signature = tuple[int, int, int]


@dataclass(frozen=True)
class View:
    """A consistent state of the index, kept for the time of one operation."""

    index: tantivy.Index
    searcher: tantivy.Searcher
    analyzer: tantivy.TextAnalyzer
    settings: SearchSettings
    generation: str


class IndexHome:
    """The folder of one index, shared by a writing process and any number of reading ones."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._pointer = path / "current.json"
        self._settings = path / "settings.json"
        self._lock: IO[bytes] | None = None

    def generation(self) -> Path | None:
        """The folder of the current generation; None while nothing was ever indexed.

        Raises:
            IndexNeedsRebuild: another version of Agora wrote it, or the pointer is damaged.
        """
        try:
            pointer = orjson.loads(self._pointer.read_bytes())
            layout, name = pointer["layout"], pointer["generation"]
        except FileNotFoundError:
            return None
        except (orjson.JSONDecodeError, KeyError, TypeError) as problem:
            raise IndexNeedsRebuild("its pointer is damaged") from problem
        if layout != LAYOUT:
            raise IndexNeedsRebuild(f"it has layout {layout}, this version reads {LAYOUT}")
        return self.path / str(name)

    def new_generation(self) -> tuple[tantivy.Index, Path]:
        folder = self.path / f"generation-{uuid4().hex[:12]}"
        folder.mkdir(parents=True)
        return prepared(tantivy.Index(build_schema(), str(folder))), folder

    def point_to(self, folder: Path) -> None:
        self._replace(self._pointer, orjson.dumps({"generation": folder.name, "layout": LAYOUT}))

    def settings(self) -> SearchSettings:
        """The defaults where none are kept, or where they are unreadable: search goes on with what is known to work."""
        try:
            return configuration.load(self._settings.read_bytes())
        except (FileNotFoundError, ValueError, KeyError, TypeError):
            return configuration.DEFAULTS

    def keep_settings(self, settings: SearchSettings) -> None:
        self._replace(self._settings, configuration.dump(settings))

    def signatures(self, folder: Path | None) -> tuple[Signature | None, ...]:
        """Change when another process swapped, configured or committed."""
        meta = folder / "meta.json" if folder else None
        return tuple(_signature(each) for each in (self._pointer, self._settings, meta))

    def become_writer(self) -> None:
        """Raises: IndexIsWrittenElsewhere."""
        if self._lock:
            return
        self.path.mkdir(parents=True, exist_ok=True)
        lock = (self.path / "writer.lock").open("ab")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as problem:
            lock.close()
            raise IndexIsWrittenElsewhere(str(self.path)) from problem
        self._lock = lock

    def release(self) -> None:
        if self._lock:
            self._lock.close()
            self._lock = None

    def sweep(self, kept: Collection[Path | None]) -> None:
        """Remove generations that a swap or a crash left behind; readers keep what they have mapped."""
        for folder in self.path.glob("generation-*"):
            if folder not in kept:
                shutil.rmtree(folder, ignore_errors=True)

    def size_bytes(self) -> int:
        sizes = [signature[2] for each in self.path.rglob("*") if (signature := _signature(each))]
        return sum(sizes)

    def _replace(self, target: Path, content: bytes) -> None:
        self.path.mkdir(parents=True, exist_ok=True)
        draft = target.with_suffix(f".{os.getpid()}.new")
        with draft.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(target)


class IndexReader:
    """Hands out views that are as new as the last commit of whichever process writes."""

    def __init__(self, home: IndexHome) -> None:
        self._home = home
        self._lock = Lock()
        self._index: tantivy.Index | None = None
        self._folder: Path | None = None
        self._seen: tuple[Signature | None, ...] = ()
        self._settings = configuration.DEFAULTS

    def view(self) -> View | None:
        """None while nothing was ever indexed.

        Raises:
            IndexNeedsRebuild: damaged, or of another layout.
        """
        with self._lock:
            if self._home.signatures(self._folder) != self._seen:
                self._refresh()
            if self._index is None or self._folder is None:
                return None
            return View(self._index, self._index.searcher(), text_analyzer(), self._settings, self._folder.name)

    def _refresh(self) -> None:
        self._seen = ()
        folder = self._home.generation()
        # The signature is read first: a commit in between costs one reload more, not a missed one.
        seen = self._home.signatures(folder)
        try:
            with as_error(IndexNeedsRebuild):
                self._open(folder)
        except IndexNeedsRebuild:
            # A swap may have taken the folder away between the pointer and its opening.
            if self._home.generation() == folder:
                raise
            return self._refresh()
        self._settings = self._home.settings()
        self._seen = seen
        return None

    def _open(self, folder: Path | None) -> None:
        if folder is not None and folder == self._folder and self._index is not None:
            self._index.reload()
        else:
            self._index = prepared(tantivy.Index.open(str(folder))) if folder else None
            self._folder = folder


def prepared(index: tantivy.Index) -> tantivy.Index:
    index.register_tokenizer(TEXT, text_analyzer())
    index.config_reader("manual")
    return index


@contextmanager
def as_error(error: Callable[[str], SearchUnavailable]) -> Iterator[None]:
    """Turn whatever tantivy raises into an error of ours."""
    try:
        yield
    except (ValueError, OSError, SystemError) as problem:
        raise error(str(problem)[:200]) from problem
    except BaseException as problem:
        # A Rust panic arrives as a BaseException of a class that PyO3 does not let one import.
        if type(problem).__name__ != "PanicException":
            raise
        raise error("tantivy gave up") from problem


def _signature(path: Path | None) -> Signature | None:
    try:
        found = path.stat() if path else None
    except OSError:
        return None
    return (found.st_ino, found.st_mtime_ns, found.st_size) if found else None
