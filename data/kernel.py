"""What every context's storage is built from: tables with tenant isolation, mappings, ports and refusals."""

from collections.abc import Callable
from enum import StrEnum
from typing import Any, TypeVar, get_type_hints

from sqlalchemy import BigInteger, Column, DateTime, Integer, MetaData, Table, Text, Uuid, func
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import registry
from sqlalchemy.schema import SchemaItem
from sqlalchemy.types import TypeDecorator

from domain.kernel import DomainError, InvalidInput

NAMING = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "pk": "pk_%(table_name)s",
}

metadata = MetaData(naming_convention=NAMING)
mapping = registry(metadata=metadata)

T = TypeVar("T", bound=type)
TENANT_OWNED = "tenant_owned"


class Choice(TypeDecorator[StrEnum]):
    """A `StrEnum` kept as text, so that a new member needs no migration."""

    impl = Text
    cache_ok = True

    def __init__(self, choices: type[StrEnum]) -> None:
        super().__init__()
        self.choices = choices

    def process_bind_param(self, value: StrEnum | None, dialect: Any) -> str | None:  # noqa: ARG002 — SQLAlchemy's signature.
        return None if value is None else str(value)

    def process_result_value(self, value: str | None, dialect: Any) -> StrEnum | None:  # noqa: ARG002 — see above.
        return None if value is None else self.choices(value)


def timestamp(name: str, *, nullable: bool = False, **options: Any) -> Column[Any]:
    """Make a column for an instant, with time zone."""
    return Column(name, DateTime(timezone=True), nullable=nullable, **options)


def tenant_table(context: str, name: str, *items: SchemaItem, root: bool = True, **options: Any) -> Table:
    """Make a table that belongs to tenants: id, tenant_id, and for aggregate roots version and timestamps.

    The tenant is part of every key, for it is what the table can be distributed by; ids are unique all the same.

    Its migration must call `isolate`; a test compares the two.
    """
    own = [Column("id", Uuid, primary_key=True), Column("tenant_id", Uuid, primary_key=True)]
    if root:
        own += [
            Column("version", Integer, nullable=False),
            timestamp("created_at", server_default=func.now()),
            timestamp("updated_at", server_default=func.now(), onupdate=func.now()),
        ]
    return Table(name, metadata, *own, *items, schema=context, info={TENANT_OWNED: True}, **options)


def money_column(name: str, *, nullable: bool = False) -> Column[Any]:
    """Make a column for an amount in minor units; its currency stands in a column of its own."""
    return Column(name, BigInteger, nullable=nullable)


def json_column(name: str, *, default: str = "{}", nullable: bool = False) -> Column[Any]:
    """Make a JSONB column."""
    return Column(name, JSONB, nullable=nullable, server_default=default)


PLAIN: dict[type, Table] = {}
"""The aggregates that are one row each, of which all is known before it is written."""


def map_aggregate(cls: type, table: Table, *, by_itself: bool = False, **properties: Any) -> None:
    """Map an aggregate onto its table; `version` is written by the aggregate and checked on every update.

    With `by_itself` it is always written by a statement of its own.
    """
    exclude = [name for name in ("created_at", "updated_at") if name in table.c and name not in get_type_hints(cls)]
    mapping.map_imperatively(
        cls,
        table,
        properties=properties,
        exclude_properties=exclude,
        version_id_col=table.c.version,
        version_id_generator=False,
        eager_defaults=False,
    )
    generated = any(column.computed is not None or column.identity is not None for column in table.c)
    if (
        not by_itself
        and not properties
        and not generated
        and not {"created_at", "updated_at"} & get_type_hints(cls).keys()
    ):
        PLAIN[cls] = table


PORTS: dict[type, type] = {}


def implements(port: type) -> Callable[[T], T]:
    """Register a class as the one implementation of a port that the domain declares.

    A port for commands is built with the transaction's `AsyncSession`, one for reads with the operation's `Reads`.
    """

    def register(implementation: T) -> T:
        PORTS[port] = implementation
        return implementation

    return register


Refusal = Callable[[str], DomainError]
REFUSALS: dict[str, Refusal] = {}


def refuses(constraint: str, refusal: Refusal) -> None:
    """Say which typed error a violated constraint stands for; the refusal is given PostgreSQL's detail text."""
    REFUSALS[constraint] = refusal


_NO_CHARACTER = "a text holds a character that cannot be kept, such as NUL"
_UNSTORABLE = {
    "22021": _NO_CHARACTER,
    "22P05": _NO_CHARACTER,
    "22003": "a number is out of range",
    "22008": "a moment is out of range",
}


def unstorable(sqlstate: str | None) -> InvalidInput | None:
    """Give the refusal of a value that no column can hold, for a fault that PostgreSQL found with it; None for others."""
    reason = _UNSTORABLE.get(sqlstate or "")
    return InvalidInput(field="input", reason=reason) if reason else None
