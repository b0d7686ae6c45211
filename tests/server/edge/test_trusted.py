"""Documents by hash."""

import json

import pytest
from edge_shop import shop_app
from starlette.testclient import TestClient

from server.edge.params import BadParameters, GraphQLParams
from server.edge.settings import EdgeSettings
from server.edge.trusted import (
    InvalidManifest,
    MissingDocument,
    PersistedQueries,
    PersistedQueryHashMismatch,
    PersistedQueryNotFound,
    TrustedDocuments,
    UntrustedDocument,
    sha256_of,
)

HELLO = "{ hello }"


def params(query: str | None = None, digest: object = None) -> GraphQLParams:
    extensions = {} if digest is None else {"persistedQuery": {"version": 1, "sha256Hash": digest}}
    return GraphQLParams(query, None, {}, extensions)


class TestTrustedDocuments:
    trusted = TrustedDocuments([HELLO])

    def test_are_found_by_hash_or_by_their_text(self):
        assert self.trusted.text(params(digest=sha256_of(HELLO))) == HELLO
        assert self.trusted.text(params(HELLO)) == HELLO

    def test_are_the_only_ones_that_run(self):
        with pytest.raises(UntrustedDocument):
            self.trusted.text(params("{ hello hello }"))
        with pytest.raises(UntrustedDocument):
            self.trusted.text(params(digest="0" * 64))

    def test_are_needed(self):
        with pytest.raises(MissingDocument):
            self.trusted.text(params())

    @pytest.mark.parametrize(
        "manifest",
        [
            {"abc": HELLO},
            {"format": "apollo-persisted-query-manifest", "version": 1, "operations": [{"id": "abc", "body": HELLO}]},
        ],
    )
    def test_are_read_from_the_manifest_of_a_build(self, tmp_path, manifest):
        file = tmp_path / "manifest.json"
        file.write_text(json.dumps(manifest))
        loaded = TrustedDocuments.load(file)
        assert len(loaded) == 1
        assert loaded.text(params(digest=sha256_of(HELLO))) == HELLO

    @pytest.mark.parametrize("content", ["", "[]", '{"a": 1}', '{"operations": [1]}', '{"operations": [{"id": "a"}]}'])
    def test_are_not_read_from_anything_else(self, tmp_path, content):
        file = tmp_path / "manifest.json"
        file.write_text(content)
        with pytest.raises(InvalidManifest, match="is no manifest of documents"):
            TrustedDocuments.load(file)

    def test_answer_over_http_in_production(self):
        app = TestClient(shop_app(EdgeSettings().for_production(), documents=self.trusted))
        known = app.post("/graphql", json={"extensions": {"persistedQuery": {"sha256Hash": sha256_of(HELLO)}}})
        unknown = app.post("/graphql", json={"query": "{ crash }"})
        assert known.json() == {"data": {"hello": "hello world"}}
        assert unknown.json()["errors"][0]["extensions"]["code"] == "UNTRUSTED_DOCUMENT"


class TestPersistedQueries:
    def test_are_registered_once_and_recalled_by_hash(self):
        queries = PersistedQueries()
        digest = sha256_of(HELLO)
        with pytest.raises(PersistedQueryNotFound) as refused:
            queries.text(params(digest=digest))
        assert (refused.value.message, refused.value.code) == ("PersistedQueryNotFound", "PERSISTED_QUERY_NOT_FOUND")
        assert queries.text(params(HELLO, digest)) == HELLO
        assert queries.text(params(digest=digest)) == HELLO

    def test_are_not_registered_under_a_wrong_hash(self):
        queries = PersistedQueries()
        with pytest.raises(PersistedQueryHashMismatch):
            queries.text(params(HELLO, "0" * 64))
        with pytest.raises(PersistedQueryNotFound):
            queries.text(params(digest="0" * 64))

    @pytest.mark.parametrize("digest", [1, "", "xyz", "A" * 64, ["0" * 64]])
    def test_need_a_well_formed_hash(self, digest):
        with pytest.raises(BadParameters):
            PersistedQueries().text(params(digest=digest))

    def test_forget_the_oldest_first(self):
        queries = PersistedQueries(max_entries=2)
        texts = ["{ a }", "{ b }", "{ c }"]
        for text in texts:
            queries.text(params(text, sha256_of(text)))
        assert queries.text(params(digest=sha256_of("{ c }"))) == "{ c }"
        with pytest.raises(PersistedQueryNotFound):
            queries.text(params(digest=sha256_of("{ a }")))

    def test_let_a_document_be_sent_in_full(self):
        assert PersistedQueries().text(params(HELLO)) == HELLO
