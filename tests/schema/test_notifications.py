"""Notifications through the graph: the inbox, preferences, templates, broadcasts, and what is refused."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID

import pytest

from domain.identity.factors import Secrets
from domain.identity.profile import Profile
from domain.identity.users import User
from domain.kernel import NOBODY, Principal, Work, uuid7
from domain.notifications import Channel, MessageCategory, SenderIdentity, TemplateEngine, UnsubscribeTokens
from resolvers.kernel import Context
from server.notifications.dispatch import Dispatcher
from server.services import Services
from tests.notifications import Carrier, OwnDue, add_user

SEND = """mutation($input: SendNotificationInput!) { sendNotification(input: $input) {
  __typename ... on Notification { id channel state } ... on Error { code message } } }"""
INBOX = """query($unread: Boolean, $after: String) { unreadNotifications
  myNotifications(first: 2, unreadOnly: $unread, after: $after) {
    nodes { id subject text template readAt state } pageInfo { hasNextPage endCursor } } }"""
READ = """mutation($id: ID!) { markNotificationRead(input: {id: $id}) {
  __typename ... on NotificationInbox { unread } ... on Error { code message } } }"""
READ_ALL = "mutation { markAllRead { __typename ... on NotificationInbox { unread } ... on Error { code } } }"
CHOOSE = """mutation($input: UpdateCommunicationPreferencesInput!) { updateCommunicationPreferences(input: $input) {
  __typename ... on CommunicationPreferences { choices { channel category isOptedIn } } ... on Error { code } } }"""
QUIET = """mutation($input: SetDoNotDisturbInput!) { setDoNotDisturb(input: $input) {
  __typename ... on CommunicationPreferences { doNotDisturb { begin end timezone } } ... on Error { code } } }"""
UPSERT = """mutation($input: UpsertTemplateInput!) { upsertTemplate(input: $input) {
  __typename ... on MessageTemplate { id version subject variables versions { number subject } }
  ... on InvalidTemplate { part code } ... on Error { code } } }"""
SEGMENT = """mutation($input: CreateSegmentInput!) { createSegment(input: $input) {
  __typename ... on Segment { id lastCount criteria { locales roles } } ... on Error { code } } }"""
BROADCAST = """mutation($input: CreateBroadcastInput!) { createBroadcast(input: $input) {
  __typename ... on Broadcast { id version state messages { locale subject } segment { name } audit { action actorId } }
  ... on Error { code message } } }"""
MOVE = """mutation($id: ID!, $at: DateTime!, $version: Int) {{ {0}(input: {{id: $id, {1} expectedVersion: $version}}) {{
  __typename ... on Broadcast {{ state version scheduledAt }} ... on Error {{ code }} }} }}"""


def moving(name: str) -> str:
    document = MOVE.format(name, "at: $at," if name == "scheduleBroadcast" else "")
    return document if name == "scheduleBroadcast" else document.replace("$at: DateTime!, ", "")


@pytest.fixture
async def ann(services: Services, work: Work) -> Principal:
    user = User.register(f"{uuid7().hex}@example.com", "hash", Profile(first_name="Ann"), work)
    await services.transactions.run(add_user, user, work)
    return Principal(user_id=user.id, tenant_id=work.tenant_id)


@pytest.fixture
def deliver(services: Services, tenant_id: UUID) -> Callable[[], Awaitable[int]]:
    """Send what is due, as the worker would."""
    port, carriers = services.by_port, {channel: Carrier() for channel in Channel}
    due = OwnDue(services.database, tenant_id)
    engine, tokens, identity = port[TemplateEngine], port[UnsubscribeTokens], port[SenderIdentity]
    opens = port[Secrets].decrypt
    return Dispatcher(services.transactions, due, carriers, engine, tokens, identity, opens).send_due


@pytest.fixture
def tell(graph: Any, ann: Principal, deliver: Any) -> Callable[..., Awaitable[None]]:
    async def telling(times: int = 1) -> None:
        for _ in range(times):
            wanted = {"userId": str(ann.user_id), "template": "welcome", "channels": ["IN_APP"]}
            answer = await graph(SEND, {"input": wanted})
            assert answer.data["sendNotification"]["state"] == "QUEUED"
        await deliver()

    return telling


class TestTheInbox:
    async def test_has_what_came_page_by_page_and_says_how_much_is_unread(
        self, graph: Any, ann: Principal, tell: Any
    ) -> None:
        await tell(3)
        first = await graph(INBOX, principal=ann)
        page = first.data["myNotifications"]
        assert (first.data["unreadNotifications"], first.statements) == (3, 2)
        assert page["nodes"][0] == {
            "id": page["nodes"][0]["id"],
            "subject": "Welcome to Agora",
            "text": "Your account is ready, Ann.",
            "template": "welcome",
            "readAt": None,
            "state": "DELIVERED",
        }
        rest = await graph(INBOX, {"after": page["pageInfo"]["endCursor"]}, principal=ann)
        ids = [each["id"] for each in (*page["nodes"], *rest.data["myNotifications"]["nodes"])]
        assert ids == sorted(ids, reverse=True)
        assert len(ids) == 3

    async def test_counts_what_is_read_once(self, graph: Any, ann: Principal, tell: Any) -> None:
        await tell(3)
        page = await graph(INBOX, principal=ann)
        one = page.data["myNotifications"]["nodes"][0]["id"]
        for _ in range(2):
            answer = await graph(READ, {"id": one}, principal=ann)
            assert answer.data["markNotificationRead"] == {"__typename": "NotificationInbox", "unread": 2}
        unread = await graph(INBOX, {"unread": True}, principal=ann)
        assert one not in [each["id"] for each in unread.data["myNotifications"]["nodes"]]
        assert (await graph(READ_ALL, principal=ann)).data["markAllRead"]["unread"] == 0
        assert (await graph(READ_ALL, principal=ann)).data["markAllRead"]["unread"] == 0

    async def test_keeps_its_count_when_much_happens_at_once(self, graph: Any, ann: Principal, tell: Any) -> None:
        await tell(6)
        page = await graph(INBOX, principal=ann)
        ids = [each["id"] for each in page.data["myNotifications"]["nodes"]]
        await asyncio.gather(
            *(graph(READ, {"id": each}, principal=ann) for each in ids * 2), graph(READ_ALL, principal=ann), tell(2)
        )
        after = await graph(INBOX, {"unread": True}, principal=ann)
        assert after.data["unreadNotifications"] == len(after.data["myNotifications"]["nodes"])

    async def test_is_nobody_elses(self, graph: Any, ann: Principal, tell: Any, tenant_id: UUID) -> None:
        await tell()
        one = (await graph(INBOX, principal=ann)).data["myNotifications"]["nodes"][0]["id"]
        ben = Principal(user_id=uuid7(), tenant_id=tenant_id)
        assert (await graph(READ, {"id": one}, principal=ben)).data["markNotificationRead"]["code"] == "NOT_FOUND"
        assert (await graph(INBOX, principal=ben)).data["myNotifications"]["nodes"] == []
        assert (await graph(INBOX, principal=ann)).data["unreadNotifications"] == 1
        assert set((await graph(INBOX, principal=NOBODY)).codes) == {"UNAUTHENTICATED"}


class TestNotificationReceived:
    DOCUMENT = """subscription($after: String) { notificationReceived(after: $after) {
      cursor notification { subject channel } } }"""

    @pytest.fixture
    def follow(self, supergraph: Any, services: Services, tenant_id: UUID) -> Any:
        @asynccontextmanager
        async def begun(principal: Principal, after: str | None = None) -> AsyncIterator[Any]:
            reads = services.database.reads(tenant_id)
            context = Context(
                reads=reads,
                transactions=services.transactions,
                services=services.by_port,
                principal=principal,
                tenant_id=tenant_id,
            )
            stream = await supergraph.subscribe(self.DOCUMENT, variable_values={"after": after}, context_value=context)

            async def following() -> Any:
                # Between two events nothing is held, as at the edge.
                await context.forget()
                return await asyncio.wait_for(anext(stream), 15)

            try:
                yield following
            finally:
                await stream.aclose()
                await reads.end()

        return begun

    @pytest.mark.usefixtures("relay")
    async def test_tells_what_comes_and_resumes_where_it_was_left(self, follow: Any, ann: Principal, tell: Any) -> None:
        await tell(2)
        async with follow(ann, "0") as following:
            first = (await following()).data["notificationReceived"]
            assert first["notification"] == {"subject": "Welcome to Agora", "channel": "IN_APP"}
        async with follow(ann, first["cursor"]) as following:
            second = (await following()).data["notificationReceived"]
            await tell()
            third = (await following()).data["notificationReceived"]
        cursors = [int(each["cursor"]) for each in (first, second, third)]
        assert cursors == sorted(set(cursors))


class TestPreferences:
    async def test_are_the_default_until_something_is_chosen(self, graph: Any, ann: Principal) -> None:
        document = "{ myPreferences { choices { channel category isOptedIn optedInAt } doNotDisturb { begin } } }"
        answer = await graph(document, principal=ann)
        choices = answer.data["myPreferences"]["choices"]
        assert len(choices) == len(Channel) * len(MessageCategory)
        assert {each["isOptedIn"] for each in choices if each["category"] == "PROMOTIONAL"} == {False}
        assert (answer.data["myPreferences"]["doNotDisturb"], answer.statements) == (None, 1)

    async def test_are_chosen_by_category_and_channel(self, graph: Any, ann: Principal) -> None:
        wanted = [{"channel": "EMAIL", "category": "PROMOTIONAL", "isOptedIn": True}]
        answer = await graph(CHOOSE, {"input": {"choices": wanted}}, principal=ann)
        assert wanted[0] in answer.data["updateCommunicationPreferences"]["choices"]
        quiet = {"begin": "22:00", "end": "07:00", "timezone": "America/Toronto"}
        answer = await graph(QUIET, {"input": quiet}, principal=ann)
        assert answer.data["setDoNotDisturb"] == {"__typename": "CommunicationPreferences", "doNotDisturb": quiet}

    async def test_refuse_silence_about_ones_own_orders_and_change_nothing(self, graph: Any, ann: Principal) -> None:
        wanted = [
            {"channel": "PUSH", "category": "ALERTS", "isOptedIn": False},
            {"channel": "EMAIL", "category": "TRANSACTIONAL", "isOptedIn": False},
        ]
        answer = await graph(CHOOSE, {"input": {"choices": wanted}}, principal=ann)
        assert answer.data["updateCommunicationPreferences"]["code"] == "INVALID_INPUT"
        seen = await graph("{ myPreferences { choices { channel category isOptedIn } } }", principal=ann)
        assert {**wanted[0], "isOptedIn": True} in seen.data["myPreferences"]["choices"]

    async def test_belong_to_a_user_and_are_shown_to_nobody_else(
        self, graph: Any, ann: Principal, tenant_id: UUID
    ) -> None:
        document = "query($id: ID!) { user(id: $id) { communicationPreferences { choices { isOptedIn } } } }"
        own = await graph(document, {"id": str(ann.user_id)}, principal=ann)
        assert len(own.data["user"]["communicationPreferences"]["choices"]) == 12
        ben = Principal(user_id=uuid7(), tenant_id=tenant_id)
        foreign = await graph(document, {"id": str(ann.user_id)}, principal=ben)
        assert (foreign.data["user"]["communicationPreferences"], foreign.codes) == (None, ["FORBIDDEN"])


class TestTemplates:
    def template(self, **more: Any) -> dict[str, Any]:
        given = {
            "code": "welcome",
            "channel": "IN_APP",
            "locale": "en",
            "subject": "Ahoy {{ name }}",
            "text": "{{ shop }}",
        }
        return {"input": {**given, **more}}

    async def test_are_written_over_ours_with_their_versions(self, graph: Any, ann: Principal, tell: Any) -> None:
        first = await graph(UPSERT, self.template())
        made = first.data["upsertTemplate"]
        assert (made["version"], made["variables"]) == (1, ["name", "shop"])
        again = await graph(UPSERT, self.template(subject="Hello {{ name }}", expectedVersion=1))
        assert [each["number"] for each in again.data["upsertTemplate"]["versions"]] == [2, 1]
        stale = await graph(UPSERT, self.template(expectedVersion=1))
        assert stale.data["upsertTemplate"]["code"] == "CONCURRENT_MODIFICATION"
        await tell()
        inbox = await graph(INBOX, principal=ann)
        assert inbox.data["myNotifications"]["nodes"][0]["subject"] == "Hello Ann"

    @pytest.mark.parametrize(
        "text", ["{{ name.__class__ }}", "{{ password }}", "{% for x in range(9) %}{% endfor %}", "{{"]
    )
    async def test_that_reach_for_more_are_refused_and_not_kept(self, graph: Any, text: str) -> None:
        answer = await graph(UPSERT, self.template(text=text))
        assert answer.data["upsertTemplate"] == {
            "__typename": "InvalidTemplate",
            "part": "text",
            "code": "INVALID_TEMPLATE",
        }
        listed = await graph("{ templates { nodes { code } totalCount } }")
        assert listed.data["templates"] == {"nodes": [], "totalCount": 0}

    async def test_are_previewed_without_being_kept(self, graph: Any) -> None:
        document = """query($text: String) { previewTemplate(
          code: "order_paid", channel: EMAIL, locale: "fr", subject: "S", text: $text) { subject text html } }"""
        answer = await graph(document, {"text": "{{ total|money }} <b>"})
        shown = answer.data["previewTemplate"]
        assert shown["text"].startswith("45,99")
        assert "&lt;b&gt;" in shown["html"]
        refused = await graph(document, {"text": "{{ nothing }}"})
        assert refused.codes == ["INVALID_TEMPLATE"]
        ours = await graph('{ previewTemplate(code: "welcome", channel: SMS, locale: "ru-RU") { text } }')
        assert ours.data["previewTemplate"]["text"] == "Ваша учётная запись готова, Ann."

    async def test_are_for_those_who_look_after_them(self, graph: Any, ann: Principal) -> None:
        assert (await graph(UPSERT, self.template(), principal=ann)).codes == ["FORBIDDEN"]


class TestBroadcasts:
    async def made(self, graph: Any, **more: Any) -> Any:
        text = {"locale": "en", "subject": "Sale", "text": "Hello {{ name }}"}
        answer = await graph(BROADCAST, {"input": {"name": "Spring", "channel": "EMAIL", "texts": [text], **more}})
        return answer.data["createBroadcast"]

    async def test_go_to_a_segment(self, graph: Any, admin: Principal) -> None:
        wanted = {"name": "French", "criteria": {"locales": ["fr"], "roles": ["buyer"]}}
        segment = (await graph(SEGMENT, {"input": wanted})).data["createSegment"]
        assert segment["criteria"] == {"locales": ["fr"], "roles": ["buyer"]}
        made = await self.made(graph, segmentId=segment["id"])
        assert made == {
            "__typename": "Broadcast",
            "id": made["id"],
            "version": 1,
            "state": "DRAFT",
            "messages": [{"locale": "en", "subject": "Sale"}],
            "segment": {"name": "French"},
            "audit": [{"action": "created", "actorId": str(admin.user_id)}],
        }
        again = await graph(SEGMENT, {"input": wanted})
        assert again.data["createSegment"]["code"] == "ALREADY_EXISTS"

    async def test_are_scheduled_and_called_off(self, graph: Any) -> None:
        made = await self.made(graph)
        later = {"id": made["id"], "at": "2100-01-01T00:00:00Z"}
        scheduled = (await graph(moving("scheduleBroadcast"), later)).data["scheduleBroadcast"]
        assert (scheduled["state"], scheduled["scheduledAt"]) == ("SCHEDULED", "2100-01-01T00:00:00+00:00")
        off = await graph(moving("cancelBroadcast"), {"id": made["id"], "version": scheduled["version"]})
        assert off.data["cancelBroadcast"]["state"] == "CANCELLED"
        for name in ("sendBroadcast", "cancelBroadcast"):
            refused = await graph(moving(name), {"id": made["id"]})
            assert refused.data[name]["code"] == "INVALID_STATE_TRANSITION"
        seen = await graph("query($id: ID!) { broadcast(id: $id) { state audit { action } } }", {"id": made["id"]})
        assert seen.data["broadcast"] == {
            "state": "CANCELLED",
            "audit": [{"action": each} for each in ("created", "scheduled", "cancelled")],
        }

    async def test_refuse_the_past_strangers_and_bad_texts(self, graph: Any) -> None:
        made = await self.made(graph)
        past = await graph(moving("scheduleBroadcast"), {"id": made["id"], "at": "2020-01-01T00:00:00Z"})
        assert past.data["scheduleBroadcast"]["code"] == "INVALID_INPUT"
        assert (await self.made(graph, segmentId=str(uuid7())))["code"] == "NOT_FOUND"
        assert (await self.made(graph, texts=[]))["code"] == "INVALID_INPUT"
        bad = [{"locale": "en", "subject": "S", "text": "{{ total }}"}]
        assert (await self.made(graph, texts=bad))["code"] == "INVALID_TEMPLATE"
        listed = await graph("{ broadcasts { nodes { state } totalCount } }")
        assert (listed.data["broadcasts"], listed.statements) == ({"nodes": [{"state": "DRAFT"}], "totalCount": 1}, 2)


class TestTheLog:
    async def test_shows_what_became_of_messages_and_takes_bounces(
        self, graph: Any, ann: Principal, deliver: Any
    ) -> None:
        wanted = {"userId": str(ann.user_id), "template": "low_stock", "data": {"sku": "MUG", "available": 3}}
        sent = (await graph(SEND, {"input": {**wanted, "channels": ["EMAIL"]}})).data["sendNotification"]
        await deliver()
        log = """query($id: ID!) { communicationLog(filter: {userId: $id}) {
          nodes { channel state subject attempts error } } }"""
        bounce = """mutation($id: ID!) { recordBounce(input: {id: $id, reason: "mailbox full"}) {
          __typename ... on CommunicationLogEntry { state error } ... on Error { code } } }"""
        for _ in range(2):
            answer = await graph(bounce, {"id": sent["id"]})
            assert answer.data["recordBounce"] == {
                "__typename": "CommunicationLogEntry",
                "state": "BOUNCED",
                "error": "mailbox full",
            }
        seen = await graph(log, {"id": str(ann.user_id)})
        assert (seen.data["communicationLog"]["nodes"], seen.statements) == (
            [
                {
                    "channel": "EMAIL",
                    "state": "BOUNCED",
                    "subject": "MUG is running low",
                    "attempts": 1,
                    "error": "mailbox full",
                }
            ],
            1,
        )
        listed = await graph("{ unsubscribeList { nodes { address channel category reason } } }")
        (entry,) = listed.data["unsubscribeList"]["nodes"]
        assert (entry["category"], entry["reason"]) == (None, "mailbox full")
        lift = """mutation($address: String!) { liftSuppression(input: {address: $address, channel: EMAIL}) {
          __typename ... on UnsubscribeEntry { reason } ... on Error { code } } }"""
        lifted = await graph(lift, {"address": entry["address"]})
        assert lifted.data["liftSuppression"] == {"__typename": "UnsubscribeEntry", "reason": "mailbox full"}
        gone = await graph(lift, {"address": entry["address"]})
        assert gone.data["liftSuppression"]["code"] == "NOT_FOUND"

    async def test_is_added_up_by_day(self, graph: Any, tell: Any) -> None:
        await tell(2)
        document = """query($end: Date!) { communicationAnalytics(begin: "2026-01-01", end: $end) {
          channel template sent delivered bounced failed unsubscribed } }"""
        many = await graph(document, {"end": "2028-01-01"})
        assert many.codes == ["INVALID_INPUT"]
        answer = await graph(document, {"end": "2026-12-31"})
        assert answer.data["communicationAnalytics"] == [
            {
                "channel": "IN_APP",
                "template": "welcome",
                "sent": 2,
                "delivered": 2,
                "bounced": 0,
                "failed": 0,
                "unsubscribed": 0,
            }
        ]


class TestPushSubscriptions:
    REGISTER = """mutation($endpoint: String!) { registerPushSubscription(
      input: {endpoint: $endpoint, p256dh: "KEY", auth: "AUTH"}) {
      __typename ... on PushSubscription { id } ... on Error { code } } }"""

    def document(self, auth: str = "y" * 22) -> str:
        return self.REGISTER.replace("KEY", "B" * 87).replace("AUTH", auth)

    async def test_are_registered_once_and_given_up(self, graph: Any, ann: Principal) -> None:
        for _ in range(2):
            answer = await graph(self.document(), {"endpoint": "https://fcm.googleapis.com/1"}, principal=ann)
        made = answer.data["registerPushSubscription"]["id"]
        listed = await graph("{ myPushSubscriptions { id } pushPublicKey }", principal=ann)
        assert listed.data["myPushSubscriptions"] == [{"id": made}]
        assert len(listed.data["pushPublicKey"]) == 87
        remove = """mutation($id: ID!) { removePushSubscription(input: {id: $id}) {
          __typename ... on Error { code } } }"""
        stranger = await graph(remove, {"id": made})
        assert stranger.data["removePushSubscription"]["code"] == "NOT_FOUND"
        gone = await graph(remove, {"id": made}, principal=ann)
        assert gone.data["removePushSubscription"] == {"__typename": "PushSubscription"}

    async def test_name_a_push_service_and_real_keys(self, graph: Any, ann: Principal) -> None:
        for endpoint, auth in (("https://evil.example/1", "y" * 22), ("https://fcm.googleapis.com/1", "short")):
            answer = await graph(self.document(auth), {"endpoint": endpoint}, principal=ann)
            assert answer.data["registerPushSubscription"]["code"] == "INVALID_INPUT"
        assert (await graph("{ myPushSubscriptions { id } }", principal=ann)).data == {"myPushSubscriptions": []}


class TestThePolicy:
    async def test_limits_pushes_and_names_the_sender(self, graph: Any) -> None:
        document = """mutation($input: UpdateNotificationPolicyInput!) { updateNotificationPolicy(input: $input) {
          __typename ... on NotificationPolicy { pushPerMinuteLimit senderName replyTo } ... on Error { code } } }"""
        wanted = {"pushPerMinuteLimit": 2, "senderName": "Harbour", "replyTo": "help@harbour.example"}
        answer = await graph(document, {"input": wanted})
        assert answer.data["updateNotificationPolicy"] == {"__typename": "NotificationPolicy", **wanted}
        for wrong in ({"pushPerMinuteLimit": 10}, {"senderName": "A\nB"}, {"replyTo": "nobody"}):
            refused = await graph(document, {"input": wrong})
            assert refused.data["updateNotificationPolicy"]["code"] == "INVALID_INPUT"
        seen = await graph("{ notificationPolicy { pushPerMinuteLimit senderName replyTo } }")
        assert seen.data["notificationPolicy"] == wanted
