"""Redis Streams as the bus: what is published, read, acknowledged, taken over and trimmed."""

from datetime import UTC, datetime

from data.bus import Published, RedisBus, decode, encode, prefix_of
from domain.kernel import Envelope, uuid7


def events(*sequences: int, name: str = "product.created") -> list[Published]:
    return [Published(sequence, name, b'{"sequence":%d}' % sequence) for sequence in sequences]


async def sequences(bus: RedisBus, prefix: str) -> list[int]:
    return [int(entry.partition(b"-")[0]) for entry, _ in await bus.redis.xrange(bus.key(prefix))]


class TestPublish:
    async def test_moves_the_position_with_the_entries(self, bus: RedisBus):
        assert await bus.publish(None, events(3, 7)) == 7
        assert await bus.position() == 7
        assert await sequences(bus, "product") == [3, 7]

    async def test_puts_each_prefix_into_a_stream_of_its_own(self, bus: RedisBus):
        await bus.publish(None, [*events(1), *events(2, name="order.paid"), *events(3, name="product.updated")])
        assert (await sequences(bus, "product"), await sequences(bus, "order")) == ([1, 3], [2])
        assert prefix_of("order.paid") == "order"

    async def test_changes_nothing_when_the_bus_is_elsewhere(self, bus: RedisBus):
        await bus.publish(None, events(1, 2))
        assert await bus.publish(1, events(2, 3)) == 2
        assert await bus.publish(None, events(9)) == 2
        assert (await sequences(bus, "product"), await bus.position()) == ([1, 2], 2)

    async def test_says_that_an_emptied_bus_has_no_position(self, bus: RedisBus):
        assert await bus.publish(5, events(6)) is None
        assert await bus.position() is None

    async def test_passes_over_entries_that_are_there_already(self, bus: RedisBus):
        await bus.publish(None, events(1, 2))
        await bus.redis.set(bus._position, 1)
        assert await bus.publish(1, events(2, 3)) == 3
        assert await sequences(bus, "product") == [1, 2, 3]


class TestGroups:
    async def test_a_new_group_begins_with_the_oldest_entry_kept(self, bus: RedisBus):
        await bus.publish(None, events(1, 2))
        await bus.join("search", ["product"])
        await bus.join("search", ["product"])
        found = await bus.read("search", "a", ["product"], count=10, wait_ms=10)
        assert [(each.sequence, each.name) for each in found] == [(1, "product.created"), (2, "product.created")]

    async def test_several_streams_are_read_in_the_order_of_the_log(self, bus: RedisBus):
        await bus.join("search", ["product", "order"])
        await bus.publish(None, [*events(1), *events(2, name="order.paid"), *events(3)])
        found = await bus.read("search", "a", ["order", "product"], count=10, wait_ms=10)
        assert [each.sequence for each in found] == [1, 2, 3]

    async def test_what_a_dead_member_held_is_taken_over_in_order(self, bus: RedisBus):
        await bus.join("search", ["product"])
        await bus.publish(None, events(1, 2, 3))
        held = await bus.read("search", "dead", ["product"], count=3, wait_ms=10)
        await bus.acknowledge("search", held[1:2])
        assert [each.sequence for each in await bus.reclaim("search", "b", ["product"], idle_ms=0)] == [1, 3]
        await bus.forget_members("search", ["product"], keep="b")
        members = await bus.redis.xinfo_consumers(bus.key("product"), "search")
        assert [(each["name"], each["pending"]) for each in members] == [(b"b", 2)]

    async def test_a_backlog_counts_what_is_undelivered_and_what_is_unacknowledged(self, bus: RedisBus):
        await bus.join("search", ["product"])
        await bus.publish(None, events(10, 20, 30))
        found = await bus.read("search", "a", ["product"], count=2, wait_ms=10)
        [backlog] = await bus.backlogs()
        assert (backlog.undelivered, backlog.pending, backlog.handled_to, backlog.caught_up) == (1, 2, 9, False)
        await bus.acknowledge("search", [*found, *await bus.read("search", "a", ["product"], count=2, wait_ms=10)])
        [backlog] = await bus.backlogs()
        assert (backlog.undelivered, backlog.pending, backlog.handled_to, backlog.caught_up) == (0, 0, 30, True)


class TestTrim:
    async def test_never_drops_what_some_group_has_not_done(self, bus: RedisBus):
        await bus.join("search", ["product"])
        await bus.join("analytics", ["product"])
        await bus.publish(None, events(*range(1, 1001)))
        await bus.acknowledge("search", await bus.read("search", "a", ["product"], count=1000, wait_ms=10))
        assert await bus.trim() == 0
        half = await bus.read("analytics", "a", ["product"], count=500, wait_ms=10)
        await bus.acknowledge("analytics", half[1:])
        assert await bus.trim() == 0
        await bus.acknowledge("analytics", half)
        dropped = await bus.trim()
        left = await sequences(bus, "product")
        assert 300 <= dropped <= 500
        assert left == list(range(dropped + 1, 1001))


class TestEnvelope:
    def test_survives_the_way_over_the_bus(self):
        row = {
            "sequence": 5,
            "event_id": uuid7(),
            "tenant_id": uuid7(),
            "aggregate_id": uuid7(),
            "aggregate_type": "Product",
            "version": 2,
            "name": "product.created",
            "data": '{"name": "Čaj \\"zelený\\""}',
            "metadata": '{"user_id": null, "correlation_id": "c-1"}',
            "topics": ["order:1"],
            "occurred_at": datetime(2026, 3, 14, 15, 9, 26, 535897, tzinfo=UTC),
        }
        assert decode(encode(row)) == Envelope(
            event_id=row["event_id"],
            name="product.created",
            tenant_id=row["tenant_id"],
            aggregate_id=row["aggregate_id"],
            aggregate_type="Product",
            version=2,
            data={"name": 'Čaj "zelený"'},
            occurred_at=row["occurred_at"],
            correlation_id="c-1",
            user_id=None,
        )
