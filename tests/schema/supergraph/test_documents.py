from typing import Any

import pytest
import strawberry
from graphql import ASTValidationRule, GraphQLError, parse
from strawberry.extensions import AddValidationRules

from schema.supergraph import DocumentCache, Subgraph

VALIDATED: list[str] = []


class Counting(ASTValidationRule):
    def enter_document(self, *_: Any) -> None:
        VALIDATED.append("document")


@strawberry.type
class Query:
    @strawberry.field
    def number(self, plus: int = 0) -> int:
        return 1 + plus


class TestDocuments:
    async def test_are_parsed_validated_and_planned_once(self) -> None:
        VALIDATED.clear()
        documents = DocumentCache()
        schema = Subgraph(Query, documents=documents, extensions=[lambda: AddValidationRules([Counting])])
        for plus in range(3):
            result = await schema.execute("query ($p: Int!) { number(plus: $p) }", {"p": plus})
            assert result.data == {"number": 1 + plus}
        assert len(VALIDATED) == 1
        assert len(documents) == 1

    async def test_are_planned_per_value_of_their_deciding_variables(self) -> None:
        schema = Subgraph(Query)
        query = "query ($a: Boolean!, $b: Int) { number(plus: $b) @include(if: $a) other: number @skip(if: $a) }"
        for _ in range(2):
            assert (await schema.execute(query, {"a": True, "b": 1})).data == {"number": 2}
            assert (await schema.execute(query, {"a": False, "b": 2})).data == {"other": 1}

    async def test_keep_their_errors(self) -> None:
        schema = Subgraph(Query)
        for _ in range(2):
            assert [e.message for e in (await schema.execute("{ number ")).errors] == [
                "Syntax Error: Expected Name, found <EOF>."
            ]
            assert [e.message for e in (await schema.execute("{ none }")).errors] == [
                "Cannot query field 'none' on type 'Query'."
            ]

    async def test_with_several_operations_are_executed_by_name(self) -> None:
        schema = Subgraph(Query)
        query = "query A { a: number } query B { b: number(plus: 1) }"
        assert (await schema.execute(query, operation_name="A")).data == {"a": 1}
        assert (await schema.execute(query, operation_name="B")).data == {"b": 2}


class TestDocumentCache:
    def test_forgets_what_was_used_least_recently(self) -> None:
        cache = DocumentCache(size=2)
        for name in ("a", "b", "a", "c"):
            if cache.find(name) is None:
                cache.keep(name, parse(f"{{ {name} }}"))
        assert cache.find("b") is None
        assert cache.find("a") is not None
        assert cache.find("c") is not None

    def test_forgets_by_length_and_keeps_no_giant(self) -> None:
        cache = DocumentCache(characters=800)
        for name in ("a", "b", "c"):
            cache.keep(name, parse("{ " + name * 300 + " }"))
        assert len(cache) == 0
        for name in "abcdefghij":
            cache.keep(name, parse("{ " + name * 90 + " }"))
        assert len(cache) == 8
        assert cache.find("b") is None
        assert cache.find("c") is not None

    def test_does_not_let_refused_documents_push_others_out(self) -> None:
        cache = DocumentCache(size=4)
        cache.keep("good", parse("{ good }"))
        for number in range(100):
            cache.refuse(f"bad {number}", GraphQLError("Bad."))
        assert cache.find("good") is not None
        assert cache.find("bad 98") is None
        with pytest.raises(GraphQLError, match=r"Bad\."):
            cache.find("bad 99")
