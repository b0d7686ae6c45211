"""Sending, on the real database: once, in time, not too often, and whoever dies meanwhile."""

import asyncio
import re
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import func, select

from data.database import Database
from data.identity.factor_tables import one_time_code
from data.notifications.tables import broadcast, communication_analytics, inbox, notification
from data.transactions import SqlTransactions
from domain import notifications as domain
from domain.catalog import CreateProduct, create_product
from domain.identity.codes import OtpPurpose, RequestCode, request_code
from domain.identity.factors import Secrets
from domain.identity.guarding import DeviceTokens
from domain.identity.profile import Profile
from domain.identity.sessions import AccessPolicy
from domain.identity.users import User, Users
from domain.jobs import JobQueue
from domain.kernel import Envelope, Principal, Work, uuid7
from domain.money import Money
from domain.notifications import (
    LEASE,
    BeginSending,
    BroadcastTextInput,
    Channel,
    ChooseChannel,
    CreateBroadcast,
    FinishSending,
    MessageCategory,
    NotSent,
    PushServices,
    RegisterPushSubscription,
    SendBroadcast,
    SenderIdentity,
    SendNotification,
    SetDoNotDisturb,
    TemplateEngine,
    Unsubscribe,
    UnsubscribeTokens,
    UpdateCommunicationPreferences,
)
from domain.processes import broadcasting, notifying, recovering
from server.identity.keys import KeyedSecrets, SignedDeviceTokens
from server.notifications.dispatch import Dispatcher
from server.notifications.templating import JinjaTemplates
from tests.events import eventually, running
from tests.notifications import KEYS, TOKENS, Carrier, OwnDue, add_user

VAULT = KeyedSecrets(b"c" * 32, b"d" * 32)


class Post:
    """A tenant's post office with a clock of its own."""

    def __init__(self, database: Database, work: Work) -> None:
        self.database, self.work = database, work
        self.transactions = SqlTransactions(
            database,
            {
                TemplateEngine: JinjaTemplates(),
                PushServices: PushServices(),
                UnsubscribeTokens: TOKENS,
                Secrets: VAULT,
                DeviceTokens: SignedDeviceTokens(b"e" * 32),
                AccessPolicy: AccessPolicy(),
            },
        )
        self.carriers = {channel: Carrier() for channel in Channel}
        self.now = work.now
        self.dispatcher = self.another()

    def another(self) -> Dispatcher:
        return Dispatcher(
            self.transactions,
            OwnDue(self.database, self.work.tenant_id),
            self.carriers,
            JinjaTemplates(),
            TOKENS,
            SenderIdentity(name="Harbour", address="shop@harbour.example", url="https://harbour.example"),
            VAULT.decrypt,
            now=lambda: self.now,
            poll_seconds=0.02,
        )

    async def run(self, handler: Any, command: Any, user: UUID | None = None) -> Any:
        actor = Principal(user_id=user, tenant_id=self.work.tenant_id) if user else self.work.actor
        return await self.transactions.run(handler, command, replace(self.work, now=self.now, actor=actor))

    async def person(self, email: str = "", *, browser: bool = False, **told: Any) -> UUID:
        user = User.register(email or f"{uuid7().hex}@example.com", "hash", Profile(**told), self.work)
        await self.run(add_user, user)
        if browser:
            endpoint = f"https://fcm.googleapis.com/{user.id}"
            await self.run(
                domain.register_push_subscription, RegisterPushSubscription(endpoint=endpoint, **KEYS), user.id
            )
        return user.id

    async def hear(
        self, name: str, data: Mapping[str, Any], handler: Any = notifying.tell_people, **more: Any
    ) -> Envelope:
        envelope = Envelope(
            event_id=uuid7(),
            name=name,
            tenant_id=self.work.tenant_id,
            aggregate_id=uuid7(),
            aggregate_type="Any",
            version=1,
            data=data,
            occurred_at=self.now,
            correlation_id="test",
        )
        envelope = replace(envelope, **more)
        await self.run(handler, envelope)
        return envelope

    async def ask_for(self, email: str, *, by_link: bool = False) -> None:
        """Ask for a code or a link, and let whoever sends it hear of it."""
        wanted = RequestCode(email=email, purpose=OtpPurpose.PASSWORD_RESET, by_link=by_link)
        await self.run(request_code, wanted)
        async with self.database.session(self.work.tenant_id) as session:
            (code_id,) = await session.scalars(select(one_time_code.c.id))
        await self.hear("identity.code_requested", {}, recovering.send_code, aggregate_id=code_id)

    async def write_to(self, user: UUID, times: int = 1) -> None:
        """Let somebody get so many chat messages."""
        for number in range(times):
            data = {
                "recipients": [str(user)],
                "sender_id": str(uuid7()),
                "conversation_id": "c",
                "body": f"{number}",
            }
            await self.hear("message.sent", data)

    async def rows(self, *columns: str, **wanted: Any) -> list[tuple[Any, ...]]:
        chosen = [notification.c[name] for name in columns]
        async with self.database.session(self.work.tenant_id) as session:
            found = select(*chosen).filter_by(**wanted).order_by(notification.c.id)
            return [tuple(row) for row in await session.execute(found)]

    async def counted(self) -> dict[str, int]:
        names = ("sent", "delivered", "bounced", "failed", "unsubscribed")
        async with self.database.session(self.work.tenant_id) as session:
            sums = select(*(func.sum(communication_analytics.c[name]) for name in names))
            row = (await session.execute(sums)).one()
        return {name: int(count) for name, count in zip(names, row, strict=True) if count}


@pytest.fixture
def post(database: Database, work: Work) -> Post:
    return Post(database, work)


class TestACode:
    async def test_is_sealed_until_it_is_handed_over(self, post: Post) -> None:
        await post.person("ann@example.com", first_name="Ann")
        await post.ask_for("ann@example.com")
        ((data, subject, link),) = await post.rows("data", "subject", "link")
        assert await post.dispatcher.send_due() == 1
        (letter,) = post.carriers[Channel.EMAIL].messages
        found = re.search(r"your code is (\d{6})\. It is good for 10 minutes", letter.text)
        assert found is not None
        assert found[1] not in f"{data} {subject} {link} {await post.rows('data', 'subject', 'text', 'link')}"
        assert (letter.to, letter.subject) == ("ann@example.com", "Your code for Harbour")

    async def test_may_be_a_link(self, post: Post) -> None:
        await post.person("ann@example.com")
        await post.ask_for("ann@example.com", by_link=True)
        assert await post.dispatcher.send_due() == 1
        (letter,) = post.carriers[Channel.EMAIL].messages
        assert re.fullmatch(r"https://harbour\.example/reset-password\?token=[\w-]{43}", letter.link or "")
        assert (letter.link or "") in (letter.html or "")
        assert await post.rows("link") == [(None,)]

    async def test_is_for_one_message_and_no_other(self, post: Post) -> None:
        ann = await post.person()
        sealed = VAULT.encrypt("427193", "elsewhere")
        told = SendNotification(user_id=ann, template="one_time_code", data={"code": sealed, "minutes": 10})
        await post.run(notifying.send_notification, told)
        await post.dispatcher.send_due()
        assert post.carriers[Channel.EMAIL].messages == []
        assert await post.rows("state") == [("failed",)]


class TestNews:
    @pytest.mark.parametrize(
        ("name", "subject"),
        [
            ("new_device_seen", "A log-in from a new place"),
            ("two_factor_enabled", "Your account asks for a second factor now"),
            ("two_factor_disabled", "Your account asks for no second factor any more"),
            ("passkey_added", "A new passkey"),
            ("recovery_code_used", "A recovery code was used"),
        ],
    )
    async def test_of_an_account_goes_to_its_owner(self, post: Post, name: str, subject: str) -> None:
        ann = await post.person("ann@example.com")
        await post.hear(f"identity.{name}", {"user_id": str(ann), "left": 3})
        assert await post.dispatcher.send_due() == 2
        (letter,) = post.carriers[Channel.EMAIL].messages
        assert (letter.to, letter.subject) == ("ann@example.com", subject)

    async def test_reaches_people_where_they_are_reached_and_once_however_often_it_is_heard(self, post: Post) -> None:
        ann = await post.person("ann@example.com", first_name="Ann", locale="fr-CA")
        envelope = await post.hear("user.registered", {"user_id": str(ann)})
        await post.run(notifying.tell_people, envelope)
        assert await post.rows("channel", "state") == [("email", "queued"), ("in_app", "queued")]
        assert await post.dispatcher.send_due() == 2
        assert await post.dispatcher.send_due() == 0
        (letter,) = post.carriers[Channel.EMAIL].messages
        assert (letter.to, letter.subject, letter.sender_name) == (
            "ann@example.com",
            "Bienvenue chez Harbour",
            "Harbour",
        )
        assert letter.text.startswith("Bonjour Ann,")
        assert letter.html is not None
        assert letter.unsubscribe_url is None
        assert await post.rows("channel", "state", "subject", "text", "attempts") == [
            ("email", "sent", "Bienvenue chez Harbour", None, 1),
            ("in_app", "delivered", "Bienvenue chez Harbour", "Votre compte est prêt, Ann.", 1),
        ]
        assert await post.counted() == {"sent": 2, "delivered": 1}
        async with post.database.session(post.work.tenant_id) as session:
            assert (await session.execute(select(inbox.c.user_id, inbox.c.unread))).all() == [(ann, 1)]

    async def test_of_an_order_reaches_guests_too(self, post: Post) -> None:
        total = {"amount_minor": 4599, "currency": "CAD"}
        draft = {"guest_email": "guest@example.com", "total": total}
        data = {"order_id": str(uuid7()), "number": "ORD-1", "customer_id": None, "draft": draft}
        await post.hear("order.created", data, notifying.confirm_order)
        await post.dispatcher.send_due()
        (letter,) = post.carriers[Channel.EMAIL].messages
        assert (letter.to, letter.subject) == ("guest@example.com", "Your order ORD-1")
        assert "CA$45.99" in letter.text
        assert letter.link == f"https://harbour.example/orders/{data['order_id']}"

    @pytest.mark.parametrize("name", sorted(notifying.NEWS))
    async def test_that_says_nothing_concerns_nobody(self, post: Post, name: str) -> None:
        await post.hear(name, {})
        assert await post.rows("id") == []

    @pytest.mark.parametrize("name", sorted(notifying.NEWS))
    async def test_can_be_written_about_with_what_it_says(self, post: Post, name: str) -> None:
        ann = await post.person(browser=True, phone="+14165550123")
        ids = dict.fromkeys(("user_id", "customer_id", "owner_id"), str(ann))
        lists = {name: [str(ann)] for name in ("seller_ids", "recipients", "follower_ids")}
        choice = ChooseChannel(channel=Channel.EMAIL, category=MessageCategory.PROMOTIONAL, is_opted_in=True)
        await post.run(domain.update_communication_preferences, UpdateCommunicationPreferences(choices=(choice,)), ann)
        amounts = {"amount_minor": 1, "subtotal_minor": 1, "currency": "CAD", "units": 1}
        await post.hear(name, {**ids, **lists, **amounts})
        due = await post.rows("id")
        assert due
        await post.dispatcher.send_due()
        assert {state for (state,) in await post.rows("state")} <= {"sent", "delivered"}

    async def test_of_a_shelf_reaches_those_who_look_after_it(self, post: Post) -> None:
        store, keeper, _ = uuid7(), await post.person(), await post.person()

        async def employ(command: UUID, work: Work, users: Users) -> None:
            (await users.get(command)).assign("store_manager", store, work)

        await post.run(employ, keeper)
        data = {"store_id": str(store), "sku": "MUG", "available": 2}
        await post.hear("inventory.low_stock", data, notifying.warn_store)
        await post.hear("inventory.low_stock", {**data, "store_id": str(uuid7())}, notifying.warn_store)
        assert await post.rows("user_id", "channel") == [(keeper, "email"), (keeper, "in_app")]

    async def test_of_a_review_reaches_the_seller_when_the_public_sees_it(self, post: Post) -> None:
        seller = await post.person()
        make = CreateProduct(name="Mug", sku=f"MUG-{uuid7().hex[-8:]}", price=Money(900, "CAD"), seller_id=seller)
        product = await post.run(create_product, make)
        for state, told in (("submitted", 0), ("published", 2)):
            data = {"product_id": str(product.id), "rating": 4, "state": state}
            await post.hear("review.created", data, notifying.tell_seller)
            assert len(await post.rows("id", user_id=seller)) == told
        await post.dispatcher.send_due()
        assert await post.rows("subject", channel="in_app") == [("A review of Mug",)]
        await post.hear(
            "review.created", {"product_id": str(uuid7()), "rating": 4, "state": "published"}, notifying.tell_seller
        )

    async def test_is_none_any_more_after_some_days(self, post: Post) -> None:
        ann = await post.person()
        old = post.now - notifying.NEWS_FOR
        await post.hear("user.registered", {"user_id": str(ann)}, occurred_at=old)
        assert await post.rows("id") == []

    async def test_is_not_sent_to_whoever_wrote_it(self, post: Post) -> None:
        ann = await post.person()
        await post.hear("message.sent", {"recipients": [str(ann)], "sender_id": str(ann), "body": "x"})
        assert await post.rows("id") == []


class TestSending:
    async def test_tries_again_when_the_time_has_come(self, post: Post) -> None:
        await post.hear("user.registered", {"user_id": str(await post.person())})
        carrier = post.carriers[Channel.EMAIL]
        carrier.failure = NotSent("451 later")
        await post.dispatcher.send_due()
        assert await post.rows("state", "error", "attempts", channel="email") == [("retrying", "451 later", 1)]
        carrier.failure = None
        assert await post.dispatcher.send_due() == 0
        post.now += timedelta(minutes=1)
        assert await post.dispatcher.send_due() == 1
        assert await post.rows("state", "error", "attempts", channel="email") == [("sent", None, 2)]

    async def test_writes_no_more_to_an_address_that_is_not_there(self, post: Post) -> None:
        ann = await post.person()
        post.carriers[Channel.EMAIL].failure = NotSent("550 no such user", permanent=True)
        for _ in range(2):
            await post.hear("user.registered", {"user_id": str(ann)})
            await post.dispatcher.send_due()
        assert await post.rows("state", "error", channel="email") == [
            ("bounced", "550 no such user"),
            ("failed", "the address is not to be written to"),
        ]
        assert await post.counted() == {"sent": 2, "delivered": 2, "bounced": 1, "failed": 1}

    async def test_gives_up_what_cannot_be_written(self, post: Post) -> None:
        ann = await post.person()
        kind = domain.SendNotification(
            user_id=ann, template="unheard_of", category=MessageCategory.ALERTS, channels=(Channel.IN_APP,)
        )
        await post.run(notifying.send_notification, kind)
        await post.dispatcher.send_due()
        ((state, error),) = await post.rows("state", "error")
        assert state == "failed"
        assert "unheard_of" in error

    async def test_goes_on_under_the_same_id_after_whoever_sent_it_died(self, post: Post) -> None:
        await post.hear("user.registered", {"user_id": str(await post.person())})
        ((letter,),) = await post.rows("id", channel="email")
        lost = await post.run(domain.begin_sending, BeginSending(id=letter))
        assert lost.attempt == 1
        await post.dispatcher.send_due()
        assert post.carriers[Channel.EMAIL].messages == []
        post.now += LEASE
        await post.dispatcher.send_due()
        assert [each.id for each in post.carriers[Channel.EMAIL].messages] == [letter]
        assert await post.rows("state", "attempts", channel="email") == [("sent", 2)]
        # Whoever was believed to be dead comes too late.
        late = FinishSending(id=letter, attempt=1, error="timeout")
        assert await post.run(domain.finish_sending, late) is None
        assert await post.rows("state", channel="email") == [("sent",)]

    async def test_happens_once_among_several_workers(self, post: Post) -> None:
        for _ in range(6):
            await post.hear("user.registered", {"user_id": str(await post.person())})
        await asyncio.gather(*(post.another().send_due() for _ in range(4)))
        sent = [each.id for carrier in post.carriers.values() for each in carrier.messages]
        assert (len(sent), len(set(sent))) == (12, 12)

    async def test_ends_what_has_begun_when_told_to_stop_and_leaves_the_rest_due(self, post: Post) -> None:
        for _ in range(15):
            await post.hear("user.registered", {"user_id": str(await post.person())})
        gate = asyncio.Event()
        for carrier in post.carriers.values():
            carrier.gate = gate

        async def busy() -> bool:
            return sum(len(each.messages) for each in post.carriers.values()) == 10

        async with running(post.dispatcher.run) as stop:
            await eventually(busy)
            stop.set()
            gate.set()
        states = [state for (state,) in await post.rows("state")]
        assert (sum(state in {"sent", "delivered"} for state in states), states.count("queued")) == (10, 20)


class TestQuietHours:
    async def test_hold_alerts_and_let_ones_own_affairs_through(self, post: Post) -> None:
        ann = await post.person(browser=True)
        post.now = datetime.fromisoformat("2026-03-08T03:00:00+00:00")
        night = SetDoNotDisturb(begin="22:00", end="07:00", timezone="America/Toronto")
        await post.run(domain.set_do_not_disturb, night, ann)
        await post.write_to(ann)
        await post.hear("payment.failed", {"user_id": str(ann), "order_id": "o", "reason": "declined"})
        await post.dispatcher.send_due()
        morning = datetime.fromisoformat("2026-03-08T11:00:00+00:00")
        assert await post.rows("template", "state", "hold_reason", "due_at", channel="push") == [
            ("new_message", "held", "quiet_hours", morning),
            ("payment_failed", "sent", None, None),
        ]
        post.now = morning
        await post.dispatcher.send_due()
        assert await post.rows("state", template="new_message", channel="push") == [("sent",)]


class TestBatching:
    async def test_puts_together_what_is_more_than_three_in_a_minute(self, post: Post) -> None:
        ann = await post.person(browser=True)
        await post.write_to(ann, 8)
        await post.dispatcher.send_due()
        pushes = post.carriers[Channel.PUSH].messages
        assert [each.text for each in pushes] == ["0", "1", "2"]
        assert await post.rows("state", channel="push") == [("sent",)] * 3 + [("held",)] * 5
        post.now += timedelta(minutes=1)
        await post.dispatcher.send_due()
        assert [(each.subject, each.text) for each in pushes[3:]] == [
            ("5 new notifications", " · ".join(["A new message"] * 5))
        ]
        assert await post.rows("state", channel="push") == [("sent",)] * 8
        assert (await post.counted())["sent"] == 16

    async def test_puts_no_alert_under_what_comes_at_any_hour(self, post: Post) -> None:
        ann = await post.person(browser=True)
        await post.write_to(ann, 4)
        await post.dispatcher.send_due()
        night = SetDoNotDisturb(begin="15:00", end="16:00", timezone="UTC")
        await post.run(domain.set_do_not_disturb, night, ann)
        await post.hear("payment.failed", {"user_id": str(ann), "order_id": "o", "reason": "declined"})
        post.now += timedelta(minutes=1)
        await post.dispatcher.send_due()
        assert [each.subject for each in post.carriers[Channel.PUSH].messages[3:]] == ["Your payment did not work"]
        assert await post.rows("state", "hold_reason", channel="push", template="new_message") == [
            *[("sent", None)] * 3,
            ("held", "quiet_hours"),
        ]

    async def test_holds_among_several_workers(self, post: Post) -> None:
        ann, ben = await post.person(browser=True), await post.person(browser=True)
        for person in (ann, ben):
            await post.write_to(person, 7)
        for _ in range(2):
            await asyncio.gather(*(post.another().send_due() for _ in range(4)))
        sent = [each.to for each in post.carriers[Channel.PUSH].messages]
        assert {str(each): sent.count(str(each)) for each in (ann, ben)} == {str(ann): 3, str(ben): 3}

    async def test_loses_nothing_when_a_digest_does_not_go_out(self, post: Post) -> None:
        ann = await post.person(browser=True)
        await post.write_to(ann, 5)
        await post.dispatcher.send_due()
        carrier = post.carriers[Channel.PUSH]
        carrier.failure = NotSent("503")
        post.now += timedelta(minutes=1)
        await post.dispatcher.send_due()
        assert await post.rows("state", "digest_id", channel="push") == [("sent", None)] * 3 + [("retrying", None)] * 2
        carrier.failure = None
        post.now += timedelta(minutes=2)
        await post.dispatcher.send_due()
        assert await post.rows("state", channel="push") == [("sent",)] * 5

    async def test_ends_with_the_last_browser(self, post: Post) -> None:
        ann = await post.person(browser=True)
        await post.write_to(ann)
        post.carriers[Channel.PUSH].failure = NotSent("410", gone=(f"https://fcm.googleapis.com/{ann}",))
        await post.dispatcher.send_due()
        post.now += timedelta(minutes=1)
        await post.dispatcher.send_due()
        assert await post.rows("state", "error", channel="push") == [("failed", "no browser takes pushes any more")]


PROMOTED = UpdateCommunicationPreferences(
    choices=(ChooseChannel(channel=Channel.EMAIL, category=MessageCategory.PROMOTIONAL, is_opted_in=True),)
)


class Jobs:
    """A queue that keeps what is asked for."""

    def __init__(self) -> None:
        self.asked: list[Mapping[str, Any]] = []

    async def defer(self, name: str, payload: Mapping[str, Any], **_: Any) -> None:
        self.asked.append(payload)


class TestBroadcasts:
    @pytest.fixture
    async def audience(self, post: Post) -> list[UUID]:
        people = [await post.person() for _ in range(7)]
        for number, person in enumerate(people):
            await post.hear("user.registered", {"user_id": str(person), "locale": "en"}, broadcasting.meet_user)
            if number < 5:
                await post.run(domain.update_communication_preferences, PROMOTED, person)
        return sorted(people[:5])

    async def made(self, post: Post) -> Any:
        text = BroadcastTextInput(locale="en", subject="Sale at {{ shop }}", text="Hello {{ name }}")
        wanted = CreateBroadcast(name="Sale", channel=Channel.EMAIL, texts=(text,))
        made = await post.run(domain.create_broadcast, wanted)
        return await post.run(domain.send_broadcast, SendBroadcast(id=made.id))

    async def portions(self, post: Post, broadcast_id: UUID, monkeypatch: Any) -> int:
        monkeypatch.setattr(broadcasting, "PORTION", 2)
        queue = Jobs()
        post.transactions.offer({TemplateEngine: JinjaTemplates(), UnsubscribeTokens: TOKENS, JobQueue: queue})
        payload, done = {"id": str(broadcast_id)}, 0
        queue.asked.append(payload)
        while queue.asked:
            # A portion whose worker died after the commit is done a second time.
            work = queue.asked.pop()
            await post.run(broadcasting.send_portion, work)
            done += 1
        return done

    async def test_reach_those_who_want_them_in_portions_and_once(
        self, post: Post, audience: list[UUID], monkeypatch: Any
    ) -> None:
        made = await self.made(post)
        assert await self.portions(post, made.id, monkeypatch) == 3
        assert await self.portions(post, made.id, monkeypatch) == 1
        assert sorted(user for (user,) in await post.rows("user_id", broadcast_id=made.id)) == audience
        while await post.dispatcher.send_due():
            continue
        letters = post.carriers[Channel.EMAIL].messages
        assert {each.subject for each in letters} == {"Sale at Harbour"}
        async with post.database.session(post.work.tenant_id) as session:
            names = ("state", "total_recipients", "successful_sends", "failed_sends")
            row = (await session.execute(select(*(broadcast.c[name] for name in names)))).one()
        assert tuple(row) == ("sent", 5, 5, 0)

    async def test_begin_by_themselves_at_their_instant_and_not_when_called_off(
        self, post: Post, audience: list[UUID], monkeypatch: Any
    ) -> None:
        text = BroadcastTextInput(locale="en", subject="Sale", text="Now")
        wanted = CreateBroadcast(name="Sale", channel=Channel.EMAIL, texts=(text,))
        later = post.now + timedelta(hours=1)
        for off in (True, False):
            made = await post.run(domain.create_broadcast, wanted)
            await post.run(domain.schedule_broadcast, domain.ScheduleBroadcast(id=made.id, at=later))
            if off:
                await post.run(domain.cancel_broadcast, domain.CancelBroadcast(id=made.id))
            await self.portions(post, made.id, monkeypatch)
            assert len(await post.rows("id", broadcast_id=made.id)) == (0 if off else 5)
            post.transactions.offer({TemplateEngine: JinjaTemplates(), UnsubscribeTokens: TOKENS})

    async def test_go_to_those_for_whom_all_criteria_hold(self, post: Post, audience: list[UUID]) -> None:
        first, second, third, *_ = audience
        await post.hear("identity.role_assigned", {"user_id": str(first), "role": "seller"}, broadcasting.note_role)
        await post.hear("identity.role_assigned", {"user_id": str(second), "role": "seller"}, broadcasting.note_role)
        await post.hear("identity.role_revoked", {"user_id": str(second), "role": "seller"}, broadcasting.note_role)
        long_ago = post.now - timedelta(days=40)
        for buyer, moment in ((first, post.now), (third, long_ago)):
            data = {"customer_id": str(buyer)}
            await post.hear("order.created", data, broadcasting.note_order, occurred_at=moment)
        await post.hear("identity.user_deactivated", {"user_id": str(audience[4])}, broadcasting.part_with_user)
        counts = {}
        for name, criteria in {
            "all": {},
            "english": {"locales": ("en",)},
            "french": {"locales": ("fr",)},
            "sellers": {"roles": ("seller", "host")},
            "recent": {"ordered_within_days": 30},
            "idle": {"no_order_for_days": 30},
        }.items():
            wanted = domain.CreateSegment(name=name, criteria=domain.SegmentCriteria(**criteria))
            counts[name] = (await post.run(domain.create_segment, wanted)).last_count
        assert counts == {"all": 4, "english": 4, "french": 0, "sellers": 1, "recent": 1, "idle": 3}

    async def test_are_left_by_the_link_in_them(self, post: Post, audience: list[UUID], monkeypatch: Any) -> None:
        made = await self.made(post)
        await self.portions(post, made.id, monkeypatch)
        await post.dispatcher.send_due()
        url = post.carriers[Channel.EMAIL].messages[0].unsubscribe_url
        assert url is not None
        token = url.removeprefix("https://harbour.example/unsubscribe/")
        for _ in range(2):
            left = await post.run(domain.unsubscribe, Unsubscribe(token=token))
            assert (left.channel, left.category) == (Channel.EMAIL, MessageCategory.PROMOTIONAL)
        assert (await post.counted())["unsubscribed"] == 1
        again = await self.made(post)
        await self.portions(post, again.id, monkeypatch)
        assert len(await post.rows("id", broadcast_id=again.id)) == 4

    async def test_are_counted_when_nobody_takes_them(self, post: Post, audience: list[UUID], monkeypatch: Any) -> None:
        made = await self.made(post)
        await self.portions(post, made.id, monkeypatch)
        post.carriers[Channel.EMAIL].failure = NotSent("550 gone", permanent=True)
        await post.dispatcher.send_due()
        async with post.database.session(post.work.tenant_id) as session:
            row = (await session.execute(select(broadcast.c.state, broadcast.c.failed_sends))).one()
        assert tuple(row) == ("sent", 5)
