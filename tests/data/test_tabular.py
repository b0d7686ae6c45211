import gzip
from collections import deque
from pathlib import Path
from typing import Any

import pytest
from openpyxl import Workbook

from data.tabular import Line, read_rows
from domain.importing import FileUnreadable, RowError

GOODS = [{"sku": "a", "name": "Mug"}, {"sku": "b", "name": "Чашка"}]


def workbook(path: Path) -> None:
    book = Workbook()
    for row in (("sku", "name"), ("a", "Mug"), ("b", "Чашка")):
        book.active.append(row)
    book.save(path)


def written(folder: Path, name: str) -> Path:
    path = folder / name
    kind = name.removesuffix(".gz").rpartition(".")[2]
    if kind == "xlsx":
        plain = folder / "plain.xlsx"
        workbook(plain)
        content = plain.read_bytes()
    else:
        content = {
            "csv": "sku,name\na,Mug\nb,Чашка\n",
            "tsv": "sku\tname\na\tMug\nb\tЧашка\n",
            "jsonl": '{"sku": "a", "name": "Mug"}\n\n{"sku": "b", "name": "Чашка"}\n',
        }[kind].encode()
    path.write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
    return path


def lines(path: Path, **options: Any) -> list[Line]:
    return list(read_rows(path, **options))


class TestReadRows:
    @pytest.mark.parametrize("ending", ["csv", "tsv", "jsonl", "xlsx", "csv.gz", "tsv.gz", "jsonl.gz", "xlsx.gz"])
    def test_gives_the_same_rows_of_every_kind_of_file(self, tmp_path: Path, ending: str) -> None:
        assert [line.values for line in lines(written(tmp_path, f"goods.{ending}"))] == GOODS

    def test_numbers_lines_as_an_editor_does(self, tmp_path: Path) -> None:
        assert [line.number for line in lines(written(tmp_path, "goods.csv"))] == [2, 3]
        assert [line.number for line in lines(written(tmp_path, "goods.jsonl"))] == [1, 3]

    def test_goes_on_after_a_line(self, tmp_path: Path) -> None:
        assert [line.values for line in lines(written(tmp_path, "goods.csv"), after=2)] == GOODS[1:]

    def test_reads_quoted_line_breaks_and_a_byte_order_mark(self, tmp_path: Path) -> None:
        path = tmp_path / "goods.csv"
        path.write_bytes('\ufeffsku,name\na,"two\nlines"\n'.encode())
        assert [line.values for line in lines(path)] == [{"sku": "a", "name": "two\nlines"}]

    def test_tells_one_row_in_another_encoding_from_the_rest(self, tmp_path: Path) -> None:
        path = tmp_path / "goods.csv"
        path.write_bytes(b"sku,name\na,M\xfcsli\nb,Mug\n")
        assert lines(path) == [
            Line(2, None, RowError(2, "name", "it is not UTF-8")),
            Line(3, {"sku": "b", "name": "Mug"}),
        ]

    def test_reports_rows_of_another_width(self, tmp_path: Path) -> None:
        path = tmp_path / "goods.csv"
        path.write_text("sku,name\na\nb,Mug\n")
        assert lines(path)[0].error == RowError(2, "", "1 values where the header has 2 columns")

    def test_reports_lines_that_are_no_json_object(self, tmp_path: Path) -> None:
        path = tmp_path / "goods.jsonl"
        path.write_text('{"sku": \n[1]\n{"sku": "a"}\n')
        found = lines(path)
        assert [line.error is None for line in found] == [False, False, True]
        assert found[1].error == RowError(2, "", "it is not a JSON object")

    def test_survives_json_that_is_nested_without_end(self, tmp_path: Path) -> None:
        path = tmp_path / "goods.jsonl"
        path.write_text('{"a":' * 100_000 + "\n" + '{"sku": "b"}\n')
        assert [line.error is None for line in lines(path)] == [False, True]

    @pytest.mark.parametrize("ending", ["csv.gz", "jsonl.gz"])
    def test_gives_what_came_before_a_truncated_end_and_then_says_so(self, tmp_path: Path, ending: str) -> None:
        path = tmp_path / f"goods.{ending}"
        row = b'{"sku": "a", "name": "Mug"}\n' if ending == "jsonl.gz" else b"a,Mug\n"
        whole = gzip.compress(b"sku,name\n" * (ending == "csv.gz") + row * 50_000)
        path.write_bytes(whole[: len(whole) // 2])
        rows = read_rows(path)
        assert next(rows).values == {"sku": "a", "name": "Mug"}
        with pytest.raises(FileUnreadable, match="damaged or truncated"):
            deque(rows)

    @pytest.mark.parametrize(
        ("name", "content", "reason"),
        [
            ("goods.pdf", b"x", "its name must end in"),
            ("goods.csv.gz", b"sku,name", "it is not gzipped"),
            ("goods.csv", "sku,name".encode("utf-16"), "UTF-16"),
            ("goods.csv", b"", "no header line"),
            ("goods.csv", b"sku,sku\n", "names 'sku' twice"),
            ("goods.xlsx", b"PK but not really", "damaged or truncated"),
        ],
    )
    def test_says_why_a_file_cannot_be_read(self, tmp_path: Path, name: str, content: bytes, reason: str) -> None:
        path = tmp_path / name
        path.write_bytes(content)
        with pytest.raises(FileUnreadable, match=reason):
            lines(path)
