"""Sagas on a real database: each step once, whatever dies on the way, and everything undone after a refusal."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Protocol
from uuid import UUID

import pytest

from data.database import Database
from data.sagas import SagaHolds
from data.transactions import SqlTransactions
from domain.codec import fingerprint
from domain.kernel import DomainError, IdempotencyKeyReused, NotFound, Work, uuid7
from domain.sagas import (
    ENDED,
    Process,
    ProcessUnfinished,
    RetrySaga,
    Saga,
    SagaNotStuck,
    Sagas,
    SagaState,
    Step,
    TooLate,
    Waiting,
    retry_saga,
)
from server.sagas import Runner, SagaKeeper
from tests.conftest import NOW
from tests.events import RaiseTally, Tallies, Tally, eventually, raise_tally, running

POINTS = [
    *("example.open.uncommitted", "example.open.done", "example.charge.begin", "example.charge.done"),
    *("example.close.begin", "example.close.uncommitted", "example.close.done"),
]
UNDOING = ["example.charge.undo", "example.open.undo"]


class Died(BaseException):
    """The process that ran the saga is gone."""


@dataclass(eq=False)
class Declined(DomainError):
    reason: str
    template = "Declined: {reason}."


@dataclass
class Bank:
    """Something outside: it charges once per key, however often it is asked."""

    charged: dict[str, int] = field(default_factory=dict)
    asked: int = 0
    refusal: str | None = None
    closed: bool = False
    failures: int = 0


class Charges(Protocol):
    """The port of the bank."""


async def open_(saga: Saga, tallies: Tallies) -> None:
    tally = Tally(id=UUID(saga.data["tally"]), tenant_id=saga.tenant_id)
    tally.raise_by(1)
    tallies.add(tally)
    saga.data["opened"] = True


async def reopen(saga: Saga, tallies: Tallies) -> None:
    tally = await tallies.get(UUID(saga.data["tally"]))
    if tally is not None and tally.total == 1:
        tally.raise_by(100)


async def charge(saga: Saga, bank: Charges) -> None:
    assert isinstance(bank, Bank)
    bank.asked += 1
    if bank.closed:
        raise Waiting(NOW + timedelta(hours=1))
    if bank.failures:
        bank.failures -= 1
        raise OSError("the line is dead")
    if bank.refusal:
        raise Declined(reason=bank.refusal)
    bank.charged[str(saga.id)] = 1


async def give_back(saga: Saga, bank: Charges) -> None:
    assert isinstance(bank, Bank)
    bank.charged.pop(str(saga.id), None)


async def close(saga: Saga, tallies: Tallies) -> None:
    await raise_tally(RaiseTally(id=UUID(saga.data["tally"]), amount=10), tallies)


EXAMPLE = Process.of(
    "example",
    Step("open", open_, undo=reopen),
    Step("charge", charge, undo=give_back, outside=True),
    Step("close", close),
    refusals=(Declined,),
)


@dataclass
class Stage:
    transactions: SqlTransactions
    holds: SagaHolds
    work: Work
    bank: Bank = field(default_factory=Bank)

    def runner(self, crash_point: Callable[[str], None] | None = None, **options: Any) -> Runner:
        more = {"crash_point": crash_point} if crash_point else {}
        return Runner(self.transactions, self.holds, {Charges: self.bank}, [EXAMPLE], **more, **options)

    def saga(self, key: str = "k", request: str = "r") -> Saga:
        return Saga(
            tenant_id=self.work.tenant_id,
            kind="example",
            key=key,
            request_hash=fingerprint(request),
            user_id=self.work.actor.user_id,
            correlation_id="test",
            data={"tally": str(uuid7())},
            due_at=NOW,
            deadline=NOW + timedelta(days=3650),
            started_at=NOW,
        )

    async def total(self, saga: Saga) -> int | None:
        async def look(_: None, tallies: Tallies) -> Tally | None:
            return await tallies.get(UUID(saga.data["tally"]))

        look.__annotations__ |= {"tallies": Tallies}
        tally = await self.transactions.run(look, None, self.work)
        return None if tally is None else tally.total

    async def wake(self, saga: Saga) -> bool:
        async def look_again(_: None, sagas: Sagas) -> bool:
            return await sagas.wake(saga.id, NOW)

        look_again.__annotations__ |= {"sagas": Sagas}
        return await self.transactions.run(look_again, None, self.work)

    async def present(self, saga: Saga) -> Saga:
        return await self.runner()._present(saga)

    async def finish(self, saga: Saga) -> Saga:
        """Let a keeper bring the saga to an end, as if its holder had been silent for long enough."""
        for _ in range(20):
            for each in await self.holds.take_due(NOW + timedelta(days=400), 100):
                if each.id == saga.id:
                    await self.runner().take_up(each)
            found = await self.present(saga)
            if found.state in ENDED:
                return found
        raise AssertionError("it came to no end")


@pytest.fixture
def stage(transactions: SqlTransactions, database: Database, work: Work) -> Stage:
    return Stage(transactions, SagaHolds(database), work)


def dying_at(wanted: str) -> Callable[[str], None]:
    def crash(point: str) -> None:
        if point == wanted:
            raise Died

    return crash


class TestASaga:
    async def test_goes_through_its_steps(self, stage: Stage) -> None:
        saga = await stage.runner().start(EXAMPLE, stage.saga())
        assert (saga.state, saga.step, await stage.total(saga)) == (SagaState.DONE, 3, 11)
        assert stage.bank.charged == {str(saga.id): 1}
        stored = await stage.present(saga)
        assert (stored.state, stored.step, stored.data) == (SagaState.DONE, 3, saga.data)

    async def test_is_undone_after_a_refusal_which_its_caller_is_told(self, stage: Stage) -> None:
        stage.bank.refusal = "no money"
        saga = stage.saga()
        with pytest.raises(Declined, match="no money"):
            await stage.runner().start(EXAMPLE, saga)
        assert (await stage.present(saga)).state is SagaState.COMPENSATED
        assert (await stage.total(saga), stage.bank.charged) == (101, {})

    async def test_leaves_nothing_when_its_first_step_is_refused(self, stage: Stage) -> None:
        first = stage.saga("first")
        await stage.runner().start(EXAMPLE, first)
        again = stage.saga("second")
        again.data = dict(first.data)
        with pytest.raises(Exception, match=r"Tally|duplicate|modified|changed"):
            await stage.runner().start(EXAMPLE, again)
        assert await stage.present(again) is again

    @pytest.mark.parametrize("point", POINTS)
    async def test_is_done_once_by_somebody_else_when_its_runner_dies(self, stage: Stage, point: str) -> None:
        saga = stage.saga()
        with pytest.raises(Died):
            await stage.runner(dying_at(point)).start(EXAMPLE, saga)
        if point == "example.open.uncommitted":
            assert (await stage.total(saga), stage.bank.charged) == (None, {})
            saga = await stage.runner().start(EXAMPLE, saga)
        else:
            saga = await stage.finish(saga)
        assert (saga.state, await stage.total(saga), stage.bank.charged) == (SagaState.DONE, 11, {str(saga.id): 1})

    @pytest.mark.parametrize("point", UNDOING)
    async def test_is_undone_once_when_its_runner_dies_on_the_way_back(self, stage: Stage, point: str) -> None:
        stage.bank.refusal = "no money"
        saga = stage.saga()
        with pytest.raises(Died):
            await stage.runner(dying_at(point)).start(EXAMPLE, saga)
        found = await stage.finish(saga)
        assert (found.state, await stage.total(saga), stage.bank.charged) == (SagaState.COMPENSATED, 101, {})

    async def test_waits_for_somebody_outside_and_goes_on_when_woken(self, stage: Stage) -> None:
        stage.bank.closed = True
        saga = await stage.runner().start(EXAMPLE, stage.saga())
        assert (saga.state, await stage.total(saga)) == (SagaState.WAITING, 1)
        stage.bank.closed = False
        assert await stage.wake(saga)
        async with running(SagaKeeper(stage.runner(), stage.holds, poll_seconds=0.05).run):
            await eventually(lambda: _has(stage, saga, SagaState.DONE))
        assert await stage.total(saga) == 11

    async def test_goes_back_once_its_deadline_has_passed(self, stage: Stage) -> None:
        stage.bank.closed = True
        saga = stage.saga()
        saga.deadline = NOW + timedelta(hours=2)
        await stage.runner().start(EXAMPLE, saga)
        found = await stage.finish(saga)
        assert found.state is SagaState.COMPENSATED
        with pytest.raises(TooLate):
            await stage.runner().start(EXAMPLE, stage.saga())

    async def test_is_tried_again_after_an_unexpected_failure(self, stage: Stage) -> None:
        stage.bank.failures = 2
        saga = stage.saga()
        with pytest.raises(ProcessUnfinished):
            await stage.runner().start(EXAMPLE, saga)
        assert (await stage.finish(saga)).state is SagaState.DONE
        assert (await stage.total(saga), stage.bank.asked) == (11, 3)

    async def test_is_left_to_a_person_after_too_many_failures_who_may_have_it_tried_again(self, stage: Stage) -> None:
        stage.bank.failures = 1_000
        saga = stage.saga()
        with pytest.raises(ProcessUnfinished):
            await stage.runner().start(EXAMPLE, saga)
        assert (await stage.finish(saga)).state is SagaState.STUCK
        stage.bank.failures = 0
        await stage.transactions.run(retry_saga, RetrySaga(id=saga.id), stage.work)
        assert (await stage.finish(saga)).state is SagaState.DONE

    async def test_cannot_be_tried_again_unless_it_was_given_up(self, stage: Stage) -> None:
        saga = await stage.runner().start(EXAMPLE, stage.saga())
        with pytest.raises(SagaNotStuck):
            await stage.transactions.run(retry_saga, RetrySaga(id=saga.id), stage.work)
        with pytest.raises(NotFound):
            await stage.transactions.run(retry_saga, RetrySaga(id=uuid7()), stage.work)


class TestAKey:
    async def test_gives_the_same_saga_again(self, stage: Stage) -> None:
        first = await stage.runner().start(EXAMPLE, stage.saga())
        again = await stage.runner().start(EXAMPLE, stage.saga())
        assert (again.id, again.state, stage.bank.asked) == (first.id, SagaState.DONE, 1)

    async def test_gives_the_same_refusal_again(self, stage: Stage) -> None:
        stage.bank.refusal = "no money"
        for _ in range(2):
            with pytest.raises(Declined, match="no money"):
                await stage.runner().start(EXAMPLE, stage.saga())
        assert stage.bank.asked == 1

    async def test_is_refused_for_another_request(self, stage: Stage) -> None:
        await stage.runner().start(EXAMPLE, stage.saga())
        with pytest.raises(IdempotencyKeyReused):
            await stage.runner().start(EXAMPLE, stage.saga(request="another"))

    async def test_starts_one_saga_in_a_race(self, stage: Stage) -> None:
        made = await asyncio.gather(*(stage.runner().start(EXAMPLE, stage.saga()) for _ in range(12)))
        assert len({saga.id for saga in made}) == 1
        assert (await stage.total(made[0]), stage.bank.asked) == (11, 1)

    async def test_of_one_that_two_keepers_have_taken_up_is_still_done_once(self, stage: Stage) -> None:
        saga = stage.saga()
        with pytest.raises(Died):
            await stage.runner(dying_at("example.open.done")).start(EXAMPLE, saga)
        held = await stage.present(saga)
        copies = [await stage.present(held) for _ in range(5)]
        await asyncio.gather(*(stage.runner().take_up(each) for each in copies))
        assert (await stage.present(saga)).state is SagaState.DONE
        assert await stage.total(saga) == 11


async def _has(stage: Stage, saga: Saga, state: SagaState) -> bool:
    return (await stage.present(saga)).state is state
