"""The rules of live sessions, without any engine."""

from datetime import timedelta
from typing import Any

import pytest

from domain.kernel import InvalidInput, InvalidStateTransition, NotFound, Work, uuid7
from domain.live import (
    LINES_A_MINUTE,
    LIVE_STATES,
    AlreadyBeingPrepared,
    Chatter,
    FlashSaleRunning,
    LiveChatMessage,
    LiveSession,
    LiveSessionStatus,
    ShownProduct,
    Stream,
    StudioSlotOver,
    TooManyMessages,
    ViewerBanned,
)
from domain.live.texts import clean_line
from domain.topics import topics_of
from tests.conftest import NOW

MUG, CUP = (ShownProduct(product_id=uuid7(), sku=sku) for sku in ("mug", "cup"))
STREAM = Stream(ingest_url="rtmp://host/live", ingest_key="secret", playback_url="http://host/live/1.m3u8")


def session(**more: Any) -> LiveSession:
    given = {"title": "Mugs", "host_id": uuid7(), "studio_id": uuid7(), "scheduled_for": NOW, "currency": "CAD"}
    return LiveSession(tenant_id=uuid7(), **(given | {"products": (MUG, CUP)} | more))


def ready(work: Work) -> LiveSession:
    made = session()
    made.schedule(work)
    preparation = uuid7()
    made.begin_preparation(preparation, NOW + timedelta(hours=2))
    made.make_ready(preparation, STREAM, "sealed")
    return made


def on_air(work: Work) -> LiveSession:
    made = ready(work)
    made.go_live(work)
    return made


def names(made: LiveSession) -> list[str]:
    return [each.event.name for each in made.release_events()]


class TestScheduling:
    @pytest.mark.parametrize(
        "wrong",
        [
            {"title": ""}, {"title": "x" * 121}, {"title": "a\nb"}, {"products": ()}, {"products": (MUG, MUG)},
            {"products": tuple(ShownProduct(product_id=uuid7(), sku=str(n)) for n in range(51))},
            {"scheduled_for": NOW - timedelta(hours=2)},
        ],
    )  # fmt: skip
    def test_refuses_what_makes_no_session(self, work: Work, wrong: dict[str, Any]) -> None:
        made = session(**wrong)
        with pytest.raises(InvalidInput):
            made.schedule(work)
        assert made.release_events() == []


class TestTheStates:
    def test_are_those_of_the_specification(self) -> None:
        drawn = LIVE_STATES.mermaid().splitlines()[2:]
        assert [each.strip() for each in drawn] == [
            "scheduled --> cancelled", "scheduled --> ready", "ready --> cancelled", "ready --> live", "live --> ended",
        ]  # fmt: skip

    def test_lead_from_the_announcement_to_the_end(self, work: Work) -> None:
        made = on_air(work)
        made.end(work)
        assert (made.status, made.ingest_sealed, made.ingest_url) == (LiveSessionStatus.ENDED, None, None)
        assert names(made) == [
            "live.session_scheduled", "live.preparation_begun", "live.session_ready", "live.started", "live.ended",
        ]  # fmt: skip

    def test_allow_one_preparation_at_a_time(self, work: Work) -> None:
        made = session()
        made.schedule(work)
        first, second = uuid7(), uuid7()
        made.begin_preparation(first, NOW + timedelta(hours=2))
        with pytest.raises(AlreadyBeingPrepared):
            made.begin_preparation(second, NOW + timedelta(hours=2))
        assert not made.give_up_preparation(second)
        assert made.give_up_preparation(first)
        made.begin_preparation(second, NOW + timedelta(hours=2))

    def test_refuse_a_preparation_that_was_overtaken(self, work: Work) -> None:
        made = session()
        made.schedule(work)
        made.begin_preparation(uuid7(), NOW + timedelta(hours=2))
        with pytest.raises(InvalidStateTransition):
            made.make_ready(uuid7(), STREAM, "sealed")
        made.cancel(None)
        with pytest.raises(InvalidStateTransition):
            made.make_ready(made.preparation_id or uuid7(), STREAM, "sealed")

    def test_let_nobody_go_live_when_the_studio_is_not_booked_any_more(self, work: Work) -> None:
        made = ready(work)
        made.slot_ends_at = NOW
        with pytest.raises(StudioSlotOver):
            made.go_live(work)
        assert made.status is LiveSessionStatus.READY


class TestShowing:
    def test_pins_one_of_its_products_and_tells_it_once(self, work: Work) -> None:
        made = on_air(work)
        made.release_events()
        for _ in range(2):
            made.pin(MUG.product_id)
        made.pin(None)
        assert names(made) == ["live.product_pinned", "live.product_pinned"]
        with pytest.raises(NotFound):
            made.pin(uuid7())

    def test_sells_only_what_it_shows_one_sale_at_a_time_while_it_is_live(self, work: Work) -> None:
        with pytest.raises(InvalidStateTransition):
            ready(work).expect_sale(["mug"])
        made, sale = on_air(work), uuid7()
        with pytest.raises(NotFound):
            made.expect_sale(["mug", "jug"])
        made.expect_sale(["mug"])
        made.start_sale(sale, "Now", NOW)
        with pytest.raises(FlashSaleRunning):
            made.expect_sale(["mug"])
        made.end_sale(uuid7())
        assert made.flash_sale_id == sale
        made.end_sale(sale)
        made.expect_sale(["mug"])

    def test_tells_no_secret(self, work: Work) -> None:
        told = [str(each.event) for each in on_air(work).release_events()]
        assert not any("secret" in each or "sealed" in each for each in told)


class TestSales:
    def test_add_up_and_are_taken_back(self, work: Work) -> None:
        made, order = on_air(work), uuid7()
        made.count_sales(order, 1, 1250)
        made.count_sales(order, 0, 0)
        made.count_sales(order, 0, -250)
        assert (made.sales_count, made.revenue_minor) == (1, 1000)
        made.count_sales(order, -1, -1000)
        assert (made.sales_count, made.revenue_minor) == (0, 0)
        assert names(made).count("live.sales_changed") == 3

    def test_count_for_orders_that_were_placed_while_it_was_live(self, work: Work) -> None:
        made = on_air(work)
        assert made.took_place_at(NOW)
        assert not made.took_place_at(NOW - timedelta(seconds=1))
        made.end(work)
        assert not made.took_place_at(NOW + timedelta(seconds=1))


class TestAChatter:
    def chatter(self, **more: Any) -> Chatter:
        given = {"status": LiveSessionStatus.LIVE, "session_id": uuid7(), "user_id": uuid7(), "host_id": uuid7()}
        return Chatter(**(given | more))

    def test_writes_twenty_lines_in_any_minute(self) -> None:
        chatter = self.chatter()
        for second in range(LINES_A_MINUTE):
            chatter.send(NOW + timedelta(seconds=second))
        with pytest.raises(TooManyMessages) as refused:
            chatter.send(NOW + timedelta(seconds=50))
        assert (refused.value.retry_after_seconds, len(chatter.sent)) == (10, LINES_A_MINUTE)
        chatter.send(NOW + timedelta(seconds=60))
        with pytest.raises(TooManyMessages):
            chatter.send(NOW + timedelta(seconds=60))

    def test_writes_nothing_once_banned_or_where_the_session_is_over(self) -> None:
        with pytest.raises(ViewerBanned):
            self.chatter(banned_at=NOW).send(NOW)
        for status in (LiveSessionStatus.SCHEDULED, LiveSessionStatus.ENDED, LiveSessionStatus.CANCELLED):
            with pytest.raises(InvalidStateTransition):
                self.chatter(status=status).send(NOW)

    def test_writes_lines_that_say_all_that_is_shown_of_them(self, work: Work) -> None:
        chatter = self.chatter()
        message = LiveChatMessage.of(chatter, "Vera", " Hello ", work)
        (told,) = message.release_events()
        assert (told.event.body, told.event.author_name, told.event.is_host) == ("Hello", "Vera", False)


class TestALine:
    @pytest.mark.parametrize("text", ["hello", "你好", "👩‍👩‍👧 ok", "a" * 10, "שלום", "<script>"])
    def test_is_any_text(self, text: str) -> None:
        assert clean_line("body", f" {text} ", 10) == text

    @pytest.mark.parametrize("text", ["", " ", "a" * 11, "a\tb", "a\rb", "a\u2028b", "\u202ea", "a\u2066b", "\x1b[0m"])
    def test_is_nothing_else(self, text: str) -> None:
        with pytest.raises(InvalidInput):
            clean_line("body", text, 10)


class TestTopics:
    def test_lead_each_event_to_those_who_follow_it(self) -> None:
        made = uuid7()
        assert topics_of("live.started", made, {}) == [f"live:{made}"]
        assert topics_of("live.product_pinned", made, {}) == [f"live-pin:{made}", f"live:{made}"]
        assert topics_of("live.flash_sale_ended", made, {}) == [f"live-sale:{made}", f"live:{made}"]
        assert topics_of("live.chat_posted", uuid7(), {"session_id": str(made)}) == [f"live-chat:{made}"]
        assert topics_of("live.viewer_banned", made, {"session_id": str(made)}) == [f"live-chat:{made}"]
        assert topics_of("live.preparation_begun", made, {}) == []
