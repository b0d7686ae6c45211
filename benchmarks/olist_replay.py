"""Real orders once more: 4,049 of Olist's, with several sellers, freight and payments, bought through a running `agora serve`.

Every order goes through the public mutations: goods and freight into a cart, a checkout whose buyer agrees to exactly the
sum of the data, then the sellers' money is released where the data says delivered, and goes back where it says cancelled.
All accounts are compared with plain arithmetic; orders that cannot be bought, or were paid otherwise, are listed with reasons.
Run: python benchmarks/olist_replay.py [orders]
"""

import asyncio
import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from benchmarks._figures import Figure, load, report
from benchmarks._olist import FOLDER, Purchase, read, sample
from benchmarks._olist_market import Replay, market
from benchmarks._system import Agora


def figures(purchases: Sequence[Purchase], done: Replay) -> list[Figure]:
    """Give what came of it, beside what the data says."""
    usable = [each for each in purchases if not each.trouble]
    equal = sum(each.difference is None for each in usable)
    sellers = {seller for each in usable for seller in each.by_seller}
    several = sum(len(each.by_seller) > 1 for each in usable)
    fates = Counter(each.state for each in usable)
    fees = {name: done.balances.get(name, 0) for name in ("buyer_clearing", "provider_fees", "platform_fees")}
    held = sum(amount for account, amount in done.balances.items() if account.startswith("escrow:"))
    due = sum(amount for account, amount in done.balances.items() if account.startswith("seller_payable:"))
    return [
        Figure("orders bought again", len(done.bought), "", len(usable), at_least=True,
               note=f"of {len(purchases):,}, of {len(sellers):,} sellers; {several} of several sellers, {sum(each.by_transfer for each in usable)} by bank transfer"),
        Figure("sub-orders", done.sub_orders, "", sum(len(each.by_seller) for each in usable), at_least=True),
        Figure("totals that equal the payments of the data", done.equal, "", equal, at_least=True,
               note=f"{100 * done.equal / max(len(done.bought), 1):.2f} %; the data's own payments differ in {len(usable) - equal}"),
        Figure("orders whose data cannot be bought", len(done.refused), "", note="listed above"),
        Figure("what is not as it must be", len(done.wrong), "", 0, note="accounts, sub-orders, stock, postings"),
        Figure("money taken", done.total_minor / 100, "BRL", note=f"{fates['delivered']:,} released, {fates['canceled']} given back"),
        Figure("at the provider", fees["buyer_clearing"] / 100, "BRL", note=f"its fees {fees['provider_fees'] / 100:,.2f}"),
        Figure("in escrow", -held / 100, "BRL"),
        Figure("due to sellers", -due / 100, "BRL", note=f"commission {-fees['platform_fees'] / 100:,.2f}"),
        Figure("sum of all accounts", abs(sum(done.balances.values())), "", 0),
        Figure("orders per second", len(done.bought) / done.seconds, "/s", note=f"{done.seconds:.0f} s, server, worker and buyers together"),
    ]  # fmt: skip


def listing(done: Replay) -> str:
    """Name the orders that differ and those that were not bought, with the reasons; many of one reason are counted."""
    lines = [f"  {each}: {reason}" for each, reason in sorted(done.differing.items())]
    for reason, number in Counter(done.refused.values()).most_common():
        some = [each for each, why in done.refused.items() if why == reason][:3]
        lines.append(f"  {number} not bought, {reason}: {', '.join(some)}{' …' if number > len(some) else ''}")
    return "\n".join([*lines, *(f"  WRONG {each}" for each in done.wrong[:20])])


async def run(server: Agora, purchases: Sequence[Purchase]) -> Replay:
    """Open the marketplace and buy."""
    async with market(server, purchases) as opened:
        return await opened.replay(purchases)


def main() -> int:
    """Replay, and print what differs and the table."""
    if not FOLDER.is_dir():
        print(
            f"skipped: the orders are read from {FOLDER}, which is absent; AGORA_DATA names another place for all data"
        )
        return 0
    purchases = read()
    if len(sys.argv) > 1:
        purchases = sample(purchases, int(sys.argv[1]))
    print(load(), flush=True)
    with tempfile.TemporaryDirectory(prefix="agora-olist-") as home, Agora(Path(home)) as server:
        done = asyncio.run(run(server, purchases))
    print(listing(done))
    print(report("Olist's orders once more", figures(purchases, done)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
