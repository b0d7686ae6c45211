"""What the domain declares for the worker: which handlers listen to which events, and which jobs there are."""

from collections.abc import Iterable
from importlib import import_module
from pkgutil import walk_packages
from typing import TypeVar

import domain
from data.bus import prefix_of
from data.inbox import Subscriber
from domain.kernel import Subscriptions

T = TypeVar("T")


def declared(kind: type[T]) -> list[T]:
    """Give every module-level object of a kind that the domain declares, such as its `Subscriptions`."""
    found: dict[int, T] = {}
    for module in walk_packages(domain.__path__, "domain."):
        for each in vars(import_module(module.name)).values():
            if isinstance(each, kind):
                found[id(each)] = each
    return list(found.values())


def subscribers_of(declarations: Iterable[Subscriptions]) -> list[Subscriber]:
    """Name the handlers.

    Raises: ValueError when two handlers of a context bear the same name.
    """
    found: dict[str, Subscriber] = {}
    for entry in (entry for each in declarations for entry in each.entries):
        key = f"{entry.consumer}.{entry.handler.__name__}"
        if key in found:
            raise ValueError(f"two event handlers are called {key}")
        found[key] = Subscriber(key, entry.consumer, frozenset(entry.names), entry.handler, entry.batch)
    return list(found.values())


def groups_of(subscribers: Iterable[Subscriber]) -> dict[str, list[str]]:
    """Give, by consumer, the prefixes that it reads."""
    prefixes: dict[str, set[str]] = {}
    for each in subscribers:
        prefixes.setdefault(each.consumer, set()).update(map(prefix_of, each.names))
    return {consumer: sorted(found) for consumer, found in prefixes.items()}
