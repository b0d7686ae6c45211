"""Events, snapshots and stored answers as JSON values, and back."""

import hashlib
from datetime import date, datetime
from decimal import Decimal
from typing import Any, TypeVar
from uuid import UUID

import orjson
from cattrs.preconf.orjson import OrjsonConverter, make_converter

T = TypeVar("T")


def _converter() -> OrjsonConverter:
    converter = make_converter()
    converter.register_unstructure_hook(UUID, str)
    converter.register_structure_hook(UUID, lambda value, _: value if isinstance(value, UUID) else UUID(value))
    converter.register_unstructure_hook(Decimal, str)
    converter.register_structure_hook(Decimal, lambda value, _: Decimal(value))
    converter.register_unstructure_hook(datetime, lambda value: value.isoformat())
    converter.register_structure_hook(datetime, lambda value, _: datetime.fromisoformat(value))
    converter.register_unstructure_hook(date, lambda value: value.isoformat())
    converter.register_structure_hook(date, lambda value, _: date.fromisoformat(value))
    return converter


CONVERTER = _converter()


def to_json(value: Any) -> Any:
    """Turn a dataclass (or a list of them, or a plain value) into JSON values."""
    return CONVERTER.unstructure(value)


def from_json(value: Any, kind: type[T]) -> T:
    """Build an instance of `kind` from what `to_json` made of one."""
    return CONVERTER.structure(value, kind)


def fingerprint(value: Any) -> bytes:
    """Digest a command, so that a repeated request is told from another one.

    Source: SHA-256 over canonical JSON (sorted keys).
    """
    return hashlib.sha256(orjson.dumps(to_json(value), option=orjson.OPT_SORT_KEYS | orjson.OPT_NON_STR_KEYS)).digest()
