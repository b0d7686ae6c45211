"""Whole purchases through a running `agora serve`: two lines into a cart, then the checkout with a card of the sandbox.

Measures the CPU, the statements and the latency of a purchase, how many one server process sells, and whether two hundred
buyers of ten units, spread over four server processes on one database, ever get more or less than ten.
Run: python benchmarks/checkout.py [purchases per round] [repetitions of the race]
"""

import asyncio
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import psutil  # type: ignore[import-untyped]  # No stubs among our dependencies.
from _bank import cpu_of_a_charge
from _buyers import CHARGED, ORDERS, SHELF, Bazaar, Buyer, ask_database, open_bazaar, put_on_sale
from _figures import Figure, load, percentile, report
from _load import Run, begin, finish
from _load import load as send
from _measuring import MANY, SINGLE, Target
from _statements import logged
from _system import Agora, attached

from data.database import asyncpg_url

PURCHASES, RACES = 480, 20
ROUNDS = 3
WARM_UP = 96
LOGGED = 20
LONG_SECONDS = 100.0
SERVERS, CROWD, UNITS = 4, 200, 10
IN_CART, PAID = '"units":3', '"paymentStatus":"PAID"'


@dataclass
class Sold:
    """One round of purchases: what each half took, and its CPU in milliseconds per purchase."""

    adding: Run
    paying: Run
    server_ms: float
    database_ms: float

    @property
    def per_second(self) -> float:
        """Whole purchases per second."""
        return len(self.paying.latencies) / (self.adding.seconds + self.paying.seconds)


def sell(target: Target, buyers: Sequence[Buyer], clients: int) -> Sold:
    """Have the buyers fill their carts, then pay; each is asked once.

    Raises: RuntimeError for errors and refusals.
    """
    before, began = target.cpu(), time.perf_counter()
    halves = [
        send(target.port, requests, connections=clients, seconds=LONG_SECONDS, most=len(requests), wanted=wanted)
        for requests, wanted in (([each.add for each in buyers], IN_CART), ([each.pay for each in buyers], PAID))
    ]
    # What a purchase leaves to be done behind its answer belongs to it.
    time.sleep(0.5)
    passed, after = time.perf_counter() - began, target.cpu()
    for half in halves:
        if half.errors or half.refused or len(half.latencies) != len(buyers):
            raise RuntimeError(f"{half.errors} errors, statuses {half.statuses}, of {len(buyers)}")
    used = [now - then - idle * passed for now, then, idle in zip(after, before, target.idle, strict=True)]
    server_ms, database_ms = (1000 * each / len(buyers) for each in used)
    return Sold(halves[0], halves[1], server_ms, database_ms)


def purchases(server: Agora, bazaar: Bazaar, number: int) -> list[Figure]:
    """Sell in rounds, and look whether every purchase became a paid order."""
    target = Target("Agora", server.port, lambda: [psutil.Process(server.pid)], lambda: server.postgres)
    sell(target, bazaar.buyers(WARM_UP), MANY)
    target.settle()
    many = [sell(target, bazaar.buyers(number), MANY) for _ in range(ROUNDS)]
    alone = sell(target, bazaar.buyers(number // 4), SINGLE)
    expected = WARM_UP + ROUNDS * number + number // 4
    made, paid, _ = asyncio.run(ask_database(bazaar, ORDERS, "good-%"))
    server_ms, database_ms = (statistics.median(getattr(each, name) for each in many) for name in CPU)
    bank_ms = asyncio.run(cpu_of_a_charge(server.home, number))
    return [
        Figure("paid orders missing", abs(expected - paid) + abs(expected - made), "", 0, note=f"of {expected:,}"),
        Figure(
            "CPU of a purchase", server_ms - bank_ms + database_ms, "ms", 15.0,
            note=f"server {server_ms - bank_ms:.1f}, PostgreSQL {database_ms:.1f}",
        ),
        Figure("  with the sandbox bank", server_ms + database_ms, "ms", note=f"the bank by itself {bank_ms:.2f}"),
        Figure("purchases per second, one server", statistics.median(each.per_second for each in many), "/s", 60.0, at_least=True),
        Figure("checkout at 16 clients, p50", _latency(many, 0.5), "ms"),
        Figure("checkout at 16 clients, p99", _latency(many, 0.99), "ms", 300.0),
        Figure("checkout at 1 client, p50", percentile(alone.paying.latencies, 0.5), "ms"),
        Figure("checkout at 1 client, p99", percentile(alone.paying.latencies, 0.99), "ms"),
        Figure("two lines into a cart at 1 client, p50", percentile(alone.adding.latencies, 0.5), "ms"),
    ]  # fmt: skip


CPU = ("server_ms", "database_ms")


def _latency(rounds: Sequence[Sold], share: float) -> float:
    return statistics.median(percentile(each.paying.latencies, share) for each in rounds)


def statements(server: Agora, bazaar: Bazaar) -> list[Figure]:
    """Count what reaches PostgreSQL for one purchase after another, beside what opens and ends transactions."""
    buyers = bazaar.buyers(LOGGED)
    url = asyncpg_url(bazaar.settings.database_url)
    counted = []
    for requests in ([each.add for each in buyers], [each.pay for each in buyers]):
        with logged(server, url) as texts:
            send(server.port, requests, seconds=LONG_SECONDS, most=LOGGED)
            time.sleep(0.5)
        frames = sum(each.startswith(("BEGIN", "COMMIT", "ROLLBACK")) for each in texts)
        counted.append(((len(texts) - frames) / LOGGED, frames / LOGGED))
    (adding, adding_frames), (paying, paying_frames) = counted
    note = f"{adding:.1f} + {paying:.1f}; besides {adding_frames + paying_frames:.1f} BEGIN and COMMIT"
    return [Figure("SQL statements of a purchase", adding + paying, "", 25.0, note=note)]


def race(servers: Sequence[Agora], bazaar: Bazaar, repetitions: int) -> list[Figure]:
    """Let two hundred buyers want one of ten units at the same time, at four servers, again and again."""
    wrong, seconds = 0, []
    for number in range(repetitions):
        sku = f"scarce-{number}"
        asyncio.run(put_on_sale(bazaar, sku, UNITS))
        buyers = bazaar.buyers(CROWD, (sku,))
        _together(servers, [each.add for each in buyers])
        seconds.append(_together(servers, [each.pay for each in buyers]))
        made, paid, cancelled = asyncio.run(ask_database(bazaar, ORDERS, sku))
        shelf = tuple(asyncio.run(ask_database(bazaar, SHELF, sku)))
        (charged,) = asyncio.run(ask_database(bazaar, CHARGED, sku))
        fair = (made, paid, cancelled, charged) == (CROWD, UNITS, CROWD - UNITS, UNITS) and shelf == (UNITS, UNITS)
        wrong += not fair
        if not fair:
            print(f"  {sku}: {made} orders, {paid} paid, {cancelled} cancelled, {charged} charged, shelf {shelf}")
    note = f"{CROWD} buyers, {UNITS} units, {len(servers)} servers, {repetitions} times"
    return [
        Figure("races that did not end with exactly ten orders", wrong, "", 0, note=note),
        Figure("a race, from the first to the last answer", statistics.median(seconds), "s"),
    ]


def _together(servers: Sequence[Agora], requests: list[bytes]) -> float:
    share = len(requests) // len(servers)
    parts = [requests[at : at + share] for at in range(0, len(requests), share)]
    clients = [
        begin(server.port, part, connections=share, seconds=LONG_SECONDS, most=share)
        for server, part in zip(servers, parts, strict=True)
    ]
    runs = [finish(client) for client in clients]
    if any(run.errors or run.refused or len(run.latencies) != share for run in runs):
        raise RuntimeError(f"{[(run.errors, run.statuses) for run in runs]}")
    return max(run.seconds for run in runs)


def main() -> int:
    """Measure, and print the tables."""
    number = int(sys.argv[1]) if len(sys.argv) > 1 else PURCHASES
    repetitions = int(sys.argv[2]) if len(sys.argv) > 2 else RACES
    print(load(), flush=True)
    with tempfile.TemporaryDirectory(prefix="agora-checkout-") as home, ExitStack() as stack:
        # Without its worker the database does nothing but sell.
        server = stack.enter_context(Agora(Path(home), "--no-worker"))
        bazaar = asyncio.run(open_bazaar(server))
        figures = [*purchases(server, bazaar, number), *statements(server, bazaar)]
        print(report("Checkout", figures), flush=True)
        if repetitions:
            more = [stack.enter_context(attached(Path(home), place)) for place in range(1, SERVERS)]
            print(report("The last ten units", race([server, *more], bazaar, repetitions)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
