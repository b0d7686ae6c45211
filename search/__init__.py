"""Search engines behind the port of `domain.search`: tantivy in process, Meilisearch as a server."""
