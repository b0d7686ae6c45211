"""The cost of operations: estimated before, measured after."""

from typing import Any

import pytest
from graphql import GraphQLSchema, build_schema, parse

from server.edge.cost import CostLimitExceeded, CostPlan, PageSizeOutOfRange
from server.edge.cost_plan import OperationTooComplex, compile_cost
from server.edge.cost_weights import Weights
from server.edge.limits import Limits

SCHEMA = build_schema("""
directive @cost(weight: String!) on ARGUMENT_DEFINITION | ENUM | FIELD_DEFINITION | OBJECT | SCALAR
directive @listSize(assumedSize: Int, slicingArguments: [String!], sizedFields: [String!]) on FIELD_DEFINITION

scalar Embedding @cost(weight: "3")
type Query {
  product(id: ID!): Product
  products(first: Int, last: Int): Connection
  tagged(limit: Int): [Product!] @listSize(assumedSize: 7, slicingArguments: ["limit"])
  defaulted(first: Int = 4): [Product!]
  report(deep: Boolean @cost(weight: "50")): Report @cost(weight: "100")
  node(id: ID!): Node
  nodes: [Node!]
  search: [Hit!]
}
type Mutation { buy: Product }
type Connection { edges: [Edge!] nodes: [Product!] total: Int }
type Edge { node: Product }
interface Node { id: ID! }
type Product implements Node { id: ID! name: String variants: [Variant!] related: [Product!] embedding: Embedding }
type Variant implements Node { id: ID! prices(first: Int): [Price!] }
type Price { amount: Int }
type Report @cost(weight: "20") { lines: [Price!] @listSize(assumedSize: 1000) }
union Hit = Product | Report
""")


def plan(query: str, schema: GraphQLSchema = SCHEMA, **limits: Any) -> CostPlan:
    document = parse(query)
    return compile_cost(document, document.definitions[0], Weights(schema), Limits(**limits))  # type: ignore[arg-type]


class TestRequested:
    @pytest.mark.parametrize(
        ("query", "cost"),
        [
            ("{ __typename }", 0),
            ('{ product(id: "1") { id name } }', 2),
            ("{ products(first: 5) { nodes { id } } }", 1 + 1 + 1 + 5),
            ("{ products(last: 5) { total edges { node { id } } } }", 1 + 1 + 1 + 5 * (1 + 1 + 1)),
            ("{ products { nodes { id } } }", 1 + 1 + 1 + 20),
            ("{ tagged { id } }", 1 + 7),
            ("{ tagged(limit: 3) { id } }", 1 + 3),
            ("{ defaulted { id } }", 1 + 4),
            ('{ product(id: "1") { variants { prices(first: 2) { amount } } } }', 2 + 1 + 10 * (1 + 1 + 2)),
            ("{ report { __typename } }", 100 + 20),
            ("{ report(deep: true) { __typename } }", 100 + 20 + 50),
            ('{ product(id: "1") { embedding } }', 2 + 3),
            ("mutation { buy { id } }", 10 + 1),
            ('{ product(id: "1") { variants { id } variants { id } } }', 2 + 1 + 10),
            ('{ node(id: "1") { id } }', 2),
            (
                '{ node(id: "1") { ... on Variant { prices { amount } } ... on Product { variants { id } } } }',
                2 + 1 + 20,
            ),
            ("{ search { ... on Report { lines { amount } } ... on Product { id } } }", 1 + 10 * (1 + 1 + 1000)),
            ("{ __schema { types { fields { name } } } }", 0),
        ],
    )
    def test_adds_calls_and_objects(self, query, cost):
        assert plan(query, max_cost=1e9).requested({}) == cost

    def test_takes_page_sizes_from_variables_and_their_defaults(self):
        products = plan("query ($n: Int = 3) { products(first: $n) { nodes { id } } }")
        assert [products.requested(v) for v in ({}, {"n": 10}, {"n": None})] == [6, 13, 23]

    def test_refuses_what_costs_too_much(self):
        with pytest.raises(CostLimitExceeded) as refused:
            plan("{ products(first: 100) { nodes { related { related { id } } } } }", max_cost=5000).requested({})
        assert refused.value.extensions == {"limit": 5000, "actual": 1 + 1 + 1 + 100 * (1 + 1 + 10 * (1 + 1 + 10))}

    @pytest.mark.parametrize(
        ("query", "variables"),
        [
            ("{ products(first: 101) { total } }", {}),
            ("{ products(last: -1) { total } }", {}),
            ("query ($n: Int) { products(first: $n) { total } }", {"n": 101}),
            ("query ($n: Int = 500) { products(first: $n) { total } }", {}),
            ("{ products { nodes { variants { prices(first: 1000) { amount } } } } }", {}),
        ],
    )
    def test_refuses_pages_out_of_range(self, query, variables):
        with pytest.raises(PageSizeOutOfRange, match=r"must be between 0 and 100\."):
            plan(query).requested(variables)

    def test_counts_fragments_that_double_in_linear_time(self):
        fragments = " ".join(
            f"fragment F{n} on Product {{ a: related {{ ...F{n + 1} }} b: related {{ ...F{n + 1} }} }}"
            for n in range(14)
        )
        doubled = plan('{ product(id: "1") { ...F0 } } fragment F14 on Product { id } ' + fragments, max_cost=1e30)
        assert len(doubled.nodes) <= 40
        assert doubled.requested({}) > 1e15

    def test_refuses_fragments_that_overlap_without_end(self):
        fragments = " ".join(
            f"fragment F{n} on Product {{ ...F{n + 1} related {{ ...F{n + 1} ...G{n} }} }} "
            f"fragment G{n} on Product {{ related {{ ...F{n + 1} x{n}: related {{ id }} }} }}"
            for n in range(60)
        )
        with pytest.raises((OperationTooComplex, CostLimitExceeded)):
            plan('{ product(id: "1") { ...F0 } } fragment F60 on Product { id } ' + fragments).requested({})


class TestActual:
    def test_counts_what_came(self):
        products = plan("{ products(first: 50) { nodes { id variants { id prices { amount } } } } }", max_cost=1e5)
        variants = [{"id": 1, "prices": [{"amount": 1}, {"amount": 2}]}, {"id": 2, "prices": []}]
        data = {"products": {"nodes": [{"id": 1, "variants": variants}, {"id": 2, "variants": None}]}}
        assert products.requested({}) == 1 + 1 + 1 + 50 * (1 + 1 + 10 * (1 + 1 + 20))
        assert products.actual(data) == 1 + 1 + 1 + (1 + 1 + (1 + 1 + 2) + (1 + 1)) + (1 + 1)

    def test_counts_nothing_for_what_failed(self):
        assert plan("{ products { total } }").actual(None) == 0
        assert plan("{ products { total } }").actual({"products": None}) == 1
