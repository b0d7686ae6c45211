"""What the sandbox provider keeps, in SQLite: answers by key, objects, and the webhooks that are still to be sent."""

import sqlite3
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import orjson

Body = dict[str, Any]
_SCHEMA = """
CREATE TABLE IF NOT EXISTS answer (key TEXT PRIMARY KEY, request TEXT NOT NULL, status INT NOT NULL, body BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS object (id TEXT PRIMARY KEY, kind TEXT NOT NULL, body BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS event (
  sequence INTEGER PRIMARY KEY, id TEXT NOT NULL, body BLOB NOT NULL, due REAL NOT NULL, attempts INT NOT NULL DEFAULT 0
);
CREATE INDEX IF NOT EXISTS event_due ON event (due);
"""


class Refusal(Exception):
    """A request that the sandbox does not carry out."""

    def __init__(self, status: int, code: str) -> None:
        super().__init__(code)
        self.status = status
        self.code = code


@dataclass(frozen=True)
class Answer:
    """An HTTP status with its body; `repeated` when the key was known."""

    status: int
    body: Body
    repeated: bool = False


@dataclass(frozen=True)
class Pending:
    """A webhook to be sent: its place in the queue, how often it was tried, and its body."""

    sequence: int
    body: bytes
    attempts: int


class SandboxBooks:
    """One file, or `:memory:`; every change is one transaction. `clock` gives seconds since 1970."""

    def __init__(self, path: Path | str, clock: Callable[[], float]) -> None:
        self.clock = clock
        # It is used by one event loop, which need not live in the thread that made it.
        self._db = sqlite3.connect(path, isolation_level=None, timeout=5, check_same_thread=False)
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute("PRAGMA synchronous = OFF")
        self._db.executescript(_SCHEMA)

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    def once(self, key: str, request: Mapping[str, Any], act: Callable[[], Body]) -> Answer:
        """Do something, or give the answer that the same request got before.

        Raises: Refusal when nothing was done; the key stays free, except that it was used for another request.
        """
        fingerprint = sha256(orjson.dumps(dict(request), option=orjson.OPT_SORT_KEYS)).hexdigest()
        with self.transaction():
            known = self._db.execute("SELECT request, status, body FROM answer WHERE key = ?", (key,)).fetchone()
            if known:
                if known[0] != fingerprint:
                    raise Refusal(409, "idempotency_key_reused")
                return Answer(known[1], orjson.loads(known[2]), repeated=True)
            body = act()
            status = 402 if body["status"] == "declined" else 200
            row = (key, fingerprint, status, orjson.dumps(body))
            self._db.execute("INSERT INTO answer VALUES (?, ?, ?, ?)", row)
            return Answer(status, body)

    def answer_under(self, key: str) -> Body | None:
        """Give the answer that a key got."""
        row = self._db.execute("SELECT body FROM answer WHERE key = ?", (key,)).fetchone()
        return orjson.loads(row[0]) if row else None

    def get(self, identifier: str, kind: str) -> Body:
        """Give an object.

        Raises: Refusal.
        """
        row = self._db.execute("SELECT body FROM object WHERE id = ? AND kind = ?", (identifier, kind)).fetchone()
        if row is None:
            raise Refusal(404, f"no_such_{kind}")
        body: Body = orjson.loads(row[0])
        return body

    def all(self) -> Iterator[Body]:
        """Give every object, in the order in which they were made."""
        for (raw,) in self._db.execute("SELECT body FROM object ORDER BY rowid"):
            yield orjson.loads(raw)

    def put(self, body: Body) -> None:
        """Keep an object."""
        # An update in place keeps the order in which objects were made.
        statement = "INSERT INTO object VALUES (?, ?, ?) ON CONFLICT (id) DO UPDATE SET body = excluded.body"
        self._db.execute(statement, (body["id"], body["object"], orjson.dumps(body)))

    def queue(self, event_id: str, body: bytes, after: float) -> None:
        """Send a webhook after so many seconds."""
        statement = "INSERT INTO event (id, body, due) VALUES (?, ?, ?)"
        self._db.execute(statement, (event_id, body, self.clock() + after))

    def last_queued(self) -> tuple[str, bytes]:
        """Give id and body of the webhook that was queued last."""
        row: tuple[str, bytes] = self._db.execute(
            "SELECT id, body FROM event ORDER BY sequence DESC LIMIT 1"
        ).fetchone()
        return row

    def claim(self, lease_seconds: float) -> Pending | None:
        """Give the webhook whose time came first; nobody else gets it before the lease has ended."""
        statement = "SELECT sequence, body, attempts FROM event WHERE due <= ? ORDER BY due, sequence LIMIT 1"
        with self.transaction():
            row = self._db.execute(statement, (self.clock(),)).fetchone()
            if row is None:
                return None
            leased = "UPDATE event SET attempts = attempts + 1, due = ? WHERE sequence = ?"
            self._db.execute(leased, (self.clock() + lease_seconds, row[0]))
            return Pending(*row)

    def next_due(self) -> float | None:
        """Give the moment of the next webhook."""
        moment: float | None = self._db.execute("SELECT min(due) FROM event").fetchone()[0]
        return moment

    def settle(self, sequence: int) -> None:
        """Forget a webhook that arrived, or that will never be sent again."""
        self._db.execute("DELETE FROM event WHERE sequence = ?", (sequence,))

    def postpone(self, sequence: int, seconds: float) -> None:
        """Send a webhook again later."""
        self._db.execute("UPDATE event SET due = ? WHERE sequence = ?", (self.clock() + seconds, sequence))

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Do all or nothing."""
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._db.execute("ROLLBACK")
            raise
        self._db.execute("COMMIT")
