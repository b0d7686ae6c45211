"""Live sessions in the graph: announced, prepared all or nothing, run by their hosts, and given back at their end."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from domain.identity.roles import PRESETS
from domain.kernel import NOBODY, Principal, uuid7
from domain.live import StreamingPlatform, StreamUse
from tests.schema.live_sessions import FIELDS, SCHEDULE, SESSION, START, STUDIO, Stage, step

LEVEL = "query($store: ID!, $sku: String!) { stockLevel(storeId: $store, sku: $sku) { onHand reserved available } }"
INGEST = "query($id: ID!) { liveSession(id: $id) { ingest { url key } } }"
AVAILABILITY = """query($since: DateTime!, $until: DateTime!) { studioAvailability(since: $since, until: $until) {
  studio { name } isFree bookings { sessionId startsAt endsAt } } }"""
EVENTS = """SELECT name, data::text AS data FROM platform.event_log
  WHERE tenant_id = platform.tenant_id() AND name LIKE 'live.%' ORDER BY sequence"""


@pytest.fixture
async def stage(graph: Any, services: Any, tenant_id: UUID, admin: Principal, goods: Any) -> Stage:
    made = Stage(graph, services, tenant_id, admin, goods)
    made.studio = (await made.ask(STUDIO, name="Red room"))["id"]
    await made.stock(5)
    return made


async def level(stage: Stage) -> Any:
    return await stage.ask(LEVEL, store=stage.goods.store, sku=stage.goods.sku)


async def bookings(stage: Stage) -> Any:
    now = datetime.now(UTC)
    span = {"since": (now - timedelta(hours=1)).isoformat(), "until": (now + timedelta(hours=3)).isoformat()}
    (studio,) = await stage.ask(AVAILABILITY, **span)
    return studio


class TestAStudio:
    async def test_is_made_once_under_a_name(self, stage: Stage) -> None:
        again = await stage.ask(STUDIO, name="Red room")
        assert again == {"__typename": "AlreadyExists", "code": "ALREADY_EXISTS", "message": again["message"]}
        assert len(await stage.rows("SELECT 1 FROM live.studio")) == 1

    async def test_is_for_managers_to_make(self, stage: Stage) -> None:
        host = replace(stage.host, permissions=PRESETS["host"])
        answer = await stage.graph(STUDIO, {"name": "Blue room"}, principal=host)
        assert answer.codes == ["FORBIDDEN"]

    async def test_is_taken_for_two_hours_by_a_preparation(self, stage: Stage) -> None:
        assert (await bookings(stage))["isFree"] is True
        session = await stage.ready()
        taken = await bookings(stage)
        (booking,) = taken["bookings"]
        assert (taken["isFree"], booking["sessionId"]) == (False, session)
        since, until = (datetime.fromisoformat(booking[name]) for name in ("startsAt", "endsAt"))
        assert until - since == timedelta(hours=2)

    async def test_goes_to_exactly_one_of_many_who_prepare_at_once(self, stage: Stage) -> None:
        sessions = [await stage.scheduled() for _ in range(8)]
        answers = await asyncio.gather(*(stage.ask(START, id=each, key="k") for each in sessions))
        kinds = sorted(each["__typename"] for each in answers)
        assert kinds == ["LiveSession", *["StudioTaken"] * 7]
        assert len(await stage.rows("SELECT 1 FROM live.studio_booking")) == 1
        assert await level(stage) == {"onHand": 5, "reserved": 1, "available": 4}

    async def test_is_read_with_all_bookings_in_two_statements(self, stage: Stage) -> None:
        for number in range(3):
            await stage.ask(STUDIO, name=f"Room {number}")
        now = datetime.now(UTC)
        span = {"since": now.isoformat(), "until": (now + timedelta(hours=3)).isoformat()}
        answer = await stage.graph(AVAILABILITY, span)
        assert (len(answer.data["studioAvailability"]), answer.statements) == (4, 2)


class TestScheduling:
    async def test_refuses_goods_that_are_not_the_hosts_to_show(self, stage: Stage) -> None:
        stranger = replace(stage.host, user_id=uuid7(), permissions=PRESETS["seller"])
        given = {
            "title": "Not mine", "studioId": stage.studio, "scheduledFor": datetime.now(UTC).isoformat(),
            "skus": [stage.goods.sku],
        }  # fmt: skip
        refused = await stage.ask(SCHEDULE, stranger, input=given)
        assert refused["code"] == "NOT_FOUND"
        at_the_store = replace(stranger, store_ids=frozenset({UUID(stage.goods.store)}))
        assert (await stage.ask(SCHEDULE, at_the_store, input=given))["code"] == "NOT_FOUND"
        assert await stage.rows("SELECT 1 FROM live.session") == []

    async def test_refuses_what_makes_no_session(self, stage: Stage) -> None:
        for wrong in (
            {"title": "two\nlines"}, {"title": " "}, {"skus": []}, {"skus": ["none"]}, {"studioId": str(uuid7())},
            {"scheduledFor": "2020-01-01T00:00:00Z"},
        ):  # fmt: skip
            given = {
                "title": "Mugs", "studioId": stage.studio, "scheduledFor": datetime.now(UTC).isoformat(),
                "skus": [stage.goods.sku],
            }  # fmt: skip
            refused = await stage.ask(SCHEDULE, input=given | wrong)
            assert refused["code"] in {"INVALID_INPUT", "NOT_FOUND"}, wrong
        assert await stage.rows("SELECT 1 FROM live.session") == []

    async def test_lists_sessions_in_one_statement(self, stage: Stage) -> None:
        for _ in range(3):
            await stage.scheduled()
        listed = "{ liveSessions(status: SCHEDULED) { nodes { id title status products { sku } scheduledFor } } }"
        answer = await stage.graph(listed, principal=NOBODY)
        nodes = answer.data["liveSessions"]["nodes"]
        assert (len(nodes), nodes[0]["products"], answer.statements) == (3, [{"sku": stage.goods.sku}], 1)


class TestPreparing:
    async def test_holds_a_unit_of_what_is_shown_for_display(self, stage: Stage) -> None:
        await stage.ready()
        assert await level(stage) == {"onHand": 5, "reserved": 1, "available": 4}
        held = await stage.rows("SELECT purpose, quantity FROM inventory.reservation WHERE state = 'active'")
        assert [tuple(each) for each in held] == [("display", 1)]

    async def test_takes_nothing_where_something_shown_is_out_of_stock(self, stage: Stage) -> None:
        session = await stage.scheduled(skus=[stage.goods.sku, stage.goods.variant_sku])
        refused = await stage.ask(START, id=session, key="k")
        assert (refused["__typename"], refused["code"]) == ("InsufficientStock", "INSUFFICIENT_STOCK")
        assert (await stage.ask(SESSION, id=session))["status"] == "SCHEDULED"
        assert (await bookings(stage))["isFree"] is True
        assert await level(stage) == {"onHand": 5, "reserved": 0, "available": 5}
        await stage.stock(1, stage.goods.variant_sku)
        assert (await stage.ask(START, id=session, key="again"))["status"] == "READY"

    async def test_answers_the_same_under_the_same_key(self, stage: Stage) -> None:
        session = await stage.scheduled()
        first, again = [await stage.ask(START, id=session, key="k") for _ in range(2)]
        assert first == again
        assert (await level(stage))["reserved"] == 1

    async def test_of_one_session_happens_once_in_a_race(self, stage: Stage) -> None:
        session = await stage.scheduled()
        answers = await asyncio.gather(*(stage.ask(START, id=session, key=f"k{n}") for n in range(6)))
        assert sorted(each["__typename"] for each in answers).count("LiveSession") == 1
        assert {each["__typename"] for each in answers} <= {
            "LiveSession", "AlreadyBeingPrepared", "InvalidStateTransition", "StudioTaken",
        }  # fmt: skip
        assert (await level(stage))["reserved"] == 1

    async def test_is_the_hosts_own_business(self, stage: Stage) -> None:
        session = await stage.scheduled()
        other = replace(stage.host, user_id=uuid7(), permissions=PRESETS["seller"])
        unseen = await stage.ask(START, other, id=str(uuid7()), key="k")
        refused = await stage.ask(START, other, id=session, key="k")
        assert (refused["code"], unseen["code"]) == ("NOT_FOUND", "NOT_FOUND")
        for name in ("goLive", "endLiveSession", "cancelLiveSession", "pinProduct"):
            assert (await stage.ask(step(name), other, id=session))["code"] == "NOT_FOUND"
        assert (await stage.ask(SESSION, id=session))["status"] == "SCHEDULED"


class TestTheStreamKey:
    async def test_opens_the_stream_while_the_session_is_open(self, stage: Stage) -> None:
        platform = stage.services.by_port[StreamingPlatform]
        session = await stage.ready()
        name, _, key = (await stage.ask(INGEST, id=session))["ingest"]["key"].partition("?key=")
        assert name == session
        assert await platform.allows(name, key, StreamUse.PUBLISH)
        assert await platform.allows(name, "", StreamUse.PLAY)
        other = await stage.scheduled()
        for wrong in (key[:-2] + "AA", key[:20], "", "é"):
            assert not await platform.allows(name, wrong, StreamUse.PUBLISH)
        assert not await platform.allows(other, key, StreamUse.PUBLISH)
        assert not await platform.allows("nothing", key, StreamUse.PLAY)
        await stage.ask(step("goLive"), id=session)
        assert await platform.allows(name, key, StreamUse.PUBLISH)
        await stage.ask(step("endLiveSession"), id=session)
        assert not await platform.allows(name, key, StreamUse.PUBLISH)
        assert not await platform.allows(name, "", StreamUse.PLAY)
        assert (await stage.ask(INGEST, id=session))["ingest"] is None

    async def test_is_shown_to_whoever_runs_the_session_only(self, stage: Stage) -> None:
        session = await stage.ready()
        for who, code in ((NOBODY, "UNAUTHENTICATED"), (await stage.viewer(), "FORBIDDEN")):
            answer = await stage.graph(INGEST, {"id": session}, principal=who)
            assert (answer.codes, answer.data["liveSession"]["ingest"]) == ([code], None)

    async def test_stands_in_clear_nowhere(self, stage: Stage) -> None:
        session = await stage.ready()
        key = (await stage.ask(INGEST, id=session))["ingest"]["key"].partition("?key=")[2]
        written = [
            *await stage.rows("SELECT s::text FROM live.session s"),
            *await stage.rows("SELECT e::text FROM platform.event_log e WHERE tenant_id = platform.tenant_id()"),
            *await stage.rows("SELECT s::text FROM platform.saga s WHERE tenant_id = platform.tenant_id()"),
        ]
        assert len(written) > 3
        assert not any(key in row[0] for row in written)


class TestASession:
    async def test_goes_its_way_and_gives_everything_back(self, stage: Stage) -> None:
        session = await stage.on_air()
        pinned = await stage.ask(
            f"""mutation($id: ID!, $product: ID!) {{
              pinProduct(input: {{sessionId: $id, productId: $product}}) {{ {FIELDS} }} }}""",
            id=session, product=stage.goods.product,
        )  # fmt: skip
        assert pinned["pinnedProduct"] == {"id": stage.goods.product}
        ended = await stage.ask(step("endLiveSession"), id=session)
        assert (ended["status"], ended["pinnedProduct"]) == ("ENDED", None)
        assert await level(stage) == {"onHand": 5, "reserved": 0, "available": 5}
        assert (await stage.ready()) != session
        names = [row.name for row in await stage.rows(EVENTS)]
        assert names[:8] == [
            "live.studio_created", "live.session_scheduled", "live.preparation_begun", "live.session_ready",
            "live.started", "live.product_pinned", "live.ended", "live.session_scheduled",
        ]  # fmt: skip

    async def test_gives_back_what_was_prepared_when_it_is_cancelled(self, stage: Stage) -> None:
        session = await stage.ready()
        cancelled = await stage.ask(step("cancelLiveSession", ', reason: "ill"'), id=session)
        assert cancelled["status"] == "CANCELLED"
        assert await level(stage) == {"onHand": 5, "reserved": 0, "available": 5}
        assert await stage.ready()

    @pytest.mark.parametrize(
        ("way", "refused"),
        [
            ("scheduled", ("goLive", "endLiveSession")),
            ("ready", ("endLiveSession",)),
            ("on_air", ("goLive", "cancelLiveSession")),
        ],
    )
    async def test_makes_no_step_that_its_states_do_not_have(
        self, stage: Stage, way: str, refused: tuple[str, ...]
    ) -> None:
        session = await getattr(stage, way)()
        before = await stage.ask(SESSION, id=session)
        for name in refused:
            answer = await stage.ask(step(name), id=session)
            assert answer["__typename"] == "InvalidStateTransition", name
        assert await stage.ask(SESSION, id=session) == before

    async def test_pins_only_what_it_shows_and_only_while_it_is_open(self, stage: Stage) -> None:
        session = await stage.ready()
        pin = f"""mutation($id: ID!, $product: ID) {{
          pinProduct(input: {{sessionId: $id, productId: $product}}) {{ {FIELDS} }} }}"""
        assert (await stage.ask(pin, id=session, product=str(uuid7())))["code"] == "NOT_FOUND"
        assert (await stage.ask(pin, id=session, product=stage.goods.product))["pinnedProduct"]
        assert (await stage.ask(pin, id=session, product=None))["pinnedProduct"] is None
        await stage.ask(step("cancelLiveSession"), id=session)
        assert (await stage.ask(pin, id=session, product=stage.goods.product))["code"] == "INVALID_STATE_TRANSITION"
