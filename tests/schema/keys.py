"""What stands in recipes for things of a marketplace: their keys, and names that nothing has yet."""

from typing import Any

from domain.kernel import uuid7


class Key(str):
    """Stands for an id, SKU, slug or code of the marketplace that is called in; says which."""

    __slots__ = ()


class Fresh(str):
    """Stands for a text that nothing has been called by yet."""

    __slots__ = ()

    def make(self) -> str:
        return f"{self}{uuid7().hex[-12:]}"


STORE, PRODUCT, CATEGORY, SKU, USER = Key("store"), Key("product"), Key("category"), Key("sku"), Key("user")
CAD = {"amountMinor": 900, "currency": "CAD"}
STREET = {"streetLine1": "1 Main Street", "city": "Ottawa", "province": "ON", "postalCode": "K1A 0A1", "country": "CA"}


def taking(**fields: Any) -> dict[str, Any]:
    """Give the arguments of a mutation that takes an input."""
    return {"input": fields}


def keyed(**fields: Any) -> dict[str, Any]:
    """Give the arguments of a mutation that takes an input and asks for an idempotency key."""
    return {"input": fields, "idempotencyKey": Fresh("request-")}


def keys_in(recipe: Any, path: str = "") -> dict[str, Key]:
    """Give where keys stand in a recipe: dotted path to key."""
    if isinstance(recipe, Key):
        return {path: recipe}
    if isinstance(recipe, dict):
        pairs = [(f"{path}.{name}" if path else name, value) for name, value in recipe.items()]
    elif isinstance(recipe, list):
        pairs = [(path, value) for value in recipe]
    else:
        return {}
    return {place: key for where, value in pairs for place, key in keys_in(value, where).items()}


def filled(recipe: Any, keys: dict[str, str], path: str = "") -> Any:
    """Give the arguments, with `keys` (by dotted path) in their places."""
    if isinstance(recipe, Key):
        return keys[path]
    if isinstance(recipe, Fresh):
        return recipe.make()
    if isinstance(recipe, dict):
        return {name: filled(value, keys, f"{path}.{name}" if path else name) for name, value in recipe.items()}
    if isinstance(recipe, list):
        return [filled(value, keys, path) for value in recipe]
    return recipe
