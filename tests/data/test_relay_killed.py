"""A relay that is killed at any moment loses nothing, and its successor publishes nothing twice."""

import asyncio
import signal
import subprocess
import sys
from pathlib import Path

import psycopg

from data.bus import RedisBus
from tests.events import eventually

EVENTS = 20_000
ROOT = Path(__file__).parents[2]

RELAY = """
import asyncio, sys
from redis.asyncio import Redis
from data.bus import RedisBus
from data.relay import Relay

async def main(database_url, redis_url, namespace):
    async with Redis.from_url(redis_url) as redis:
        await Relay(database_url, RedisBus(redis, namespace), {"watcher": ["tally"]}).run(asyncio.Event())

asyncio.run(main(*sys.argv[1:]))
"""

WRITE = """
INSERT INTO platform.event_log (event_id, tenant_id, aggregate_id, aggregate_type, version, name, data, occurred_at)
SELECT gen_random_uuid(), gen_random_uuid(), gen_random_uuid(), 'Tally', 1, 'tally.raised', '{"amount": 1}', now()
FROM generate_series(1, %s) RETURNING sequence
"""


def start(database_url: str, redis_url: str, namespace: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-c", RELAY, database_url, redis_url, namespace]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL)


class TestAKilledRelay:
    async def test_leaves_a_bus_that_the_next_one_completes_without_gap_or_repetition(
        self, bus: RedisBus, fresh_log: int, database_url: str, redis_url: str
    ):
        with psycopg.connect(database_url, autocommit=True) as connection:
            written = [row[0] for row in connection.execute(WRITE, [EVENTS])]
        namespace = bus._keys.strip("{}")
        kills = 0
        for portion in range(3_000, EVENTS, 7_000):
            relay = start(database_url, redis_url, namespace)
            try:
                await eventually(lambda least=portion: longer(bus, least), seconds=30)
            finally:
                relay.send_signal(signal.SIGKILL)
                relay.wait()
            kills += 1
        assert kills == 3
        assert await bus.redis.xlen(bus.key("tally")) <= EVENTS
        relay = start(database_url, redis_url, namespace)
        try:
            await eventually(lambda: longer(bus, EVENTS), seconds=30)
            await asyncio.sleep(0.2)
        finally:
            relay.kill()
            relay.wait()
        entries = await bus.redis.xrange(bus.key("tally"))
        assert [int(entry.partition(b"-")[0]) for entry, _ in entries] == written


async def longer(bus: RedisBus, least: int) -> bool:
    return await bus.redis.xlen(bus.key("tally")) >= least
