"""The seeds' event matrix, reproduced exactly: who hears of what."""

import pytest

from data.bus import prefix_of
from data.declarations import declared, subscribers_of
from domain.kernel import EVENTS, Subscriptions
from schema.graph import CONTEXTS

# Source: the specification, §3.1 "The seed's matrix"; event, source, subscribers.
MATRIX = [
    ("user.registered", "identity", {"notifications", "analytics"}),
    ("product.created", "catalog", {"search", "moderation", "analytics"}),
    ("product.updated", "catalog", {"search", "moderation"}),
    ("order.created", "orders", {"payments", "inventory", "notifications", "analytics"}),
    ("order.paid", "payments", {"orders", "notifications", "seller"}),
    ("order.shipped", "orders", {"notifications", "analytics"}),
    ("payment.failed", "payments", {"orders", "notifications"}),
    ("video.uploaded", "video", {"moderation", "analytics"}),
    ("video.processed", "video", {"catalog", "notifications"}),
    ("review.created", "reviews", {"moderation", "notifications", "analytics"}),
    ("message.sent", "messaging", {"notifications"}),
]
# Contexts that the specification lets hear of events of the matrix beyond its own columns: product and category names in
# other languages (§4) are kept up to date from the catalogue's events.
FURTHER = {
    ("product.created", "localization"),
    ("product.updated", "localization"),
    # Live sessions count the orders that were placed in them (§25).
    ("order.paid", "live"),
}

WIRED = [(name, source, consumer) for name, source, consumers in MATRIX for consumer in sorted(consumers)]


def listeners() -> dict[str, set[str]]:
    heard: dict[str, set[str]] = {}
    for each in subscribers_of(declared(Subscriptions)):
        for name in each.names:
            heard.setdefault(name, set()).add(each.consumer)
    return heard


class TestTheMatrix:
    @pytest.mark.parametrize(("name", "source", "consumer"), WIRED, ids=[f"{each[0]}-{each[2]}" for each in WIRED])
    def test_every_subscriber_of_it_listens(self, name: str, source: str, consumer: str):
        missing = {source, consumer} - set(CONTEXTS)
        if missing:
            pytest.skip(f"there is no {' and no '.join(sorted(missing))} yet")
        assert consumer in listeners().get(name, set())

    @pytest.mark.parametrize(("name", "source"), [each[:2] for each in MATRIX], ids=[each[0] for each in MATRIX])
    def test_every_event_of_it_is_declared_by_its_source(self, name: str, source: str):
        if source not in CONTEXTS:
            pytest.skip(f"there is no {source} yet")
        assert name in EVENTS
        assert EVENTS[name].__module__.startswith(f"domain.{source}")

    @pytest.mark.parametrize(("name", "consumers"), [(each[0], each[2]) for each in MATRIX])
    def test_nobody_else_listens(self, name: str, consumers: set[str]):
        others = {each for each in listeners().get(name, set()) if (name, each) not in FURTHER}
        assert others <= consumers


class TestSubscriptions:
    def test_name_no_event_that_its_own_source_does_not_know(self):
        known = {prefix_of(name) for name in EVENTS}
        assert {name for name in listeners() if prefix_of(name) in known} <= set(EVENTS)

    def test_are_made_in_the_name_of_a_context(self):
        assert {each.consumer for each in subscribers_of(declared(Subscriptions))} <= set(CONTEXTS)

    def test_have_handlers_of_different_names(self):
        subscribers_of(declared(Subscriptions))
