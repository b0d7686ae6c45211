"""Documents by hash: a registered set that production accepts alone, and automatic persisted queries for development."""

import hashlib
import re
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Protocol, Self

import orjson

from server.edge.params import BadParameters, GraphQLParams
from server.edge.refusal import Refusal, TransportRefusal

_SHA256 = re.compile(r"[0-9a-f]{64}\Z")


class InvalidManifest(Exception):
    """The file does not list documents."""


class MissingDocument(TransportRefusal):
    """The request has neither a document nor the hash of one."""


class UntrustedDocument(Refusal):
    """Only registered documents are executed here."""


class PersistedQueryNotFound(Refusal):
    """The hash is not known: the client sends it again, with the document."""


class PersistedQueryHashMismatch(Refusal):
    """The document does not have the hash that came with it."""


class DocumentSource(Protocol):
    """Finds the text of the document that a request means."""

    def text(self, params: GraphQLParams) -> str:
        """Return the document.

        Raises: MissingDocument, UntrustedDocument, PersistedQueryNotFound, PersistedQueryHashMismatch, BadParameters.
        """
        ...


def sha256_of(document: str) -> str:
    return hashlib.sha256(document.encode("utf-8", "surrogatepass")).hexdigest()


def persisted_hash(params: GraphQLParams) -> str | None:
    """The SHA-256 that a request names in `extensions.persistedQuery`, the form that clients already send.

    Raises: BadParameters.
    """
    persisted: Any = params.extensions.get("persistedQuery")
    if persisted is None:
        return None
    digest = persisted.get("sha256Hash") if isinstance(persisted, dict) else None
    if not isinstance(digest, str) or not _SHA256.match(digest):
        raise BadParameters("persistedQuery.sha256Hash must be 64 lower-case hexadecimal digits.")
    return digest


class TrustedDocuments:
    """A registered set; a document that is sent in full passes when it is one of the set."""

    def __init__(self, documents: Iterable[str]) -> None:
        self._by_hash: Mapping[str, str] = {sha256_of(document): document for document in documents}

    @classmethod
    def load(cls, manifest: Path) -> Self:
        """Read a manifest that a client's build writes.

        Either an object of id and document, or Apollo's with a list of `operations` that have a `body`. Ids are not
        trusted: documents are known by the SHA-256 of their text.

        Raises: InvalidManifest.
        """
        try:
            found = orjson.loads(manifest.read_bytes())
        except (OSError, orjson.JSONDecodeError) as error:
            raise InvalidManifest(f"{manifest} is no manifest of documents: {error}.") from error
        operations = found.get("operations") if isinstance(found, dict) else None
        if isinstance(operations, list):
            bodies = [each.get("body") if isinstance(each, dict) else None for each in operations]
        else:
            bodies = list(found.values()) if isinstance(found, dict) else [None]
        texts = [body for body in bodies if isinstance(body, str)]
        if len(texts) != len(bodies):
            raise InvalidManifest(f"{manifest} is no manifest of documents: each must be a text.")
        return cls(texts)

    def __len__(self) -> int:
        return len(self._by_hash)

    def text(self, params: GraphQLParams) -> str:
        digest = persisted_hash(params) or (sha256_of(params.query) if params.query else None)
        if digest is None:
            raise MissingDocument("A request needs the hash of a registered document.")
        document = self._by_hash.get(digest)
        if document is None:
            raise UntrustedDocument("Only registered documents are executed here.")
        return document


class PersistedQueries:
    """Any document, and by hash those that a client registered before; the oldest are forgotten first."""

    def __init__(self, max_entries: int = 1_000, max_document_characters: int = 20_000) -> None:
        self._max_entries = max_entries
        self._max_document_characters = max_document_characters
        self._by_hash: OrderedDict[str, str] = OrderedDict()

    def text(self, params: GraphQLParams) -> str:
        digest = persisted_hash(params)
        if digest is None:
            return _sent(params)
        if params.query is None:
            return self._recall(digest)
        self._register(digest, params.query)
        return params.query

    def _recall(self, digest: str) -> str:
        document = self._by_hash.get(digest)
        if document is None:
            raise PersistedQueryNotFound("PersistedQueryNotFound")
        self._by_hash.move_to_end(digest)
        return document

    def _register(self, digest: str, document: str) -> None:
        if digest in self._by_hash and self._by_hash[digest] == document:
            return
        if sha256_of(document) != digest:
            raise PersistedQueryHashMismatch("The document does not have the hash that came with it.")
        if len(document) > self._max_document_characters:
            return
        self._by_hash[digest] = document
        if len(self._by_hash) > self._max_entries:
            self._by_hash.popitem(last=False)


def _sent(params: GraphQLParams) -> str:
    if not params.query:
        raise MissingDocument("A request needs a query.")
    return params.query
