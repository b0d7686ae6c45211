"""A change that breaks clients is found before it is deployed; an addition is none."""

import json
import shutil
from pathlib import Path

import pytest

from server.schema_check import allowed, breaks, documents
from server.schema_files import COMPOSER, PUBLIC_SDL

pytestmark = pytest.mark.skipif(
    shutil.which("node") is None or not (COMPOSER / "node_modules").is_dir(), reason="the composer is not installed"
)
USING = "query($id: ID!) { product(id: $id) { sku brand } }"
NOT_USING = "{ liveCursor }"


@pytest.fixture(scope="module")
def public() -> str:
    return PUBLIC_SDL.read_text()


def without_brand(public: str) -> str:
    head, product, rest = public.partition("type Product implements Node {")
    assert "\n  brand: String!\n" in rest
    return head + product + rest.replace("\n  brand: String!\n", "\n", 1)


def with_more(public: str) -> str:
    head, product, rest = public.partition("type Product implements Node {")
    return head + product + "\n  colour: String" + rest


class TestBreaks:
    def test_finds_a_field_that_is_gone(self, public: str) -> None:
        assert breaks(public, without_brand(public)) == [
            "Product.brand: Field 'brand' was removed from object type 'Product'"
        ]

    def test_finds_an_argument_that_is_needed_now(self, public: str) -> None:
        changed = public.replace("  liveCursor: String!", "  liveCursor(of: String!): String!")
        assert [each.partition(":")[0] for each in breaks(public, changed)] == ["Query.liveCursor.of"]

    def test_lets_an_addition_pass(self, public: str) -> None:
        assert breaks(public, with_more(public)) == []

    def test_lets_a_deliberate_break_pass(self, public: str, tmp_path: Path) -> None:
        file = tmp_path / "breaking.txt"
        file.write_text("# deliberate\nProduct.brand nobody shows it\n")
        assert breaks(public, without_brand(public), allowed=allowed(file)) == []

    def test_counts_what_trusted_documents_use(self, public: str, tmp_path: Path) -> None:
        manifest = tmp_path / "manifest.json"
        for document, found in ((USING, 1), (NOT_USING, 0)):
            manifest.write_text(json.dumps({"hash": document}))
            assert len(breaks(public, without_brand(public), documents=documents(manifest))) == found
