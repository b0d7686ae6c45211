"""The groups in which subgraphs are served."""

from schema.graph import CONTEXTS
from server.groups import GROUPS, expanded, group_of
from server.schema_files import SUPERGRAPH_SDL, located


class TestGroups:
    def test_hold_every_context_once(self) -> None:
        assert sorted(expanded(list(GROUPS))) == sorted(CONTEXTS)
        assert all(context in GROUPS[group_of(context)] for context in CONTEXTS)

    def test_are_taken_beside_contexts(self) -> None:
        assert expanded(["administration", "live"]) == ["platform", "tenancy", "identity", "live"]


class TestLocated:
    def test_moves_every_subgraph_of_a_supergraph(self) -> None:
        moved = located(SUPERGRAPH_SDL.read_text(), lambda context: f"http://{group_of(context)}:8000")
        assert "127.0.0.1" not in moved
        for context in CONTEXTS:
            assert f'"http://{group_of(context)}:8000/subgraphs/{context}/graphql"' in moved
