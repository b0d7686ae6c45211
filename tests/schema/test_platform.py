"""What administrators see of the platform, and that others do not."""

from uuid import UUID

from sqlalchemy import func, select

from data.dead_letters import Failure, Retries, event_retry
from data.declarations import declared, subscribers_of
from data.event_log import event_log
from data.transactions import SqlTransactions
from domain.kernel import Principal, Subscriptions, Work, uuid7
from tests.events import OpenTally, RaiseTally, open_tally, raise_tally

AUDIT = """
query ($filter: AuditFilterInput, $first: Int, $after: String) {
  auditLog(filter: $filter, first: $first, after: $after) {
    totalCount
    pageInfo { hasNextPage endCursor }
    nodes { name aggregateId aggregateType version data userId correlationId occurredAt }
  }
}
"""
STREAM = """
query ($id: ID!, $from: Int!) { eventStream(aggregateId: $id, fromVersion: $from) { nodes { version data } } }
"""
LETTERS = "{ deadLetters { nodes { id handler name attempts error requeuedAt } } }"
REQUEUE = """
mutation ($id: ID!) {
  requeueDeadLetter(input: {id: $id}) { __typename ... on DeadLetter { handler requeuedAt } ... on Error { code } }
}
"""
REPLAY = """
mutation ($projection: String!) {
  replayProjection(input: {projection: $projection}) { __typename ... on Replay { events } ... on Error { code } }
}
"""


async def buried(services, work: Work, tenant_id: UUID | None = None) -> None:
    envelope = {
        "event_id": str(uuid7()),
        "tenant_id": str(tenant_id or work.tenant_id),
        "aggregate_id": str(uuid7()),
        "sequence": 1,
        "name": "tally.raised",
    }
    failure = Failure(handler="example.on_raised", envelope=envelope, attempts=12, due_at=work.now, error="Poison()")
    async with services.database.session(None) as session:
        await Retries(session).bury(failure, work.now)


class TestTheAuditLog:
    async def test_shows_who_did_what_newest_first(self, graph, transactions: SqlTransactions, work: Work):
        tally = await transactions.run(open_tally, OpenTally(amount=2), work)
        await transactions.run(raise_tally, RaiseTally(id=tally.id, amount=5), work)
        answer = await graph(AUDIT)
        assert answer.errors == []
        assert answer.data["auditLog"]["totalCount"] == 2
        newest, oldest = answer.data["auditLog"]["nodes"]
        assert newest == {
            "name": "tally.raised",
            "aggregateId": str(tally.id),
            "aggregateType": "Tally",
            "version": 2,
            "data": {"tally_id": str(tally.id), "amount": 5},
            "userId": str(work.actor.user_id),
            "correlationId": "test",
            "occurredAt": "2026-03-14T15:09:26+00:00",
        }
        assert oldest["version"] == 1

    async def test_goes_on_after_a_cursor(self, graph, transactions: SqlTransactions, work: Work):
        tally = await transactions.run(open_tally, OpenTally(), work)
        await transactions.run(raise_tally, RaiseTally(id=tally.id, times=4), work)
        first = (await graph(AUDIT, {"first": 2})).data["auditLog"]
        assert [each["version"] for each in first["nodes"]] == [5, 4]
        assert first["pageInfo"]["hasNextPage"] is True
        rest = (await graph(AUDIT, {"first": 9, "after": first["pageInfo"]["endCursor"]})).data["auditLog"]
        assert [each["version"] for each in rest["nodes"]] == [3, 2, 1]

    async def test_narrows_to_what_is_asked_for(self, graph, transactions: SqlTransactions, work: Work):
        one = await transactions.run(open_tally, OpenTally(), work)
        await transactions.run(open_tally, OpenTally(), work)
        for wanted, found in (
            ({"aggregateId": str(one.id)}, 1),
            ({"context": "tally"}, 2),
            ({"context": "order"}, 0),
            ({"name": "tally.raised", "userId": str(work.actor.user_id)}, 2),
            ({"userId": str(uuid7())}, 0),
            ({"correlationId": "test"}, 2),
            ({"since": "2026-03-14T15:09:26Z", "until": "2026-03-14T15:09:27Z"}, 2),
            ({"until": "2026-03-14T15:09:26Z"}, 0),
        ):
            answer = await graph(AUDIT, {"filter": wanted})
            assert (answer.errors, answer.data["auditLog"]["totalCount"]) == ([], found), wanted

    async def test_shows_nothing_of_another_tenant(self, graph, transactions: SqlTransactions, work: Work, make_tenant):
        tally = await transactions.run(open_tally, OpenTally(), work)
        elsewhere = make_tenant()
        assert (await graph(AUDIT, tenant=elsewhere)).data["auditLog"]["nodes"] == []
        stream = await graph(STREAM, {"id": str(tally.id), "from": 1}, tenant=elsewhere)
        assert stream.data["eventStream"]["nodes"] == []

    async def test_is_closed_to_customers(self, graph):
        assert (await graph(AUDIT, principal=Principal(user_id=uuid7()))).codes == ["FORBIDDEN"]
        assert (await graph(AUDIT, principal=None)).codes == ["UNAUTHENTICATED"]

    async def test_gives_one_aggregates_events_from_a_version_on(
        self, graph, transactions: SqlTransactions, work: Work
    ):
        tally = await transactions.run(open_tally, OpenTally(), work)
        await transactions.run(raise_tally, RaiseTally(id=tally.id, times=3), work)
        answer = await graph(STREAM, {"id": str(tally.id), "from": 3})
        assert [each["version"] for each in answer.data["eventStream"]["nodes"]] == [3, 4]
        assert answer.statements == 1


class TestDeadLetters:
    async def test_are_listed_and_requeued_once(self, graph, services, work: Work):
        await buried(services, work)
        [letter] = (await graph(LETTERS)).data["deadLetters"]["nodes"]
        assert (letter["handler"], letter["attempts"], letter["error"]) == ("example.on_raised", 12, "Poison()")
        answer = await graph(REQUEUE, {"id": letter["id"]})
        assert answer.data["requeueDeadLetter"]["handler"] == "example.on_raised"
        assert (await graph(LETTERS)).data["deadLetters"]["nodes"] == []
        again = await graph(REQUEUE, {"id": letter["id"]})
        assert again.data["requeueDeadLetter"] == {"__typename": "NotFound", "code": "NOT_FOUND"}

    async def test_of_another_tenant_do_not_exist(self, graph, services, work: Work, make_tenant):
        elsewhere = make_tenant()
        await buried(services, work, elsewhere)
        [letter] = (await graph(LETTERS, tenant=elsewhere)).data["deadLetters"]["nodes"]
        assert (await graph(LETTERS)).data["deadLetters"]["nodes"] == []
        answer = await graph(REQUEUE, {"id": letter["id"]})
        assert answer.data["requeueDeadLetter"] == {"__typename": "NotFound", "code": "NOT_FOUND"}
        [unchanged] = (await graph(LETTERS, tenant=elsewhere)).data["deadLetters"]["nodes"]
        assert unchanged["requeuedAt"] is None

    async def test_are_closed_to_customers(self, graph, services, work: Work):
        await buried(services, work)
        [letter] = (await graph(LETTERS)).data["deadLetters"]["nodes"]
        customer = Principal(user_id=uuid7())
        assert (await graph(LETTERS, principal=customer)).codes == ["FORBIDDEN"]
        assert (await graph(REQUEUE, {"id": letter["id"]}, principal=customer)).codes == ["FORBIDDEN"]
        assert len((await graph(LETTERS)).data["deadLetters"]["nodes"]) == 1


class TestAReplay:
    async def test_hands_a_projection_the_tenants_events_of_its_names(self, graph, services, work: Work):
        batch = [each for each in subscribers_of(declared(Subscriptions)) if each.batch]
        assert batch
        projection, names = batch[0].key, sorted(batch[0].names)
        values = {
            "tenant_id": work.tenant_id,
            "aggregate_type": "Example",
            "data": {},
            "metadata": {},
            "occurred_at": work.now,
        }
        async with services.database.session(work.tenant_id) as session:
            for name in (names[0], names[0], "tally.raised"):
                row = values | {"event_id": uuid7(), "aggregate_id": uuid7(), "version": 1, "name": name}
                await session.execute(event_log.insert().values(row))
        answer = await graph(REPLAY, {"projection": projection})
        assert answer.data["replayProjection"] == {"__typename": "Replay", "events": 2}
        async with services.database.session(work.tenant_id) as session:
            waiting = await session.execute(select(func.count()).select_from(event_retry))
            assert waiting.scalar_one() == 2
            await session.execute(event_retry.delete())

    async def test_refuses_a_handler_that_is_no_projection(self, graph):
        answer = await graph(REPLAY, {"projection": "identity.on_anything"})
        assert answer.data["replayProjection"] == {"__typename": "InvalidInput", "code": "INVALID_INPUT"}
