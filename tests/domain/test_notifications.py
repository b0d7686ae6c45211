"""The rules of notifications: who is left alone when, what is wanted, and what becomes of a message."""

from collections.abc import Sequence
from datetime import UTC, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from domain.kernel import InvalidInput, InvalidStateTransition, uuid7
from domain.notifications import (
    KINDS,
    MOST_ATTEMPTS,
    Addressee,
    Channel,
    CommunicationPreferences,
    HoldReason,
    Kind,
    MessageCategory,
    MessageTemplate,
    Notification,
    NotificationState,
    PushServices,
    PushSlots,
    QuietHours,
    Receipt,
    SetDoNotDisturb,
    Source,
    UpsertTemplate,
    chain,
    message_to,
    own_source,
    source_of,
    wanted_by_default,
)
from domain.notifications.queueing import link_of
from domain.notifications.texts import built_in, languages

NOW = datetime(2026, 3, 14, 15, 0, tzinfo=UTC)
TENANT = uuid7()
TORONTO = ZoneInfo("America/Toronto")
_E, _S, _P, _A = Channel.EMAIL, Channel.SMS, Channel.PUSH, Channel.IN_APP
MINUTE = timedelta(minutes=1)


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


class TestQuietHours:
    NIGHT = QuietHours(time(22), time(7), TORONTO)

    @pytest.mark.parametrize(
        ("now", "until"),
        [
            ("2026-01-10 02:59", None),  # 21:59
            ("2026-01-10 03:00", "2026-01-10 12:00"),  # 22:00
            ("2026-01-10 11:59:59", "2026-01-10 12:00"),
            ("2026-01-10 12:00", None),  # 07:00
        ],
    )
    def test_go_over_midnight(self, now: str, until: str | None) -> None:
        assert self.NIGHT.until(at(now)) == (at(until) if until else None)

    def test_lie_within_a_day_too(self) -> None:
        noon = QuietHours(time(12), time(13, 30), TORONTO)
        assert noon.until(at("2026-07-01 16:10")) == at("2026-07-01 17:30")
        assert noon.until(at("2026-07-01 17:30")) is None

    def test_are_an_hour_shorter_in_the_night_when_clocks_go_forward(self) -> None:
        # 8 March 2026: after 01:59 EST (06:59 UTC) comes 03:00 EDT.
        assert self.NIGHT.until(at("2026-03-08 03:00")) == at("2026-03-08 11:00")

    def test_end_with_the_leap_where_their_end_is_leapt_over(self) -> None:
        hours = QuietHours(time(22), time(2, 30), TORONTO)
        assert hours.until(at("2026-03-08 06:59:59")) == at("2026-03-08 07:00")
        assert hours.until(at("2026-03-08 07:00")) is None

    def test_begin_with_the_leap_where_their_beginning_is_leapt_over(self) -> None:
        hours = QuietHours(time(2, 30), time(5), TORONTO)
        assert hours.until(at("2026-03-08 06:59:59")) is None
        assert hours.until(at("2026-03-08 07:00")) == at("2026-03-08 09:00")

    def test_last_through_both_of_an_hour_that_comes_twice(self) -> None:
        # 1 November 2026: 01:00–02:00 EDT (05:00–06:00 UTC) comes again as EST (06:00–07:00 UTC).
        hours = QuietHours(time(22), time(1, 30), TORONTO)
        for moment in ("2026-11-01 05:10", "2026-11-01 05:45", "2026-11-01 06:10"):
            assert hours.until(at(moment)) == at("2026-11-01 06:30")
        assert hours.until(at("2026-11-01 06:30")) is None

    def test_know_zones_whose_clocks_move_by_half_an_hour(self) -> None:
        # Lord Howe, 4 October 2026: 02:00 +10:30 becomes 02:30 +11.
        hours = QuietHours(time(22), time(2, 15), ZoneInfo("Australia/Lord_Howe"))
        assert hours.until(at("2026-10-03 15:29:59")) == at("2026-10-03 15:30")
        assert hours.until(at("2026-10-03 15:30")) is None


class TestPushSlots:
    def test_give_so_many_in_any_minute(self) -> None:
        slots = PushSlots(user_id=uuid7())
        seconds = [0, 30, 59]
        assert [slots.take(NOW + timedelta(seconds=each), 3) for each in seconds] == [None] * 3
        assert slots.take(NOW + timedelta(seconds=59.5), 3) == NOW + MINUTE
        assert slots.take(NOW + MINUTE, 3) is None
        assert slots.take(NOW + timedelta(seconds=61), 3) == NOW + timedelta(seconds=90)
        assert len(slots.sent_at) == 3


class TestPreferences:
    def preferences(self) -> CommunicationPreferences:
        return CommunicationPreferences(tenant_id=TENANT, user_id=uuid7())

    def test_ask_for_consent_before_anything_is_advertised(self) -> None:
        matrix = {
            (category, channel): wanted_by_default(channel, category)
            for category in MessageCategory
            for channel in Channel
        }
        wanted = {place for place, is_wanted in matrix.items() if is_wanted}
        own = {(MessageCategory.TRANSACTIONAL, channel) for channel in Channel}
        assert wanted == own | {(MessageCategory.ALERTS, each) for each in (_E, _P, _A)}

    def test_remember_when_something_was_chosen(self) -> None:
        own = self.preferences()
        own.choose(_E, MessageCategory.PROMOTIONAL, NOW, wanted=True)
        own.choose(_E, MessageCategory.PROMOTIONAL, NOW + MINUTE, wanted=False)
        assert not own.wants(_E, MessageCategory.PROMOTIONAL)
        assert own.choices["promotional.email"] == {
            "is_opted_in": False,
            "opted_in_at": NOW.isoformat(),
            "opted_out_at": (NOW + MINUTE).isoformat(),
        }

    def test_keep_letters_about_ones_own_orders(self) -> None:
        own = self.preferences()
        with pytest.raises(InvalidInput):
            own.choose(_E, MessageCategory.TRANSACTIONAL, NOW, wanted=False)
        assert own.choices == {}
        assert own.release_events() == []

    @pytest.mark.parametrize(
        "command",
        [
            SetDoNotDisturb(begin="22:00"),
            SetDoNotDisturb(begin="22:00", end="22:00"),
            SetDoNotDisturb(begin="24:00", end="07:00"),
            SetDoNotDisturb(begin="22:00", end="07:00", timezone="Mars/Olympus"),
            SetDoNotDisturb(begin="22:00", end="07:00", timezone="../../etc/passwd"),
        ],
    )
    def test_refuse_hours_that_are_none(self, command: SetDoNotDisturb) -> None:
        own = self.preferences()
        with pytest.raises(InvalidInput):
            own.set_quiet(command)
        assert own.quiet == {}

    def test_use_the_tenants_clock_where_nothing_else_is_said(self) -> None:
        own = self.preferences()
        own.set_quiet(SetDoNotDisturb(begin="22:00", end="07:00"))
        hours = own.quiet_hours("Europe/Paris")
        assert hours is not None
        assert hours.zone.key == "Europe/Paris"
        own.set_quiet(SetDoNotDisturb())
        assert own.quiet_hours("Europe/Paris") is None


def notification(channel: Channel = _E, **more: Any) -> Notification:
    person = Addressee(user_id=uuid7(), name="Ann", locale="en", timezone="UTC", reachable={channel: "ann@example.com"})
    work: Any = type("Work", (), {"tenant_id": TENANT, "now": NOW})
    made = message_to(person, channel, KINDS["order_shipped"], "e1", {"order_id": "o1"}, work)
    for name, value in more.items():
        setattr(made, name, value)
    return made


class TestANotification:
    def test_is_one_of_an_occasion_a_person_and_a_channel(self) -> None:
        made = notification()
        assert made.key == f"e1:{made.user_id}:email"
        assert (made.link, made.state, made.due_at) == ("/orders/o1", NotificationState.QUEUED, NOW)

    def test_is_tried_again_after_pauses_that_grow_until_it_is_given_up(self) -> None:
        made, now, pauses = notification(), NOW, []
        for _ in range(MOST_ATTEMPTS):
            made.begin(now)
            made.miss("451 later", now)
            if made.due_at is not None:
                pauses.append(int((made.due_at - now).total_seconds() / 60))
        assert pauses == [1, 4, 16, 64, 256]
        assert (made.state, made.due_at, made.error) == (NotificationState.FAILED, None, "451 later")
        assert [each.event.name for each in made.release_events()] == ["notification.failed"]

    def test_is_sent_and_arrives(self) -> None:
        made = notification(_A)
        made.begin(NOW)
        made.be_sent(Receipt(delivered=True), NOW)
        assert (made.state, made.due_at, made.attempts) == (NotificationState.DELIVERED, None, 1)
        assert [each.event.name for each in made.release_events()] == ["notification.sent", "notification.delivered"]

    def test_comes_back_for_good_or_for_the_moment(self) -> None:
        for permanent, state in ((True, NotificationState.BOUNCED), (False, NotificationState.RETRYING)):
            made = notification()
            made.begin(NOW)
            made.be_sent(Receipt(), NOW)
            made.bounce("mailbox full", NOW, permanent=permanent)
            assert (made.state, made.due_at) == (state, None if permanent else NOW + MINUTE)

    def test_does_not_come_back_before_it_went(self) -> None:
        made = notification()
        with pytest.raises(InvalidStateTransition):
            made.bounce("mailbox full", NOW, permanent=True)
        assert made.state is NotificationState.QUEUED

    def test_waits_again_when_whoever_sent_it_died(self) -> None:
        made = notification(_P)
        made.begin(NOW)
        made.hold(NOW + MINUTE, HoldReason.BATCHING)
        assert (made.state, made.attempts, made.due_at) == (NotificationState.HELD, 1, NOW + MINUTE)

    def test_leads_nowhere_where_its_place_is_not_known(self) -> None:
        kind = Kind(code="a", category=MessageCategory.ALERTS, channels=(_A,), link="/orders/{order_id}", example={})
        assert link_of(kind, {"order_id": "o1"}) == "/orders/o1"
        assert link_of(kind, {"order_id": ""}) is None
        assert link_of(kind, {}) is None


class Written:
    """Templates of a tenant, in memory."""

    def __init__(self, *templates: MessageTemplate) -> None:
        self.templates = templates

    async def candidates(self, code: str, channel: Channel, locales: Sequence[str]) -> Sequence[MessageTemplate]:
        return [
            each for each in self.templates if (each.code, each.channel) == (code, channel) and each.locale in locales
        ]


def template(locale: str, subject: str) -> MessageTemplate:
    return MessageTemplate(tenant_id=TENANT, code="welcome", channel=_E, locale=locale, subject=subject, text="")


class TestTexts:
    def test_are_there_for_every_kind_in_every_language(self) -> None:
        assert languages() == ["en", "fr", "ru"]
        missing = [(code, locale) for code in KINDS for locale in languages() if built_in(code, locale) is None]
        assert missing == []

    def test_fall_back_from_the_special_to_the_general_and_to_our_own(self) -> None:
        assert chain("fr-CA", "ru") == ["fr-CA", "fr", "ru", "en"]

    async def test_of_a_tenant_go_before_ours_of_the_same_language_only(self) -> None:
        written: Any = Written(template("en", "Hi"), template("fr", "Salut"))
        for locale, subject in (("fr-CA", "Salut"), ("ru", "Добро пожаловать в {{ shop }}"), ("de", "Hi")):
            found = await source_of("welcome", _E, [locale], written)
            assert found is not None
            assert found.subject == subject

    async def test_of_kinds_that_nobody_wrote_are_none(self) -> None:
        nothing: Any = Written()
        assert await source_of("unheard_of", _E, ["en"], nothing) is None

    def test_are_short_where_there_is_little_room(self) -> None:
        letter, push = own_source("order_shipped", _E, "en"), own_source("order_shipped", _P, "en")
        assert letter is not None
        assert push is not None
        assert letter.text.startswith("Hello {{ name }}")
        assert push.text.startswith("Order {{ number }}")


class TestUpsertTemplate:
    def command(self, **more: Any) -> UpsertTemplate:
        given = {"code": "welcome", "channel": _E, "locale": "en", "subject": "Hi", "text": "Hello"}
        return UpsertTemplate(**{**given, **more})

    def test_lets_our_kinds_speak_of_what_they_know(self) -> None:
        assert self.command(code="low_stock").source() == Source(
            subject="Hi", text="Hello", variables=("available", "name", "shop", "sku")
        )

    @pytest.mark.parametrize(
        "wrong",
        [
            {"code": "Welcome"},
            {"locale": "english!"},
            {"channel": _S, "html": "<p>"},
            {"subject": "x" * 501},
            {"text": "\0"},
            {"variables": ("password",)},
            {"code": "own", "variables": ("__class__",)},
        ],
    )
    def test_refuses_what_has_no_shape(self, wrong: dict[str, Any]) -> None:
        with pytest.raises(InvalidInput):
            self.command(**wrong).source()


class TestPushServices:
    @pytest.mark.parametrize(
        "endpoint",
        [
            "http://fcm.googleapis.com/x",
            "https://fcm.googleapis.com.evil.example/x",
            "https://user@fcm.googleapis.com/x",
            "https://fcm.googleapis.com:8443/x",
            "https://127.0.0.1/x",
            "https://notify.windows.com.example/x",
            "https://[::1/x",
            "fcm.googleapis.com",
        ],
    )
    def test_are_none_that_just_anybody_names(self, endpoint: str) -> None:
        with pytest.raises(InvalidInput):
            PushServices().accept(endpoint)

    def test_are_those_of_browsers(self) -> None:
        for endpoint in ("https://fcm.googleapis.com/fcm/send/x", "https://wns2.notify.windows.com/w/?token=x"):
            assert PushServices().accept(endpoint) == endpoint
