"""Two servers behind HAProxy, restarted one after the other while visitors look and buy, people talk and clients follow.

Counts the requests that failed, without a second try, and what followers missed, heard twice or out of order.
Run: python benchmarks/rolling.py [followers]
"""

import asyncio
import sys
import tempfile
from pathlib import Path

from benchmarks._figures import Figure, load, report
from benchmarks._rolling import Shift, missing, restart_all, shift

FOLLOWERS, VISITORS = 200, 8


async def measure(folder: Path, followers: int) -> list[Figure]:
    """Restart both servers, and compare with what was to be reached."""
    async with shift(folder, followers) as made:
        took = await restart_all(made, VISITORS)
        return await _figures(made, took)


async def _figures(made: Shift, took: list[float]) -> list[Figure]:
    faults = list((await made.party.verdict()).values())
    failures = {what: number for what, number in made.visits.told.items() if what != "complete"}
    connections = sum(each.connections for each in made.party.followers)
    return [
        Figure("requests", made.visits.told.total(), ""),
        Figure("of those failed", made.visits.failed, "", 0, note=str(failures)[:160] if failures else ""),
        Figure("events lost by followers", sum(each.lost for each in faults), "", 0, note=f"{connections} connections"),
        Figure("repeated", sum(each.repeated for each in faults), "", 0),
        Figure("out of order", sum(each.disordered for each in faults), "", 0),
        Figure("longest restart", max(took), "s"),
    ]


def main() -> int:
    """Measure, and print the table."""
    if reason := missing():
        print(f"skipped: {reason}")
        return 0
    followers = int(sys.argv[1]) if len(sys.argv) > 1 else FOLLOWERS
    print(load(), flush=True)
    with tempfile.TemporaryDirectory(prefix="agora-rolling-") as folder:
        found = asyncio.run(measure(Path(folder), followers))
    print(report(f"two servers restarted under {followers} followers and {VISITORS} visitors", found))
    return 0 if all(each.reached for each in found) else 1


if __name__ == "__main__":
    sys.exit(main())
