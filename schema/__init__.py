"""Nouns: the GraphQL types and roots of each context, one federation subgraph each."""
