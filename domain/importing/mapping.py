"""From the columns of somebody's file to products, by a map that is data."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from typing import Any

from domain.kernel import DomainError, InvalidInput
from domain.money import minor_digits

Row = Mapping[str, Any]
Read = Callable[[Row], Any]

FIELDS = frozenset(
    {
        "sku",
        "name",
        "description",
        "brand",
        "gtin",
        "category",
        "price",
        "compare_at_price",
        "currency",
        "stock",
        "image",
    }
    | {"variant_of"}
)
LIMITS = {"sku": 64, "name": 500, "description": 20_000, "brand": 100, "gtin": 14, "image": 2048}
MAX_ATTRIBUTES = 500
MAX_ATTRIBUTE_TEXT = 10_000
MAX_AMOUNT_MINOR = 10**13
MAX_STOCK = 1_000_000_000


@dataclass(eq=False)
class FileUnreadable(DomainError):
    """A file that cannot be read to its end; what was read before stays imported."""

    name: str
    reason: str
    template = "The file {name} cannot be read: {reason}."


@dataclass(frozen=True)
class RowError(Exception):
    """Why one row was left out: its line, the column at fault (or none) and the reason."""

    line: int
    column: str
    reason: str


@dataclass(frozen=True, kw_only=True, slots=True)
class ImportRow:
    """One product (or variant) as a file describes it; amounts in minor units, `category` as names root first."""

    line: int
    sku: str
    name: str
    description: str = ""
    brand: str = ""
    gtin: str | None = None
    category: tuple[str, ...] = ()
    price_minor: int | None = None
    compare_at_minor: int | None = None
    currency: str | None = None
    stock: int | None = None
    image: str | None = None
    variant_of: str | None = None
    attributes: Mapping[str, Any] = field(default_factory=dict)


class ImportMap:
    """How columns become fields. Made from a mapping such as a TOML file holds; see `docs/import.md`.

    Raises: InvalidInput when the map names fields or ways that there are not.
    """

    def __init__(self, description: Mapping[str, Any], *, currency: str) -> None:
        columns = description.get("columns", {})
        unknown = sorted((set(columns) - FIELDS) | (set(description) - {"columns", "attributes"}))
        if unknown or not {"sku", "name"} <= set(columns):
            wrong = f"it knows no {unknown[0]!r}" if unknown else "it must say where sku and name come from"
            raise InvalidInput(field="map", reason=wrong)
        self._read: dict[str, Read] = {name: _source(name, given) for name, given in columns.items()}
        self._units = {name: _unit(columns.get(name)) for name in ("price", "compare_at_price")}
        self._attributes = _AttributeMap(description.get("attributes", {}))
        self._currency = currency
        minor_digits(currency)

    def row(self, line: int, values: Row) -> ImportRow:
        """Read one row.

        Raises: RowError.
        """
        text = {name: self._text(name, line, values) for name in ("sku", "name", "description", "brand")}
        for name in ("sku", "name"):
            if not text[name]:
                raise RowError(line, name, "it is missing")
        currency = self._code(line, values)
        price = self._amount("price", line, values, currency)
        compare_at = self._amount("compare_at_price", line, values, currency)
        if compare_at is not None and (price is None or compare_at < price):
            raise RowError(line, "compare_at_price", "it is lower than the price")
        return ImportRow(
            line=line,
            **text,
            gtin=self._text("gtin", line, values) or None,
            category=self._path(line, values),
            price_minor=price,
            compare_at_minor=compare_at,
            currency=currency if price is not None else None,
            stock=self._stock(line, values),
            image=self._text("image", line, values) or None,
            variant_of=self._text("variant_of", line, values) or None,
            attributes=self._attributes.read(line, values),
        )

    def _value(self, name: str, values: Row) -> Any:
        read = self._read.get(name)
        return None if read is None else read(values)

    def _text(self, name: str, line: int, values: Row) -> str:
        value = self._value(name, values)
        if value is None:
            return ""
        text = " ".join(str(value).split()) if name != "description" else str(value).strip()
        if "\x00" in text:
            raise RowError(line, name, "it contains a NUL character")
        if len(text) > LIMITS.get(name, 255):
            raise RowError(line, name, f"it is longer than {LIMITS.get(name, 255):,} characters")
        return text

    def _code(self, line: int, values: Row) -> str:
        code = str(self._value("currency", values) or self._currency)
        try:
            minor_digits(code)
        except InvalidInput as error:
            raise RowError(line, "currency", error.reason) from error
        return code

    def _amount(self, name: str, line: int, values: Row, currency: str) -> int | None:
        value = self._value(name, values)
        if value is None or value == "":
            return None
        try:
            number = Decimal(str(value))
        except InvalidOperation as error:
            raise RowError(line, name, f"{str(value)[:40]!r} is not a number") from error
        minor = number if self._units[name] == "minor" else number.scaleb(minor_digits(currency))
        if not minor.is_finite() or minor != minor.to_integral_value():
            raise RowError(line, name, f"{str(value)[:40]!r} has more decimals than {currency} has")
        if not 0 <= minor <= MAX_AMOUNT_MINOR:
            raise RowError(line, name, "a price must not be negative" if minor < 0 else "it is too large")
        return int(minor)

    def _stock(self, line: int, values: Row) -> int | None:
        value = self._value("stock", values)
        if value is None or value == "":
            return None
        try:
            units = int(str(value))
        except ValueError as error:
            raise RowError(line, "stock", f"{str(value)[:40]!r} is not a whole number") from error
        if not 0 <= units <= MAX_STOCK:
            raise RowError(line, "stock", f"it must lie between 0 and {MAX_STOCK:,}")
        return units

    def _path(self, line: int, values: Row) -> tuple[str, ...]:
        path = self._value("category", values) or ()
        names = path.split(">") if isinstance(path, str) else path
        cleaned = tuple(" ".join(str(name).split()) for name in names if name and str(name).strip())
        if any("\x00" in name or len(name) > 100 for name in cleaned):
            raise RowError(line, "category", "a name in it is too long or contains a NUL character")
        return cleaned


def _source(name: str, given: Any) -> Read:
    """Make the function that reads a field: from a column, the first filled of several, a template or a constant."""
    if isinstance(given, str):
        return lambda row: row.get(given)
    if not isinstance(given, Mapping):
        raise InvalidInput(field=f"map.{name}", reason="it must be a column's name or a table")
    if "value" in given:
        constant = given["value"]
        return lambda _row: constant
    if "path" in given:
        levels = [_source(name, each) for each in given["path"]]
        return lambda row: [level(row) for level in levels]
    if "template" in given:
        return _template(str(given["template"]), [str(each) for each in given.get("otherwise", ())])
    if "column" in given:
        return _column(str(given["column"]))
    raise InvalidInput(field=f"map.{name}", reason="it needs one of column, value, path or template")


def _column(column: str) -> Read:
    def read(row: Row) -> Any:
        value = row.get(column)
        # A list, as JSON has it for codes and pictures, stands for its first entry.
        return (value[0] if value else None) if isinstance(value, list) else value

    return read


def _template(template: str, otherwise: Sequence[str]) -> Read:
    columns = re.findall(r"\{(\w+)\}", template)

    def read(row: Row) -> str | None:
        filled = {column: row.get(column) or "" for column in columns}
        text = template.format(**filled).strip() if any(filled.values()) else ""
        return text or next((str(row[column]) for column in otherwise if row.get(column)), None)

    return read


def _unit(given: Any) -> str:
    unit = given.get("unit", "major") if isinstance(given, Mapping) else "major"
    if unit not in {"major", "minor"}:
        raise InvalidInput(field="map", reason="a price's unit is major or minor")
    return str(unit)


class _AttributeMap:
    """Attributes from named columns, or from every column whose name starts with a prefix of a kind."""

    def __init__(self, given: Mapping[str, Any]) -> None:
        self._columns: Mapping[str, str] = given.get("columns", {})
        self._prefixes = tuple((str(prefix), kind) for kind, prefix in given.get("prefixes", {}).items())
        if any(kind not in _KINDS for _, kind in self._prefixes):
            raise InvalidInput(field="map.attributes", reason=f"a kind is one of {', '.join(_KINDS)}")

    def read(self, line: int, values: Row) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for name, column in self._columns.items():
            value = values.get(column)
            if value is not None and value != "":
                found[name] = _attribute(line, column, value)
        if self._prefixes:
            for column, value in values.items():
                for prefix, kind in self._prefixes:
                    if column.startswith(prefix) and value is not None:
                        found[column[len(prefix) :].strip("_")] = _KINDS[kind](_attribute(line, column, value))
        if len(found) > MAX_ATTRIBUTES:
            raise RowError(line, "", f"it has more than {MAX_ATTRIBUTES} attributes")
        return found


def _attribute(line: int, column: str, value: Any) -> Any:
    if isinstance(value, str):
        if "\x00" in value:
            raise RowError(line, column, "it contains a NUL character")
        if len(value) > MAX_ATTRIBUTE_TEXT:
            raise RowError(line, column, f"it is longer than {MAX_ATTRIBUTE_TEXT:,} characters")
        return value
    if isinstance(value, bool | int | float):
        return value
    raise RowError(line, column, "an attribute is text, a number or true or false")


_KINDS: dict[str, Callable[[Any], Any]] = {
    "text": str,
    "number": lambda value: value if isinstance(value, int | float) else float(value),
    "boolean": bool,
}
