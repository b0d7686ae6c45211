"""What the storefronts of the graph benchmark ask, and what every system is given to find it."""

from dataclasses import dataclass, field
from typing import Any

CARD = """id sku slug name brand price { amount currency } category { name } stock { available } rating { average }
    variants { id sku name price { amount } }"""

LIST = f"query List($first: Int!, $after: String) {{ products(first: $first, after: $after) {{ nodes {{ {CARD} }} }} }}"
PAIR = f"""query Pair($after: String) {{
  first: products(first: 100) {{ nodes {{ {CARD} }} }} second: products(first: 100, after: $after) {{ nodes {{ {CARD} }} }} }}"""
DETAIL = """query Detail($sku: String!) { product(sku: $sku) {
  id sku name description brand price { amount currency } category { id name } stock { available onHand }
  variants { id sku name price { amount currency } availability { available } }
  rating { average total distribution }
  reviews(first: 10) { nodes { id rating title content helpfulCount isVerifiedPurchase createdAt } } } }"""
SEARCH = """query Search($query: String!) {
  searchProducts(query: $query, first: 20, filters: {inStock: true}, facets: [CATEGORY, BRAND, IN_STOCK, RATING]) {
    total
    hits { score product { id sku name brand price { amount currency } } }
    facets { categories { value count } brands { value count } inStock outOfStock ratings { minimum count } } } }"""
DEEP = """query Deep($query: String!) { searchProducts(query: $query, first: 10) { total hits { score product {
  id name category { name } store { code name timezone } stock { available }
  variants { sku availability { available } }
  rating { average total }
  reviews(first: 2) { nodes { rating title product { id name stock { available } } } } } } } }"""
REFUSED = "query TooDeep { categoryTree { " + "parent { " * 16 + "id" + " }" * 17 + " }"


@dataclass(frozen=True)
class Shape:
    """One document with its variables, as every system gets it."""

    name: str
    document: str
    variables: dict[str, Any] = field(default_factory=dict)


def shapes(after: str, sku: str) -> list[Shape]:
    """The shapes, given the cursor behind the hundredth product and a product that has reviews."""
    return [
        Shape("list of 20", LIST, {"first": 20}),
        Shape("list of 200", PAIR, {"after": after}),
        Shape("detail", DETAIL, {"sku": sku}),
        Shape("search", SEARCH, {"query": "walnut lamp"}),
        Shape("deep, 5 subgraphs", DEEP, {"query": "oak chair"}),
    ]


def fields(value: Any) -> int:
    """How many fields an answer has."""
    if isinstance(value, dict):
        return len(value) + sum(map(fields, value.values()))
    return sum(map(fields, value)) if isinstance(value, list) else 0
