"""Operations that the explorer opens with."""

from server.edge.settings import Example

BROWSE = """query Browse {
  categories { name slug productCount children { name slug productCount children { name slug productCount } } }
}"""

LIST = """query ProductList($first: Int = 20) {
  products(first: $first, sort: NEWEST) {
    totalCount
    pageInfo { hasNextPage endCursor }
    nodes {
      id
      name
      brand
      price { amount currency }
      category { name }
      stock { available }
      rating { average total }
      variants { name sku price { amount } }
    }
  }
}"""

SEARCH = """query Search($query: String! = "wireles hedphones") {
  searchProducts(query: $query, facets: [CATEGORY, BRAND, PRICE, IN_STOCK, RATING], first: 10) {
    total
    correctedQuery
    processingMs
    hits { score product { name brand price { amount currency } stock { available } rating { average } } }
    facets {
      categories { value count }
      brands { value count }
      prices { minimumMinor maximumMinor count }
    }
  }
}"""

EXAMPLES = (
    Example("Products with stock and rating from other subgraphs", LIST),
    Example("Search with typos and facets", SEARCH),
    Example("The category tree", BROWSE),
)
