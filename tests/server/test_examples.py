import pytest
from graphql import parse, validate

from schema.graph import build
from server.edge.settings import Example
from server.examples import EXAMPLES


class TestExamples:
    @pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.title)
    def test_are_valid_against_the_graph(self, example: Example) -> None:
        assert validate(build().depth_first()._schema, parse(example.query)) == []
