"""A thousand followers of a server that crashes three times while people talk, and whose Valkey crashes once.

Counts what was lost, repeated or out of order at any client, compared with the log, and how long it takes from a crash until
every client is back.
Run: python benchmarks/reconnecting.py [clients]
"""

import asyncio
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from benchmarks._figures import Figure, load, report
from benchmarks._reconnecting import Outage, Party, live_through, own_valkey, party
from benchmarks._system import Agora

CLIENTS, CRASHES, BETWEEN = 1_000, 3, 150
CHATS_PER_SECOND, LINES_PER_SECOND = 25.0, 5.0


async def measure(keeper: Agora, clients: int, restart_valkey: Callable[[], None]) -> list[Figure]:
    """Let everybody live through the crashes."""
    async with party(keeper, clients, CHATS_PER_SECOND, LINES_PER_SECOND) as made:

        async def valkey_crashes() -> None:
            await asyncio.to_thread(restart_valkey)

        gave = await live_through(made, [made.crash, valkey_crashes, *[made.crash] * (CRASHES - 1)], BETWEEN)
        return await figures(made, [each for each in gave if each])


async def figures(made: Party, outages: list[Outage]) -> list[Figure]:
    """Compare with what was to be reached."""
    faults, told = list((await made.verdict()).values()), await made.committed()
    committed = [body for heard in told.values() for _, body in heard]
    wanted = sum(len(told[each.topic]) for each in made.followers)
    refused = [*made.talk.refused, *(each.decode() for follower in made.followers for each in follower.errors)]
    connections = sum(each.connections for each in made.followers)
    return [
        Figure("messages that were said", len(made.talk.said), "", note=f"{len(made.talk.refused)} were refused"),
        Figure("of those not committed", len(set(made.talk.said) - set(committed)), "", 0),
        Figure("events that were to be heard, by all clients", wanted, "", note=f"over {connections:,} connections"),
        Figure("lost", sum(each.lost for each in faults), "", 0),
        Figure("repeated", sum(each.repeated for each in faults), "", 0),
        Figure("out of order", sum(each.disordered for each in faults), "", 0),
        Figure("never committed", sum(each.foreign for each in faults), "", 0),
        Figure(
            "from a crash until all are back, longest", max(each.back for each in outages), "s", note=_each(outages)
        ),
        Figure("refusals", len(refused), "", note="; ".join(refused[:1])[:120]),
    ]


def _each(outages: list[Outage]) -> str:
    told = ", ".join(f"{each.back:.1f} s ({each.started:.1f} s)" for each in outages)
    return f"each, and of that until the server answers: {told}"


def main() -> int:
    """Measure, and print the table."""
    clients = int(sys.argv[1]) if len(sys.argv) > 1 else CLIENTS
    print(load(), flush=True)
    with tempfile.TemporaryDirectory(prefix="agora-reconnecting-") as folder:
        home = Path(folder)
        with own_valkey(home / "own-valkey") as (address, restart):
            keeper = Agora(home / "home")
            keeper.environment["AGORA_REDIS_URL"] = address
            with keeper:
                found = asyncio.run(measure(keeper, clients, restart))
    print(report(f"{clients:,} clients through {CRASHES} crashes of their server and one of Valkey", found))
    return 0 if all(each.reached for each in found) else 1


if __name__ == "__main__":
    sys.exit(main())
