"""A marketplace under load whose parts are killed one after the other: a server, the worker, Valkey, PostgreSQL.

Counts what visitors and shoppers were told meanwhile, what contradicts the books afterwards, and the seconds from the return
of a part until both are answered completely again, and until every event of that moment was handled.
Run: python benchmarks/outages.py [shoppers]
"""

import asyncio
import sys
import tempfile
from collections import Counter
from pathlib import Path

from benchmarks._figures import Figure, load, report
from benchmarks._outages import MASKED, PARTS, Outage, Town, live_through, town

SHOPPERS, AWAY_SECONDS = 8, 3.0
RECOVERY_SECONDS = 5.0


async def measure(folder: Path, shoppers: int) -> list[Figure]:
    """Let people shop through all outages, and compare with what was to be reached."""
    async with town(folder) as made:
        outages = await live_through(made, PARTS, shoppers, AWAY_SECONDS)
        recoveries = [each for outage in outages for each in _recovery(outage)]
        return [*recoveries, *await _verdict(made)]


def _recovery(outage: Outage) -> list[Figure]:
    note = f"away {outage.away_seconds:.1f} s; visitors were told {_words(outage.looks)}, shoppers {_words(outage.purchases)}"
    return [
        Figure(f"{outage.part}: callers are answered", outage.recovery_seconds, "s", RECOVERY_SECONDS, note=note),
        Figure(f"{outage.part}: events are handled", outage.handled_seconds, "s", RECOVERY_SECONDS),
    ]


def _words(told: Counter[str]) -> str:
    return ", ".join(f"{what} {number}" for what, number in told.most_common()) or "nothing"


async def _verdict(made: Town) -> list[Figure]:
    orders = sum(len(each.orders) for each in made.shoppers)
    refused = [each for shopper in made.shoppers for each in shopper.refusals]
    wrong = await made.contradictions()
    masked = sum(each.what == MASKED for each in (*made.looks, *made.purchases))
    return [
        Figure("purchases", orders, "", note=f"by {len(made.shoppers)} shoppers"),
        Figure("purchases that were refused in the end", len(refused), "", 0, note="; ".join(refused[:1])[:120]),
        Figure("errors that nobody foresaw", masked, "", 0),
        Figure("contradictions in the books", len(wrong), "", 0, note="; ".join(wrong[:2])[:160]),
    ]


def main() -> int:
    """Measure, and print the table."""
    shoppers = int(sys.argv[1]) if len(sys.argv) > 1 else SHOPPERS
    print(load(), flush=True)
    with tempfile.TemporaryDirectory(prefix="agora-outages-") as folder:
        found = asyncio.run(measure(Path(folder), shoppers))
    print(report(f"{shoppers} shoppers while one part after the other is killed", found))
    return 0 if all(each.reached for each in found) else 1


if __name__ == "__main__":
    sys.exit(main())
