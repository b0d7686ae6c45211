import json
from random import Random
from types import SimpleNamespace
from typing import Any

from graphql import GraphQLError, OperationType

from tests.schema.supergraph.operations import Generator, differences
from tests.schema.supergraph.toy import supergraph

SCHEMA = supergraph()._schema


def result(data: Any, *errors: GraphQLError) -> Any:
    return SimpleNamespace(data=data, errors=list(errors) or None)


class TestGenerator:
    def test_makes_the_same_operations_of_the_same_seed(self) -> None:
        first, second = (list(Generator(SCHEMA, Random(7)).operations(20)) for _ in range(2))
        assert first == second

    def test_uses_everything_that_operations_can_hold(self) -> None:
        generator = Generator(SCHEMA, Random(1), kinds=tuple(OperationType))
        operations = list(generator.operations(200))
        text = " ".join(operation.document for operation in operations)
        features = [
            "@skip(if: $",
            "@include(if: true)",
            "fragment F0",
            "... on Image",
            "... {",
            "a1: ",
            "__typename",
            "null",
        ]
        assert [feature for feature in features if feature not in text] == []
        assert {operation.kind for operation in operations} == set(OperationType)

    def test_leaves_out_what_it_is_told(self) -> None:
        generator = Generator(SCHEMA, Random(1), skip=lambda type_name, field_name: field_name == "reviews")
        assert "reviews" not in json.dumps([operation.document for operation in generator.operations(100)])


class TestDifferences:
    def test_are_none_between_equal_results(self) -> None:
        error = GraphQLError("No.", path=["a", "b"])
        assert differences(result({"a": None}, error), result({"a": None}, error)) == []

    def test_notice_other_data_and_another_order_of_keys(self) -> None:
        assert differences(result({"a": 1}), result({"a": 2}))
        assert differences(result({"a": 1, "b": 1}), result({"b": 1, "a": 1}))

    def test_notice_a_missing_error(self) -> None:
        assert differences(result({"a": None}), result({"a": None}, GraphQLError("No.", path=["a"])))

    def test_notice_another_message(self) -> None:
        one, other = GraphQLError("No.", path=["a"]), GraphQLError("Never.", path=["a"])
        assert differences(result({"a": None}, one), result({"a": None}, other))

    def test_accept_another_error_of_the_same_nulled_position(self) -> None:
        one, other = GraphQLError("No.", path=["a", "b"]), GraphQLError("Never.", path=["a", "c", 0])
        assert differences(result({"a": None}, one), result({"a": None}, other)) == []
