"""The committed schema files are what the code says."""

import shutil

import pytest

from schema.graph import CONTEXTS, subgraph
from server.schema_files import COMPOSER, PUBLIC_SDL, SUPERGRAPH_SDL, compose, print_schema

can_compose = shutil.which("node") is not None and (COMPOSER / "node_modules").is_dir()


class TestSchemaFiles:
    def test_hold_the_public_schema_as_it_is(self) -> None:
        assert PUBLIC_SDL.read_text(encoding="utf-8") == print_schema(), "run `make schema`"

    @pytest.mark.skipif(not can_compose, reason="composition needs Node and `npm ci` in deploy/composition")
    def test_hold_the_supergraph_composed_without_errors_and_warnings(self) -> None:
        assert SUPERGRAPH_SDL.read_text(encoding="utf-8") == compose(), "run `make schema`"

    def test_show_nothing_of_federation_to_clients(self) -> None:
        public = print_schema()
        assert not any(internal in public for internal in ("_entities", "_service", "_Any", "FieldSet", "@key"))

    @pytest.mark.parametrize("context", CONTEXTS)
    def test_are_federation_2_in_every_subgraph(self, context: str) -> None:
        assert "https://specs.apollo.dev/federation/v2.9" in subgraph(context).as_str()
