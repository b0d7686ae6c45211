"""Requests that no honest client sends, from a seeded generator."""

import json
import random
from collections.abc import Iterator

TOKENS = [
    "{",
    "}",
    "(",
    ")",
    "[",
    "]",
    ":",
    "!",
    "...",
    "@",
    "$",
    "|",
    "&",
    "=",
    "#",
    '"""',
    '"',
    "query",
    "mutation",
    "subscription",
    "fragment",
    "on",
    "hello",
    "products",
    "first",
    "1",
    "-9e999",
    "null",
    "true",
]


def documents(rng: random.Random) -> Iterator[str]:
    n = rng.randrange(2, 3000)
    yield "{" + " ".join(f"a{i}: hello" for i in range(n * 4)) + "}"
    yield "{" * n
    yield "{ products { nodes { " + "reviews { " * (n % 190) + "stars" + " }" * (n % 190) + " } } }"
    yield "query " + "@skip(if: true) " * n + "{ hello }"
    yield "{ hello " + "@include(if: true)" * n + " }"
    yield "{ ...A } fragment A on Query { ...B } fragment B on Query { ...A hello }"
    yield "{ ...F0 } " + " ".join(f"fragment F{i} on Query {{ ...F{i + 1} ...F{i + 1} }}" for i in range(n % 300))
    yield "{ products { nodes { " + "reviews { stars } " * (n % 450) + "} } }"
    yield "{ matching(where: " + "{both: [" * (n % 150) + "]}" * (n % 150) + ") }"
    yield "{ matching(where: {" + " ".join(f"f{i}: 1" for i in range(n)) + "}) }"
    yield "{ hello(name: " + "[" * n + "]" * n + ") }"
    yield '{ hello(name: "' + "\\u0000" * n + '") }'
    yield '{ hello(name: """' + '\\"""' * n + '""") }'
    yield "query (" + " ".join(f"$v{i}: Int = {i}" for i in range(n)) + ") { hello }"
    yield "{ products(first: " + "9" * (n % 5000) + ") { nodes { sku } } }"
    yield "{ __schema { types { " + "fields { type { " * (n % 60) + "name" + " } }" * (n % 60) + " } } }"
    yield " ".join(rng.choice(TOKENS) for _ in range(n))
    yield "#" * n * 10 + "\n{ hello }"
    yield "\ufeff" * n + "{ hello }"
    yield "{ hello }" * n
    yield "".join(chr(rng.randrange(0x20, 0xD000)) for _ in range(n))
    yield "subscription { count }"
    yield "{ things { " + "... on Product { name } ... on Voucher { name } " * (n % 100) + "} }"


def payloads(rng: random.Random) -> Iterator[bytes]:
    for document in documents(rng):
        yield json.dumps({"query": document}).encode()
    n = rng.randrange(2, 20_000)
    deep = '{"both": [' * n + "]}" * n
    yield b'{"query": "query ($f: Filter!) { matching(where: $f) }", "variables": {"f": ' + deep.encode() + b"}}"
    yield b'{"query": "{ products(first: $n) { nodes { sku } } }", "variables": {"n": 1e400}}'
    yield b'{"query": "query ($n: Int) { products(first: $n) { nodes { sku } } }", "variables": {"n": %d}}' % 10**18
    yield b'{"query": "query ($n: Int) { products(first: $n) { nodes { sku } } }", "variables": {"n": -1}}'
    yield b'{"query": "query ($s: Float!) { slow(seconds: $s) }", "variables": {"s": {"a": [1, null, "x"]}}}'
    yield b'{"query": "{ hello }", "variables": ' + b"[" * n + b"]" * n + b"}"
    yield b'{"query": "{ hello }", "operationName": "' + b"x" * n + b'"}'
    yield b'{"query": "\\ud800{ hello }"}'
    yield b'{"query": "{ hello }", "extensions": {"persistedQuery": {"sha256Hash": "' + b"0" * n + b'"}}}'
    yield b'{"query": "{ hello }"' + b', "a": 1' * n + b"}"
    yield rng.randbytes(n)
    yield b"\x00" * n
    yield b"\xff\xfe" + "{}".encode("utf-16")
    yield json.dumps([{"query": "{ hello }"}] * (n % 1000)).encode()
    yield b" " * (300 * 1024)


HEADERS = [
    b"accept: " + b"application/json," * 400,
    b"accept: ;;;,,,q=,*/*;q=x",
    b"accept: application/graphql-response+json;q=-1",
    b"accept: text/event-stream",
    b"content-type: application/json; charset=",
    b"content-type: " + b"a" * 3000,
    b"content-type: multipart/form-data; boundary=x",
    b"content-encoding: gzip",
    b"x-correlation-id: \xff\xfe${jndi:ldap://x}",
    b"traceparent: 00-0-0-0",
    b"origin: null",
    b"origin: http://[",
    b"sec-fetch-site: cross-site",
    b"cookie: " + b"a=b; " * 500,
    b"expect: 100-continue",
]
QUERY_STRINGS = [
    b"",
    b"?query=%",
    b"?query=%ff%fe",
    b"?query={hello}&variables=[",
    b"?query={hello}&variables=null&extensions=1",
    b"?" + b"query={hello}&" * 50,
    b"?query=mutation{write}",
    b"?" + b"a" * 8000,
    b"?query={hello}\x01",
]


def http_requests(rng: random.Random) -> Iterator[bytes]:
    """Whole requests as bytes, some of them never finished."""
    for body in payloads(rng):
        extra = rng.choice(HEADERS)
        kind = b"" if extra.startswith(b"content-type") else b"content-type: application/json\r\n"
        head = b"POST /graphql HTTP/1.1\r\nhost: x\r\nconnection: close\r\n" + kind + extra
        yield head + b"\r\ncontent-length: %d\r\n\r\n" % len(body) + body
    yield b"GET /graphql" + rng.choice(QUERY_STRINGS) + b" HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"
    method = rng.choice([b"PUT", b"DELETE", b"OPTIONS", b"HEAD", b"TRACE", b"PATCH", b"BREW"])
    yield method + b" /graphql HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"
    post = b"POST /graphql HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-type: application/json\r\n"
    yield post + b"content-length: 1000\r\n\r\n{"
    yield post + b"content-length: -1\r\n\r\n{}"
    yield post + b"content-length: 99999999999\r\n\r\n{}"
    yield post + b"transfer-encoding: chunked\r\n\r\nffffffff\r\n{}\r\n"
    yield post + b"transfer-encoding: chunked\r\n\r\nnothex\r\n{}\r\n0\r\n\r\n"
    yield post + b"transfer-encoding: chunked\r\n\r\n" + b"1\r\n{\r\n" * 400
    yield rng.randbytes(rng.randrange(1, 2000))
    yield b"GET / HTTP/9.9\r\n\r\n"


def frames(rng: random.Random) -> Iterator[list[str | bytes]]:
    """Sequences of frames for one socket each."""
    init = '{"type": "connection_init"}'

    def subscribe(identity: object, query: str) -> str:
        return json.dumps({"type": "subscribe", "id": identity, "payload": {"query": query}})

    for document in documents(rng):
        yield [init, subscribe("1", document)]
    yield [rng.randbytes(100)]
    yield [init, *(each for i in range(200) for each in (subscribe(str(i), "subscription { count(to: 9, pause: 1) }"), json.dumps({"type": "complete", "id": str(i)})))]  # fmt: skip
    yield [init, *(subscribe(str(i), "subscription { count(to: 9, pause: 1) }") for i in range(90))]
    yield [init, *(subscribe("same", "{ hello }") for _ in range(20))]
    yield [init] * 30
    yield ['{"type": "ping"}'] * 300
    yield [init, "[" * 5000]
    yield [init, '{"type": ' * 50]
    yield [init, "x" * 300_000]
    yield [init, json.dumps({"type": rng.choice(["next", "error", "start", "stop", 1, None]), "id": "1"})]
    yield [init, subscribe(rng.choice(["", 1, None, "x" * 10_000]), "{ hello }")]
    yield [init, subscribe("1", "subscription { blobs(kilobytes: 1) }")]
    yield ["".join(chr(rng.randrange(32, 0xD7FF)) for _ in range(500))]
