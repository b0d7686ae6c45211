"""Forty buyers at four server processes of one database want the last of something, or the same thing twice.

The last use of a discount code, the last unit of a flash sale, the last loyalty points, and one cart that is checked out
again and again, with different keys and with one: each is repeated, and afterwards stock, ledger, counters and points are
compared to the unit and the cent.
Run: python benchmarks/races.py [repetitions]
"""

import asyncio
import statistics
import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from benchmarks._buyers import Bazaar, open_bazaar
from benchmarks._figures import Figure, load, report
from benchmarks._races import RACES, crowd
from benchmarks._system import Agora, attached

SERVERS, CROWD, REPETITIONS = 4, 40, 20


async def run(servers: Sequence[Agora], bazaar: Bazaar, repetitions: int) -> list[Figure]:
    """Run every race so often, and count those that did not end as they must."""
    figures = []
    async with crowd(servers, bazaar, CROWD) as buyers:
        for name, race in RACES.items():
            ran = [await race(buyers, f"{number:02d}") for number in range(repetitions)]
            for number, each in enumerate(ran):
                if each.wrong:
                    print(f"  {name}, {number}: {each.wrong[:5]}", flush=True)
            told = sum((each.told for each in ran), Counter[str]())
            note = f"{statistics.median(each.seconds for each in ran):.2f} s each; {_words(told)}"
            figures.append(
                Figure(f"{name}: races that ended wrongly", sum(bool(each.wrong) for each in ran), "", 0, note=note)
            )
    return figures


def _words(told: Counter[str]) -> str:
    return ", ".join(f"{number:,} {name}" for name, number in told.most_common())


def main() -> int:
    """Race, and print the table."""
    repetitions = int(sys.argv[1]) if len(sys.argv) > 1 else REPETITIONS
    print(load(), flush=True)
    with tempfile.TemporaryDirectory(prefix="agora-races-") as home, ExitStack() as stack:
        first = stack.enter_context(Agora(Path(home), "--no-worker"))
        more = [stack.enter_context(attached(Path(home), place)) for place in range(1, SERVERS)]
        bazaar = asyncio.run(open_bazaar(first))
        figures = asyncio.run(run([first, *more], bazaar, repetitions))
        print(report(f"The last of something: {CROWD} buyers, {SERVERS} servers, {repetitions} times", figures))
    return 0


if __name__ == "__main__":
    sys.exit(main())
