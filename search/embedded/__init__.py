"""Product search inside the process: tantivy, one writer, any number of readers."""

from search.embedded.engine import EmbeddedSearchEngine

__all__ = ["EmbeddedSearchEngine"]
