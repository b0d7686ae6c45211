"""Product search in a Meilisearch server."""

from search.meilisearch.engine import MeilisearchEngine

__all__ = ["MeilisearchEngine"]
