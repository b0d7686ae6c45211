"""The desk where stock is reserved: requests that wait at the same time are served by one transaction.

Buyers of one hot SKU would otherwise queue for its row, each holding it for several round trips and a flush to disk.
Here a shelf is in one transaction at a time, and whoever comes meanwhile is served by the next one, together.
"""

import asyncio
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

import structlog
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncSession

from data.database import Database
from data.inventory.book import SqlReservations
from data.jobs import SqlJobQueue
from data.transactions import SqlTransactions
from domain.inventory import EXPIRY, Reservation, ReserveStock, Shelf, StockChanges, reserve, reserve_stock
from domain.kernel import SYSTEM, DomainError, TenantReadOnly, Unavailable, Work

log = structlog.get_logger(__name__)

LARGEST_GROUP = 256
GROUPS_AT_ONCE = 3
# How far one looks past requests for busy shelves.
LONGEST_LOOK = 4 * LARGEST_GROUP
TIMER_SECONDS = 60

Timers = set[tuple[UUID, datetime]]


@dataclass(eq=False)
class Request:
    """One buyer's wish, and where they wait for what becomes of it."""

    command: ReserveStock
    work: Work
    answer: asyncio.Future[None]
    shelves: frozenset[Shelf] = field(init=False)

    def __post_init__(self) -> None:
        self.shelves = frozenset(claim.shelf for claim in self.command.claims)

    def settle(self, refusal: BaseException | None) -> None:
        """Answer, unless the buyer has gone."""
        if self.answer.done():
            return
        if refusal is None:
            self.answer.set_result(None)
        else:
            self.answer.set_exception(refusal)


@dataclass(eq=False)
class Counter:
    """The requests of one tenant: those who wait, and the shelves that are being served."""

    waiting: deque[Request] = field(default_factory=deque)
    busy: set[Shelf] = field(default_factory=set)
    groups: int = 0
    is_opening: bool = False

    @property
    def is_idle(self) -> bool:
        return not (self.waiting or self.groups or self.is_opening)

    def next_group(self) -> list[Request]:
        """Take those who can be served now, first come first served on every shelf."""
        group: list[Request] = []
        passed: list[Request] = []
        blocked = set(self.busy)
        while self.waiting and len(group) < LARGEST_GROUP and len(passed) < LONGEST_LOOK:
            request = self.waiting.popleft()
            if request.answer.done():
                continue
            if request.shelves.isdisjoint(blocked):
                group.append(request)
            else:
                passed.append(request)
                blocked |= request.shelves
        self.waiting.extendleft(reversed(passed))
        return group


class GroupedStockDesk:
    """Groups what waits; implements the domain's `StockDesk`, one for each process."""

    def __init__(self, database: Database) -> None:
        self._transactions = SqlTransactions(database)
        self._counters: dict[UUID, Counter] = {}
        self._serving: set[asyncio.Task[None]] = set()
        self._timers: Timers = set()
        self.groups_served = 0

    async def reserve(self, command: ReserveStock, work: Work) -> None:
        """Wait for the group that serves this request."""
        counter = self._counters.setdefault(work.tenant_id, Counter())
        request = Request(command, work, asyncio.get_running_loop().create_future())
        counter.waiting.append(request)
        self._call(work.tenant_id, counter)
        await request.answer

    async def close(self) -> None:
        """Wait until everybody who came has been served."""
        while self._serving or self._counters:
            await asyncio.gather(*self._serving, return_exceptions=True)
            await asyncio.sleep(0)

    def _call(self, tenant_id: UUID, counter: Counter) -> None:
        """Open the counter at the end of this turn of the loop, so that all who come in it are served together."""
        if not counter.is_opening and counter.groups < GROUPS_AT_ONCE:
            counter.is_opening = True
            asyncio.get_running_loop().call_soon(self._open, tenant_id, counter)

    def _open(self, tenant_id: UUID, counter: Counter) -> None:
        counter.is_opening = False
        while counter.groups < GROUPS_AT_ONCE and (group := counter.next_group()):
            counter.groups += 1
            counter.busy.update(*(request.shelves for request in group))
            task = asyncio.create_task(self._serve(tenant_id, counter, group))
            self._serving.add(task)
            task.add_done_callback(self._serving.discard)
        if counter.is_idle:
            self._counters.pop(tenant_id, None)

    async def _serve(self, tenant_id: UUID, counter: Counter, group: Sequence[Request]) -> None:
        try:
            await self._serve_together(group)
        except Exception as error:
            log.exception("stock.group_lost", requests=len(group))
            for request in group:
                request.settle(error)
        finally:
            for request in group:
                # Only whoever ends the process leaves somebody without an answer.
                request.answer.cancel()
            self.groups_served += 1
            counter.groups -= 1
            counter.busy.difference_update(*(request.shelves for request in group))
            self._open(tenant_id, counter)

    async def _serve_together(self, group: Sequence[Request]) -> None:
        # The group acts for many; every event names whom it is about.
        work = replace(group[0].work, actor=SYSTEM)
        answers: dict[Request, DomainError | None] = {}
        timers: Timers = set()

        async def steps(session: AsyncSession, writable: bool) -> None:
            if not writable:
                raise TenantReadOnly(tenant_id=str(work.tenant_id))
            answers.clear()
            timers.clear()
            timers.update(await self._reserve(session, group, answers))

        try:
            await self._transactions.transaction(steps, work)
        except (DomainError, SQLAlchemyError) as error:
            await self._after_failure(group, error)
            return
        self._remember(timers, work.now)
        for request, refusal in answers.items():
            request.settle(refusal)

    async def _reserve(
        self, session: AsyncSession, group: Sequence[Request], answers: dict[Request, DomainError | None]
    ) -> Timers:
        """Serve the group in the order in which they came; gives the timers that it has set."""
        book = SqlReservations(session)
        shelves = sorted(frozenset().union(*(request.shelves for request in group)))
        changes = StockChanges(await book.lock_shelves(shelves))
        known = dict(await book.of_orders([request.command.order_id for request in group]))
        for request in group:
            command = request.command
            try:
                known[command.order_id] = reserve(command, request.work, known.get(command.order_id, ()), changes)
                answers[request] = None
            except DomainError as refusal:
                answers[request] = refusal
        if not changes.made:
            return set()
        await book.write(changes)
        timers = {_timer(each) for each in changes.made} - self._timers
        for _, at in sorted(timers):
            await SqlJobQueue(session).defer(EXPIRY, {}, at=at, key=at.isoformat())
        return timers

    def _remember(self, timers: Timers, now: datetime) -> None:
        if timers:
            self._timers = {each for each in self._timers if each[1] > now} | timers

    async def _after_failure(self, group: Sequence[Request], error: Exception) -> None:
        """Serve one by one, so that whoever brought what cannot be stored is refused alone."""
        if len(group) == 1 or _concerns_all(error):
            for request in group:
                request.settle(error)
            return
        log.warning("stock.group_failed", requests=len(group), error=type(error).__name__)
        for request in group:
            try:
                await self._transactions.run(reserve_stock, request.command, request.work)
            except Exception as own:  # noqa: BLE001 — it is handed to the one who asked.
                request.settle(own)
            else:
                request.settle(None)


def _concerns_all(error: Exception) -> bool:
    return isinstance(error, TenantReadOnly | Unavailable)


def _timer(reservation: Reservation) -> tuple[UUID, datetime]:
    """Give the full minute after which a reservation has ended: all that end in it share one job."""
    ends = reservation.expires_at or reservation.reserved_at
    rest = ends.timestamp() % TIMER_SECONDS
    whole = ends.astimezone(UTC) + timedelta(seconds=(TIMER_SECONDS - rest) % TIMER_SECONDS)
    return reservation.tenant_id, whole.replace(microsecond=0)
