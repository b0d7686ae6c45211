"""Watching live sessions: chat, reactions, viewers and sales, as they reach those who follow."""

import asyncio
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import event

from domain.kernel import NOBODY, Principal, uuid7
from domain.live import LINES_A_MINUTE, LiveRooms, RoomBooks, RoomPage, ViewerBanned, pin_topic, sale_topic
from domain.topics import TopicHub
from tests.events import eventually
from tests.schema.live_sessions import BAN, CHAT, REACT, STUDIO, Stage, step

UPDATED = """subscription($id: ID!) { liveSessionUpdated(id: $id) {
  cursor sessionId status viewers salesCount revenue { amountMinor } } }"""
HEARD = """subscription($id: ID!, $after: String) { liveChatReceived(id: $id, after: $after) {
  cursor excludedUserId message { body authorName isHost } } }"""
PINNED = "subscription($id: ID!) { pinnedProductChanged(id: $id) { sku product { id name } } }"
SALE = """subscription($id: ID!) { liveFlashSale(id: $id) {
  isRunning endsAt flashSale { name items { sku stockLimit price { amountMinor } } } } }"""
FELT = "subscription($id: ID!) { liveReactions(id: $id) { totals { kind count } } }"
START_SALE = """mutation($input: StartLiveFlashSaleInput!) { startLiveFlashSale(input: $input) {
  __typename ... on LiveSession { flashSale { id liveSessionId state } } ... on Error { code message } } }"""
REPORT = """query($id: ID!) { liveSessionReport(id: $id) { uniqueViewers peakViewers chatMessages buyers conversion
  reactions { kind count } products { sku units revenue { amountMinor } } } }"""
LINES = "query($id: ID!) { liveChat(sessionId: $id) { nodes { body authorName } } }"


@pytest.fixture
async def stage(graph: Any, services: Any, tenant_id: UUID, admin: Principal, goods: Any) -> Stage:
    made = Stage(graph, services, tenant_id, admin, goods)
    made.studio = (await made.ask(STUDIO, name="Red room"))["id"]
    await made.stock(5)
    return made


class TestChat:
    async def test_is_written_under_the_name_of_its_author(self, stage: Stage) -> None:
        session, vera = await stage.on_air(), await stage.viewer("Vera")
        said = await stage.ask(CHAT, vera, id=session, body="  Hello <b>all</b> 👋🏽  ")
        assert (said["body"], said["authorName"], said["isHost"]) == ("Hello <b>all</b> 👋🏽", "Vera", False)
        listed = await stage.ask(LINES, NOBODY, id=session)
        assert listed["nodes"] == [{"body": "Hello <b>all</b> 👋🏽", "authorName": "Vera"}]

    async def test_takes_three_statements_once_its_author_is_known(self, stage: Stage) -> None:
        session, vera = await stage.on_air(), await stage.viewer()
        await stage.ask(CHAT, vera, id=session, body="one")
        statements: list[str] = []
        engine = stage.services.database.engine.sync_engine

        def count(_c: Any, _k: Any, statement: str, *_: Any) -> None:
            statements.append(statement)

        event.listen(engine, "before_cursor_execute", count)
        try:
            await stage.ask(CHAT, vera, id=session, body="two")
        finally:
            event.remove(engine, "before_cursor_execute", count)
        assert len([each for each in statements if "platform.enter" not in each]) == 3, statements

    @pytest.mark.parametrize("body", ["", "   ", "x" * 301, "two\nlines", "bell\x07", "\u202egnp.exe", "nul\x00"])
    async def test_refuses_what_is_no_line_of_text(self, stage: Stage, body: str) -> None:
        session, vera = await stage.on_air(), await stage.viewer()
        assert (await stage.ask(CHAT, vera, id=session, body=body))["code"] == "INVALID_INPUT"
        assert await stage.rows("SELECT 1 FROM live.chatter") == []

    async def test_lets_nobody_write_more_than_others_can_read_also_at_once(self, stage: Stage) -> None:
        session, vera = await stage.on_air(), await stage.viewer()
        bodies = [f"line {number}" for number in range(LINES_A_MINUTE + 6)]
        answers = await asyncio.gather(*(stage.ask(CHAT, vera, id=session, body=each) for each in bodies))
        kinds = [each["__typename"] for each in answers]
        assert (kinds.count("LiveChatMessage"), kinds.count("TooManyMessages")) == (LINES_A_MINUTE, 6)
        assert len(await stage.rows("SELECT 1 FROM live.chat_message")) == LINES_A_MINUTE
        wait = next(each["retryAfterSeconds"] for each in answers if "retryAfterSeconds" in each)
        assert 1 <= wait <= 60

    async def test_is_closed_before_and_after_the_session(self, stage: Stage) -> None:
        vera, session = await stage.viewer(), await stage.scheduled()
        assert (await stage.ask(CHAT, vera, id=session, body="early"))["code"] == "INVALID_STATE_TRANSITION"
        assert (await stage.ask(CHAT, vera, id=str(uuid7()), body="where"))["code"] == "NOT_FOUND"
        assert await stage.rows("SELECT 1 FROM live.chat_message") == []


class TestABan:
    async def test_refuses_messages_and_is_the_hosts_or_a_moderators_to_say(self, stage: Stage) -> None:
        session, vera, eve = await stage.on_air(), await stage.viewer("Vera"), await stage.viewer("Eve")
        assert (await stage.ask(BAN, vera, id=session, user=str(eve.user_id)))["code"] == "NOT_FOUND"
        assert (await stage.ask(CHAT, eve, id=session, body="still here"))["__typename"] == "LiveChatMessage"
        for _ in range(2):
            assert (await stage.ask(BAN, id=session, user=str(eve.user_id)))["__typename"] == "LiveSession"
        assert (await stage.ask(CHAT, eve, id=session, body="again"))["__typename"] == "ViewerBanned"
        banned = (
            "SELECT 1 FROM platform.event_log WHERE tenant_id = platform.tenant_id() AND name = 'live.viewer_banned'"
        )
        assert len(await stage.rows(banned)) == 1
        assert (await stage.ask(BAN, id=session, user=str(stage.host.user_id)))["code"] == "INVALID_INPUT"

    @pytest.mark.usefixtures("relay")
    async def test_ends_the_chat_of_the_banned_and_nobody_elses(self, stage: Stage, supergraph: Any) -> None:
        session, vera, eve = await stage.on_air(), await stage.viewer("Vera"), await stage.viewer("Eve")
        async with (
            stage.following(supergraph, HEARD, vera, id=session, after="0") as hers,
            stage.following(supergraph, HEARD, eve, id=session, after="0") as theirs,
        ):
            await stage.ask(CHAT, vera, id=session, body="one")
            assert [(await each.next())["message"]["body"] for each in (hers, theirs)] == ["one", "one"]
            await stage.ask(BAN, id=session, user=str(eve.user_id))
            with pytest.raises(ViewerBanned):
                await theirs.next()
            told = await hers.next()
            assert (told["message"], told["excludedUserId"]) == (None, str(eve.user_id))
            await stage.ask(CHAT, vera, id=session, body="two")
            assert (await hers.next())["message"]["body"] == "two"
        async with stage.following(supergraph, HEARD, eve, id=session) as again:
            with pytest.raises(ViewerBanned):
                await again.next()


@pytest.mark.usefixtures("relay")
class TestFollowing:
    async def test_tells_how_a_session_stands_at_first_and_whenever_that_changes(
        self, stage: Stage, supergraph: Any
    ) -> None:
        session = await stage.ready()
        async with stage.following(supergraph, UPDATED, id=session) as updates:
            first = await updates.next()
            assert (first["status"], first["viewers"], first["salesCount"]) == ("READY", 1, 0)
            listening = updates.begin()
            await stage.ask(step("goLive"), id=session)
            while (update := await listening)["status"] != "LIVE":
                listening = updates.begin()
            assert (update["sessionId"], update["revenue"]) == (session, {"amountMinor": 0})
            assert int(update["cursor"]) > 0

    async def test_tells_the_number_of_viewers_as_they_come_and_go(self, stage: Stage, supergraph: Any) -> None:
        session = await stage.on_air()
        async with stage.following(supergraph, UPDATED, id=session) as one:
            assert (await one.next())["viewers"] == 1
            async with stage.following(supergraph, UPDATED, id=session) as two:
                assert (await two.next())["viewers"] == 2
                while (await one.next())["viewers"] != 2:
                    pass
            while (await one.next())["viewers"] != 1:
                pass

    async def test_resumes_the_chat_after_a_cursor(self, stage: Stage, supergraph: Any) -> None:
        session, vera = await stage.on_air(), await stage.viewer()
        for body in ("one", "two", "three"):
            await stage.ask(CHAT, vera, id=session, body=body)
        async with stage.following(supergraph, HEARD, id=session, after="0") as chat:
            lines = [await chat.next() for _ in range(3)]
        assert [each["message"]["body"] for each in lines] == ["one", "two", "three"]
        async with stage.following(supergraph, HEARD, id=session, after=lines[0]["cursor"]) as chat:
            assert [(await chat.next())["message"]["body"] for _ in range(2)] == ["two", "three"]

    async def test_tells_of_pinned_products_and_flash_sales(self, stage: Stage, supergraph: Any) -> None:
        session, sku = await stage.on_air(), stage.goods.sku
        async with (
            stage.following(supergraph, PINNED, id=session) as pins,
            stage.following(supergraph, SALE, id=session) as sales,
        ):
            heard = asyncio.gather(pins.begin(), sales.begin())
            await eventually(lambda: _are_followed(stage, session))
            await stage.ask(step("pinProduct", f', productId: "{stage.goods.product}"'), id=session)
            item = {"sku": sku, "price": {"amountMinor": 900, "currency": "CAD"}, "stockLimit": 2}
            begun = await stage.ask(START_SALE, input={"sessionId": session, "items": [item], "name": "Last mugs"})
            assert begun["flashSale"]["liveSessionId"] == session
            pinned, sale = await heard
            assert pinned == {"sku": sku, "product": {"id": stage.goods.product, "name": "Mug"}}
            assert sale["isRunning"] is True
            assert sale["flashSale"]["items"] == [{"sku": sku, "stockLimit": 2, "price": {"amountMinor": 900}}]
            ended = sales.begin()
            await stage.ask(step("endLiveSession"), id=session)
            assert (await ended)["isRunning"] is False

    async def test_adds_reactions_up_and_tells_them_together(self, stage: Stage, supergraph: Any) -> None:
        session, vera = await stage.on_air(), await stage.viewer()
        async with stage.following(supergraph, FELT, id=session) as felt:
            assert {each["count"] for each in (await felt.next())["totals"]} == {0}
            listening = felt.begin()
            for kind in ("HEART", "HEART", "FIRE"):
                assert (await stage.ask(REACT, vera, id=session, kind=kind))["kind"] == kind
            while (counts := {each["kind"]: each["count"] for each in (await listening)["totals"]})["FIRE"] < 1:
                listening = felt.begin()
            assert (counts["HEART"], counts["FIRE"], counts["CLAP"]) == (2, 1, 0)

    async def test_counts_nothing_for_a_session_that_is_not_live(self, stage: Stage) -> None:
        session, vera = await stage.ready(), await stage.viewer()
        assert (await stage.ask(REACT, vera, id=session, kind="HEART"))["code"] == "INVALID_STATE_TRANSITION"
        rooms = stage.services.by_port[LiveRooms]
        assert await rooms.reactions(stage.tenant_id, UUID(session)) == {}


async def _are_followed(stage: Stage, session: str) -> bool:
    """Say whether this process hears of the session's pins and sales."""
    followed: Any = stage.services.by_port[TopicHub]._followers
    return {(stage.tenant_id, topic(session)) for topic in (pin_topic, sale_topic)} <= followed.keys()


class TestTheReport:
    async def test_says_what_the_session_came_to(self, stage: Stage) -> None:
        session, vera = await stage.on_air(), await stage.viewer()
        await stage.ask(CHAT, vera, id=session, body="one")
        books = stage.services.by_port[RoomBooks]
        page = RoomPage(
            tenant_id=stage.tenant_id, session_id=UUID(session), viewers={"user:1", "guest:2"}, peak=2,
            reactions={"heart": 3},
        )  # fmt: skip
        for _ in range(2):
            await books.keep([page])
        await books.keep([RoomPage(tenant_id=stage.tenant_id, session_id=UUID(session), viewers={"guest:3"}, peak=1)])
        report = await stage.ask(REPORT, id=session)
        assert report.pop("reactions")[0] == {"kind": "HEART", "count": 3}
        assert report == {
            "uniqueViewers": 3, "peakViewers": 2, "chatMessages": 1, "buyers": 0, "conversion": 0.0, "products": [],
        }  # fmt: skip

    async def test_is_for_whoever_runs_the_session(self, stage: Stage) -> None:
        session, vera = await stage.on_air(), await stage.viewer()
        assert (await stage.graph(REPORT, {"id": session}, principal=vera)).codes == ["FORBIDDEN"]


class TestAFlashSale:
    @pytest.mark.parametrize(
        ("wrong", "code"),
        [
            ({"durationSeconds": 1}, "INVALID_INPUT"),
            (
                {"items": [{"sku": "none", "price": {"amountMinor": 1, "currency": "CAD"}, "stockLimit": 1}]},
                "NOT_FOUND",
            ),
            ({"items": []}, "INVALID_INPUT"),
        ],
    )
    async def test_refuses_what_makes_no_sale_and_starts_none(
        self, stage: Stage, wrong: dict[str, Any], code: str
    ) -> None:
        session = await stage.on_air()
        item = {"sku": stage.goods.sku, "price": {"amountMinor": 900, "currency": "CAD"}, "stockLimit": 2}
        refused = await stage.ask(START_SALE, input={"sessionId": session, "items": [item]} | wrong)
        assert refused["code"] == code
        assert await stage.rows("SELECT 1 FROM pricing.flash_sale") == []

    async def test_is_one_at_a_time_and_only_while_the_session_is_live(self, stage: Stage) -> None:
        session = await stage.ready()
        item = {"sku": stage.goods.sku, "price": {"amountMinor": 900, "currency": "CAD"}, "stockLimit": 2}
        wanted = {"sessionId": session, "items": [item]}
        assert (await stage.ask(START_SALE, input=wanted))["code"] == "INVALID_STATE_TRANSITION"
        await stage.ask(step("goLive"), id=session)
        assert (await stage.ask(START_SALE, input=wanted))["__typename"] == "LiveSession"
        assert (await stage.ask(START_SALE, input=wanted))["code"] == "FLASH_SALE_RUNNING"
        await stage.ask(step("endLiveSession"), id=session)
        (sale,) = await stage.rows("SELECT state, live_session_id FROM pricing.flash_sale")
        assert (sale.state, str(sale.live_session_id)) == ("cancelled", session)
