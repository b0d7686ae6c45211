"""Pages of a list by keyset: a cursor names the last row seen, so a page costs the same at any depth."""

import base64
import binascii
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

import orjson

from domain.kernel import InvalidInput

T = TypeVar("T")
MAX_PAGE = 100
DEFAULT_PAGE = 20


def encode_cursor(values: Sequence[Any]) -> str:
    """Write the order values of a row as an opaque cursor."""
    return base64.urlsafe_b64encode(orjson.dumps(list(values), default=str)).decode().rstrip("=")


def decode_cursor(cursor: str, size: int) -> list[Any]:
    """Read what `encode_cursor` wrote.

    Raises: InvalidInput.
    """
    try:
        values = orjson.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    except (ValueError, binascii.Error) as error:
        raise InvalidInput(field="cursor", reason="it is not one of ours") from error
    if not isinstance(values, list) or len(values) != size:
        raise InvalidInput(field="cursor", reason="it belongs to another list or another order")
    return values


@dataclass(frozen=True, kw_only=True)
class PageRequest:
    """Which part of a list is wanted: `first` after a cursor, or `last` before one; at most 100.

    Raises: InvalidInput.
    """

    first: int | None = None
    after: str | None = None
    last: int | None = None
    before: str | None = None

    def __post_init__(self) -> None:
        for name in ("first", "last"):
            size = getattr(self, name)
            if size is not None and not 0 <= size <= MAX_PAGE:
                raise InvalidInput(field=name, reason=f"a page has between 0 and {MAX_PAGE} entries")
        if self.first is not None and self.last is not None:
            raise InvalidInput(field="last", reason="ask for first or for last, not for both")

    @property
    def backward(self) -> bool:
        return self.last is not None

    @property
    def size(self) -> int:
        if self.last is not None:
            return self.last
        return DEFAULT_PAGE if self.first is None else self.first


async def _uncounted() -> int:
    raise AssertionError("this list was made without a count")


@dataclass(frozen=True, slots=True)
class Edge(Generic[T]):
    """An entry of a page with the cursor that names it."""

    node: T
    cursor: str


def _no_key(_node: Any) -> Sequence[Any]:
    raise AssertionError("this list was made without an order")


@dataclass(frozen=True, kw_only=True)
class Page(Generic[T]):
    """A part of a list, in order; `key_of` gives what a node's cursor is made of, and `count` counts the whole list.

    Both are asked only for what a client wants to see.
    """

    nodes: Sequence[T]
    has_next_page: bool
    has_previous_page: bool
    key_of: Callable[[T], Sequence[Any]] = field(default=_no_key, repr=False)
    count: Callable[[], Awaitable[int]] = field(default=_uncounted, repr=False)

    @property
    def edges(self) -> list[Edge[T]]:
        return [Edge(node, self.cursor_of(node)) for node in self.nodes]

    @property
    def page_info(self) -> "Page[T]":
        return self

    @property
    def start_cursor(self) -> str | None:
        return self.cursor_of(self.nodes[0]) if self.nodes else None

    @property
    def end_cursor(self) -> str | None:
        return self.cursor_of(self.nodes[-1]) if self.nodes else None

    def cursor_of(self, node: T) -> str:
        """Give the cursor that names a node of this page."""
        return encode_cursor(self.key_of(node))
