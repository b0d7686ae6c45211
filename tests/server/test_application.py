"""The application over real HTTP: whose tenant, who is calling, and what is answered when something is wrong."""

import base64
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import structlog
from graphql import build_client_schema, get_introspection_query
from sqlalchemy import create_engine, text
from sqlalchemy.pool import NullPool
from websockets.exceptions import ConnectionClosed

from domain.kernel import Principal, uuid7
from server.examples import EXAMPLES
from server.services import key_ring, token_service
from server.settings import Settings
from tests.schema.marketplace import PASSWORD
from tests.server.application import LOGIN, Application, eventually, next_message, served

STORES = "{ stores { nodes { id } } }"
ME = "{ me { id email } }"
ADD_WORD = """mutation($word: String!) {
  addSkipWord(input: {word: $word}) { __typename ... on SkipWord { word } ... on Error { code message } } }"""


async def stores(application: Application, **options: Any) -> list[str]:
    reply = await application.ask(STORES, **options)
    return sorted(each["id"] for each in reply.data["stores"]["nodes"])


class TestTheTenant:
    async def test_is_the_one_of_the_host(self, application: Application, shop: Any, other_shop: Any) -> None:
        assert shop.keys["store"] in await stores(application, host=shop.host)
        assert shop.keys["store"] not in await stores(application, host=f"{other_shop.host}:8000")

    async def test_is_the_one_of_the_header(self, application: Application, shop: Any, other_shop: Any) -> None:
        assert shop.keys["store"] in await stores(application, tenant=shop.code)
        assert other_shop.keys["store"] in await stores(application, tenant=other_shop.code, host=shop.host)

    async def test_is_the_one_of_the_token(self, application: Application, shop: Any, other_shop: Any) -> None:
        assert shop.keys["store"] in await stores(application, token=shop.token, host=other_shop.host)

    async def test_must_not_be_another_than_the_tokens(
        self, application: Application, shop: Any, other_shop: Any
    ) -> None:
        reply = await application.ask(STORES, token=shop.token, tenant=other_shop.code)
        assert (reply.status, reply.codes) == (401, ["UNAUTHENTICATED"])
        assert "data" not in reply.body

    async def test_must_exist(self, application: Application) -> None:
        reply = await application.ask(STORES, tenant="nobody-of-that-name")
        assert (reply.status, reply.codes) == (400, ["NOT_FOUND"])
        assert reply.body["errors"][0]["message"] == "Tenant nobody-of-that-name does not exist."

    async def test_is_none_on_an_unknown_host(self, application: Application, shop: Any) -> None:
        assert await stores(application, host="elsewhere.test") == []
        reply = await application.ask(ADD_WORD, {"word": "x"}, host="elsewhere.test")
        assert reply.codes == ["UNAUTHENTICATED"]
        reply = await application.ask(LOGIN, {"email": shop.keys["email"], "password": PASSWORD}, host="elsewhere.test")
        assert reply.data["login"]["code"] == "INVALID_INPUT"

    @pytest.mark.parametrize("name", ["a\tb", "ä", "x" * 5_000, "harbour'--", "../harbour"])
    async def test_is_none_of_names_that_no_tenant_can_have(self, application: Application, name: str) -> None:
        reply = await application.post(
            "/graphql",
            json.dumps({"query": STORES}),
            {b"x-agora-tenant": name.encode()},  # type: ignore[dict-item]
        )
        assert (reply.status, reply.codes) == (400, ["NOT_FOUND"])


@pytest.fixture(scope="module")
async def asleep(open_shop: Any, application_settings: Settings) -> Any:
    made = await open_shop("asleep")
    engine = create_engine(
        application_settings.database_url.replace("postgresql://", "postgresql+psycopg://"), poolclass=NullPool
    )
    with engine.begin() as connection:
        statement = "UPDATE tenancy.tenant SET status = 'suspended' WHERE code = 'asleep'"
        connection.execute(text(statement))
    return made


class TestASuspendedTenant:
    async def test_can_be_read(self, application: Application, asleep: Any) -> None:
        assert asleep.keys["store"] in await stores(application, tenant=asleep.code)

    async def test_lets_people_in(self, application: Application, asleep: Any) -> None:
        token = await application.log_in(asleep.keys["email"], PASSWORD, asleep.code)
        reply = await application.ask(ME, token=token)
        assert reply.data["me"]["email"] == asleep.keys["email"]

    async def test_cannot_be_changed(self, application: Application, asleep: Any) -> None:
        reply = await application.ask(ADD_WORD, {"word": "nothing"}, token=asleep.token)
        assert reply.data["addSkipWord"]["__typename"] == "TenantReadOnly"
        words = await application.ask("{ skipWords { word } }", token=asleep.token)
        assert words.data["skipWords"] == [{"word": "Agora"}]


@pytest.fixture(scope="module")
async def translated(application: Application, shop: Any, worker: None) -> None:
    """Wait until the catalogue has heard of the translation."""

    async def heard() -> bool:
        document = 'query($id: ID!) { product(id: $id) { name(language: "fr") } }'
        reply = await application.ask(document, {"id": shop.keys["product"]}, tenant=shop.code)
        return reply.data["product"]["name"] == "Lampe"

    await eventually(heard)


class TestTheLanguage:
    @pytest.mark.parametrize(
        ("accepted", "name"),
        [("fr", "Lampe"), ("fr-CA, en;q=0.5", "Lampe"), ("de, en", "Lamp"), ("*", "Lamp"), ("€;q=;;", "Lamp")],
    )
    async def test_is_what_the_caller_accepts(
        self, application: Application, shop: Any, translated: None, accepted: str, name: str
    ) -> None:
        document = "query($id: ID!) { product(id: $id) { name } }"
        body = json.dumps({"query": document, "variables": {"id": shop.keys["product"]}})
        headers = {b"x-agora-tenant": shop.code.encode(), b"accept-language": accepted.encode()}
        reply = await application.post("/graphql", body, headers)  # type: ignore[arg-type]
        assert reply.data["product"]["name"] == name


class TestALogin:
    async def test_gives_a_token_that_says_who_is_calling(self, application: Application, shop: Any) -> None:
        token = await application.log_in(shop.keys["email"], PASSWORD, shop.code)
        reply = await application.ask(ME, token=token)
        assert reply.data["me"] == {"id": shop.keys["user"], "email": shop.keys["email"]}

    async def test_is_refused_alike_for_a_wrong_password_and_for_nobody(
        self, application: Application, shop: Any
    ) -> None:
        told = []
        for email in (shop.keys["email"], "nobody@example.com"):
            reply = await application.ask(LOGIN, {"email": email, "password": "wrong"}, tenant=shop.code)
            told.append(reply.data["login"])
        assert told[0] == told[1]
        assert told[0]["code"] == "INVALID_CREDENTIALS"

    async def test_of_one_tenant_is_not_one_of_another(
        self, application: Application, shop: Any, other_shop: Any
    ) -> None:
        credentials = {"email": shop.keys["email"], "password": PASSWORD}
        reply = await application.ask(LOGIN, credentials, tenant=other_shop.code)
        assert reply.data["login"]["code"] == "INVALID_CREDENTIALS"


def expired(settings: Settings, principal: Principal) -> str:
    tokens = token_service(settings, key_ring(settings))
    return tokens.issue(principal, datetime.now(UTC) - tokens.lifetime - timedelta(minutes=5)).token


def forged(token: str, how: str) -> str:
    head, claims, signature = token.split(".")
    if how == "signature":
        return f"{head}.{claims}.{signature[:-4]}AAAA"
    if how == "claims":
        said = json.loads(base64.urlsafe_b64decode(claims + "=="))
        return f"{head}.{_encoded({**said, 'permissions': ['*'], 'scope': '*'})}.{signature}"
    if how == "no algorithm":
        return f"{_encoded({'alg': 'none', 'typ': 'JWT'})}.{claims}."
    if how == "another key":
        return expired(Settings(secret_key="another secret that is long enough"), Principal(user_id=uuid7()))
    return how


def _encoded(value: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")


FORGERIES = ["signature", "claims", "no algorithm", "another key", "rubbish", "a.b.c", "a" * 3_000]


class TestABadToken:
    @pytest.fixture(params=[*FORGERIES, "expired"])
    def bad(self, request: pytest.FixtureRequest, application_settings: Settings, shop: Any) -> str:
        if request.param == "expired":
            return expired(application_settings, shop.market.admin)
        return forged(shop.token, request.param)

    async def test_is_refused_over_http(self, application: Application, bad: str) -> None:
        reply = await application.ask("{ __typename }", token=bad)
        assert (reply.status, reply.codes) == (401, ["UNAUTHENTICATED"])
        assert reply.response.headers["content-type"].startswith(("application/json", "application/graphql-response"))

    async def test_closes_a_websocket(self, application: Application, bad: str) -> None:
        async with application.socket(authorization=f"Bearer {bad}") as opened:
            with pytest.raises(ConnectionClosed) as closed:
                await next_message(opened)
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 4403

    async def test_uploads_nothing(self, application: Application, bad: str) -> None:
        reply = await application.post("/imports/files?name=a.csv", b"sku", {"authorization": f"Bearer {bad}"})
        assert (reply.status, reply.body["code"]) == (401, "UNAUTHENTICATED")

    async def test_is_refused_by_each_subgraph(self, application: Application, bad: str) -> None:
        reply = await application.ask_subgraph("catalog", "{ __typename }", authorization=f"Bearer {bad}")
        assert (reply.status, reply.codes) == (401, ["UNAUTHENTICATED"])


class TestTheCorrelationId:
    async def test_runs_from_the_request_to_the_event(self, application: Application, shop: Any) -> None:
        given = f"order-desk/{uuid7()}"
        reply = await application.ask(ADD_WORD, {"word": "Correlated"}, token=shop.token, x_correlation_id=given)
        assert reply.data["addSkipWord"]["__typename"] == "SkipWord"
        assert reply.response.headers["x-correlation-id"] == given
        trail = await application.ask(
            "query($id: String!) { auditLog(filter: {correlationId: $id}) { nodes { name correlationId userId } } }",
            {"id": given},
            token=shop.token,
        )
        found = trail.data["auditLog"]["nodes"]
        assert [(each["correlationId"], each["userId"]) for each in found] == [(given, shop.keys["user"])]

    @pytest.mark.parametrize("given", ["", "with space", "x" * 129, "<script>"])
    async def test_is_made_where_none_of_use_is_given(self, application: Application, given: str) -> None:
        reply = await application.ask("{ __typename }", x_correlation_id=given)
        made = reply.response.headers["x-correlation-id"]
        assert len(made) == 32
        assert made != given


class TestAnUnexpectedError:
    @pytest.fixture
    async def broken(self, application_settings: Settings) -> Any:
        """Take away a table that a port reads from."""
        engine = create_engine(
            application_settings.database_url.replace("postgresql://", "postgresql+psycopg://"), poolclass=NullPool
        )
        with engine.begin() as connection:
            connection.execute(text("ALTER TABLE localization.skip_word RENAME TO mislaid_word"))
        yield
        with engine.begin() as connection:
            connection.execute(text("ALTER TABLE localization.mislaid_word RENAME TO skip_word"))

    async def test_is_masked_and_logged_with_the_correlation_id(
        self, application: Application, shop: Any, broken: None
    ) -> None:
        with structlog.testing.capture_logs() as lines:
            reply = await application.ask("{ skipWords { word } }", token=shop.token, x_correlation_id="find-me")
        (error,) = reply.body["errors"]
        assert (error["message"], error["path"]) == ("Internal error", ["skipWords"])
        assert error["extensions"] == {"code": "INTERNAL", "correlationId": "find-me"}
        assert "skip_word" not in reply.response.text
        (line,) = [each for each in lines if each["event"] == "unexpected error"]
        assert (line["correlation_id"], line["log_level"]) == ("find-me", "error")
        assert "skip_word" in str(line["exc_info"])

    async def test_of_a_change_leaves_nothing_behind(self, application: Application, shop: Any, broken: None) -> None:
        with structlog.testing.capture_logs():
            reply = await application.ask(ADD_WORD, {"word": "Mislaid"}, token=shop.token, x_correlation_id="no-trace")
        assert reply.codes == ["INTERNAL"]
        trail = await application.ask(
            '{ auditLog(filter: {correlationId: "no-trace"}) { totalCount } }', token=shop.token
        )
        assert trail.data["auditLog"]["totalCount"] == 0


@pytest.fixture(scope="module")
async def production(application_settings: Settings) -> Any:
    settings = application_settings.model_copy(update={"environment": "production"})
    with served(settings) as running:
        yield running
        await running.client.aclose()


class TestInProduction:
    async def test_there_is_no_introspection(self, production: Application) -> None:
        reply = await production.ask(get_introspection_query())
        assert reply.codes
        assert "__schema" not in json.dumps(reply.body.get("data"))

    async def test_there_are_no_suggestions_and_no_explorer(self, production: Application) -> None:
        reply = await production.ask("{ produkts { nodes { id } } }")
        assert "Did you mean" not in reply.response.text
        page = await production.client.get("/graphql", headers={"accept": "text/html"})
        assert "<html" not in page.text.lower()

    async def test_subgraphs_still_tell_a_router_what_they_are(self, production: Application) -> None:
        reply = await production.ask_subgraph("catalog", "{ _service { sdl } }")
        assert "type Product" in reply.data["_service"]["sdl"]


class TestInDevelopment:
    async def test_the_schema_tells_itself(self, application: Application) -> None:
        reply = await application.ask(get_introspection_query())
        assert "products" in build_client_schema(reply.data).query_type.fields  # type: ignore[union-attr]

    @pytest.mark.parametrize("example", EXAMPLES, ids=lambda each: each.title)
    async def test_the_explorers_examples_work(self, application: Application, shop: Any, example: Any) -> None:
        variables = json.loads(example.variables) if example.variables else {}
        reply = await application.ask(example.query, variables, host=shop.host)
        assert reply.data
