"""Limits that a document breaks by its text alone."""

import time

import pytest
from edge_shop import shop_schema
from graphql import parse

from server.edge.documents import Documents, GraphqlParseFailed, GraphqlValidationFailed, IntrospectionDisabled
from server.edge.limits import (
    AliasLimitExceeded,
    DepthLimitExceeded,
    DirectiveLimitExceeded,
    FragmentLimitExceeded,
    LimitExceeded,
    Limits,
    ObjectLimitExceeded,
    OperationLimitExceeded,
    RepetitionLimitExceeded,
    RootFieldLimitExceeded,
    ValueDepthLimitExceeded,
    check_shape,
)
from server.edge.strawberry_executor import StrawberryExecutor

LIMITS = Limits(max_depth=4, max_aliases=3, max_directives=3, max_root_fields=3, max_operations=2, max_fragments=300)


def refusal_of(document: str) -> LimitExceeded:
    with pytest.raises(LimitExceeded) as refused:
        check_shape(parse(document), LIMITS)
    return refused.value


class TestShape:
    @pytest.mark.parametrize(
        "document",
        [
            "{ a { b { c { d } } } }",
            "{ a ... { b ... on Query { c { d { e { f } } } } } }".replace("{ e { f } }", ""),
            "{ x: a y: b z: c }",
            "query A { a } query B { b }",
            "{ a @skip(if: true) @include(if: true) b @skip(if: false) }",
        ],
    )
    def test_accepts_what_stays_within(self, document):
        check_shape(parse(document), LIMITS)

    @pytest.mark.parametrize(
        ("document", "refusal", "actual"),
        [
            ("{ a { b { c { d { e } } } } }", DepthLimitExceeded, 5),
            ("{ a { ...F } } fragment F on T { b { ...G } } fragment G on T { c { d { e } } }", DepthLimitExceeded, 5),
            ("{ w: a x: a y: a z: a }", AliasLimitExceeded, 4),
            ("{ ...F } fragment F on T { w: a x: a y: a b { z: a } }", AliasLimitExceeded, 4),
            ("query @a @b { x @c @d }", DirectiveLimitExceeded, 4),
            ("query ($v: Int @a @b) { x ...F @c ... @d { y } } fragment F on T { z }", DirectiveLimitExceeded, 4),
            ("{ a b c d }", RootFieldLimitExceeded, 4),
            ("{ ...F ...F } fragment F on Query { a b }", RootFieldLimitExceeded, 4),
            ("{ a { " + "b ... { b } " * 11 + "} }", RepetitionLimitExceeded, 22),
            ("{ a(v: {" + "b: 1 " * 101 + "}) }", ObjectLimitExceeded, 101),
            ("{ a }" + " ".join(f"fragment F{n} on T {{ a }}" for n in range(301)), FragmentLimitExceeded, 301),
            ("query A { a } query B { a } query C { a }", OperationLimitExceeded, 3),
            ("{ a(v: " + "[" * 40 + "]" * 40 + ") }", ValueDepthLimitExceeded, 39),
            ("query ($v: T = " + "{v: " * 40 + "1" + "}" * 40 + ") { a }", ValueDepthLimitExceeded, 40),
        ],
    )
    def test_tells_the_limit_and_what_was_counted(self, document, refusal, actual):
        refused = refusal_of(document)
        assert type(refused) is refusal
        assert refused.extensions["actual"] == actual

    def test_counts_doubling_fragments_without_expanding_them(self):
        fragments = " ".join(f"fragment F{n} on Query {{ ...F{n + 1} ... {{ ...F{n + 1} }} }}" for n in range(200))
        began = time.perf_counter()
        refused = refusal_of("{ ...F0 } fragment F200 on Query { a } " + fragments)
        assert type(refused) is RootFieldLimitExceeded
        assert refused.extensions["actual"] == 2**53
        assert time.perf_counter() - began < 1

    def test_survives_fragments_that_spread_themselves(self):
        check_shape(parse("{ ...A } fragment A on T { ...B a } fragment B on T { ...A b }"), LIMITS)


def documents(**options) -> Documents:
    return Documents(StrawberryExecutor(shop_schema()), Limits(), **options)


class TestDocuments:
    def test_prepare_the_same_text_once(self):
        known = documents()
        assert known.prepare("{ hello }") is known.prepare("{ hello }")

    def test_refuse_more_tokens_than_the_limit(self):
        with pytest.raises(GraphqlParseFailed, match="more than 2000"):
            documents().prepare("{" + " hello" * 2001 + "}")

    def test_refuse_a_cycle_of_fragments(self):
        with pytest.raises(GraphqlValidationFailed, match="Cannot spread fragment"):
            documents().prepare("{ ...A } fragment A on Query { ...B } fragment B on Query { ...A }")

    def test_suggest_names_in_development_only(self):
        with pytest.raises(GraphqlValidationFailed, match="Did you mean"):
            documents().prepare("{ helo }")
        with pytest.raises(GraphqlValidationFailed) as refused:
            documents(suggestions=False).prepare("{ helo }")
        assert refused.value.message == "Cannot query field 'helo' on type 'Query'."

    def test_hide_the_schema_in_production(self):
        for query in ("{ __schema { queryType { name } } }", '{ __type(name: "Query") { name } }'):
            documents().prepare(query)
            with pytest.raises(IntrospectionDisabled):
                documents(introspection=False).prepare(query)
        documents(introspection=False).prepare("{ __typename }")

    def test_keep_what_is_asked_for_again_through_a_flood_of_others(self):
        known = documents(max_entries=50)
        known.prepare("{ hello }")
        kept = known.prepare("{ hello }")
        for number in range(300):
            known.prepare(f"{{ a{number}: hello }}")
        assert known.prepare("{ hello }") is kept
        assert len(known._known) <= 50

    def test_list_at_most_twenty_errors(self):
        with pytest.raises(GraphqlValidationFailed) as refused:
            documents().prepare("{ products { nodes {" + " ".join(f"nope{n}" for n in range(100)) + "} } }")
        assert len(refused.value.errors()) == 20
