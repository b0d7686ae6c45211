"""How the subgraphs are spread over processes: by what is asked for together, and grows together."""

from collections.abc import Mapping, Sequence

GROUPS: Mapping[str, Sequence[str]] = {
    "storefront": ("catalog", "localization", "search", "inventory", "reviews", "importing"),
    "administration": ("platform", "tenancy", "identity"),
    "checkout": ("pricing", "tax", "orders", "payments", "delivery"),
    "conversation": ("messaging", "notifications", "live"),
}


def group_of(context: str) -> str:
    """Give the group in which a context is served."""
    return next(name for name, contexts in GROUPS.items() if context in contexts)


def expanded(names: Sequence[str]) -> list[str]:
    """Give the contexts that are meant by names of contexts and of groups."""
    return [context for name in names for context in GROUPS.get(name, (name,))]
