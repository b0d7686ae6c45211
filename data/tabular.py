"""Rows of CSV, TSV, JSON Lines and Excel files, each also gzipped, one at a time."""

import csv
import gzip
import io
import shutil
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, cast

import orjson

from domain.importing import FileUnreadable, RowError

MAX_LINE = 4 * 1024 * 1024
_GZIP_MAGIC = b"\x1f\x8b"
_UTF16_MAGIC = (b"\xff\xfe", b"\xfe\xff")

csv.field_size_limit(MAX_LINE)


@dataclass(frozen=True, slots=True)
class Line:
    """One row of a file by its number (the first line of the file is 1), or why it is none."""

    number: int
    values: dict[str, Any] | None
    error: RowError | None = None


def read_rows(path: Path, *, after: int = 0) -> Iterator[Line]:
    """Give the rows of a file that stand after line `after`, in constant memory.

    Raises: FileUnreadable for a file of no known kind, a truncated or damaged one, or one in the wrong encoding.
    """
    kind, compressed = _kind(path)
    try:
        with _opened(path, compressed=compressed) as stream:
            lines = _READERS[kind](stream)
            yield from (line for line in lines if line.number > after)
    except FileUnreadable as error:
        raise FileUnreadable(name=path.name, reason=error.reason) from error
    except (EOFError, zlib.error, gzip.BadGzipFile, zipfile.BadZipFile, csv.Error) as error:
        raise FileUnreadable(name=path.name, reason=f"it is damaged or truncated ({error})") from error
    except OSError as error:
        raise FileUnreadable(name=path.name, reason=error.strerror or str(error)) from error


def size_of(path: Path) -> int:
    """Give the file's size in bytes, as it lies on the disk."""
    return path.stat().st_size


def _kind(path: Path) -> tuple[str, bool]:
    suffixes = [suffix.lower() for suffix in path.suffixes]
    compressed = bool(suffixes) and suffixes[-1] == ".gz"
    kind = suffixes[-2 if compressed else -1] if len(suffixes) > compressed else ""
    if kind not in _READERS:
        raise FileUnreadable(
            name=path.name, reason=f"its name must end in one of {', '.join(_READERS)}, or that and .gz"
        )
    return kind, compressed


def _opened(path: Path, *, compressed: bool) -> IO[bytes]:
    with path.open("rb") as peeked:
        magic = peeked.read(2)
    if compressed and magic != _GZIP_MAGIC:
        raise FileUnreadable(name=path.name, reason="it is not gzipped, though its name says so")
    if not compressed and magic in _UTF16_MAGIC:
        raise FileUnreadable(name=path.name, reason="it is in UTF-16; save it as UTF-8")
    return cast("IO[bytes]", gzip.open(path, "rb") if compressed else path.open("rb"))


def _delimited(delimiter: str) -> Callable[[IO[bytes]], Iterator[Line]]:
    def read(stream: IO[bytes]) -> Iterator[Line]:
        # Bytes that are no UTF-8 travel as surrogates, so that one bad row is told from a bad file.
        with io.TextIOWrapper(stream, encoding="utf-8-sig", errors="surrogateescape", newline="") as text:
            reader = csv.reader(text, delimiter=delimiter, strict=True)
            header = _header(next(reader, None))
            for values in reader:
                if values:
                    yield _record(reader.line_num, header, values)

    return read


def _header(names: list[str] | None) -> list[str]:
    if not names or not any(names):
        raise FileUnreadable(name="", reason="it has no header line")
    repeated = {name for name in names if names.count(name) > 1}
    if repeated:
        raise FileUnreadable(name="", reason=f"its header names {min(repeated)!r} twice")
    return names


def _record(number: int, header: list[str], values: list[str]) -> Line:
    if len(values) != len(header):
        reason = f"{len(values)} values where the header has {len(header)} columns"
        return Line(number, None, RowError(number, "", reason))
    for name, value in zip(header, values, strict=True):
        if not value.isascii() and _has_surrogate(value):
            return Line(number, None, RowError(number, name, "it is not UTF-8"))
    return Line(number, dict(zip(header, values, strict=True)))


def _has_surrogate(value: str) -> bool:
    return any("\udc80" <= letter <= "\udcff" for letter in value)


def _json_lines(stream: IO[bytes]) -> Iterator[Line]:
    number = 0
    while raw := stream.readline(MAX_LINE + 1):
        number += 1
        if len(raw) > MAX_LINE:
            raise FileUnreadable(name="", reason=f"line {number} is longer than {MAX_LINE:,} bytes")
        if not raw.strip():
            continue
        yield _json_line(number, raw)


def _json_line(number: int, raw: bytes) -> Line:
    try:
        values = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        return Line(number, None, RowError(number, "", f"it is not JSON ({error})"))
    if not isinstance(values, dict):
        return Line(number, None, RowError(number, "", "it is not a JSON object"))
    return Line(number, values)


def _excel(stream: IO[bytes]) -> Iterator[Line]:
    # Only a process that reads a workbook should hold the library for it.
    from openpyxl import load_workbook  # noqa: PLC0415
    from openpyxl.utils.exceptions import InvalidFileException  # noqa: PLC0415

    with tempfile.TemporaryFile() as seekable:
        # A workbook is a zip archive, read from its end; a gzipped one must lie open before that.
        shutil.copyfileobj(stream, seekable)
        try:
            workbook = load_workbook(seekable, read_only=True, data_only=True)
        except (InvalidFileException, KeyError, ValueError) as error:
            raise FileUnreadable(name="", reason=f"it is damaged or truncated ({error})") from error
        try:
            yield from _sheet(workbook.active.iter_rows(values_only=True))
        finally:
            workbook.close()


def _sheet(rows: Iterable[tuple[Any, ...]]) -> Iterator[Line]:
    iterator = iter(rows)
    first = next(iterator, ())
    header = _header([str(name) for name in first if name is not None])
    for number, values in enumerate(iterator, start=2):
        if any(value is not None for value in values):
            yield Line(number, {name: value for name, value in zip(header, values, strict=False) if value is not None})


_READERS: dict[str, Callable[[IO[bytes]], Iterator[Line]]] = {
    ".csv": _delimited(","),
    ".tsv": _delimited("\t"),
    ".jsonl": _json_lines,
    ".ndjson": _json_lines,
    ".xlsx": _excel,
}
