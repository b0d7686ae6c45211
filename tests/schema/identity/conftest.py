"""A tenant to test identity in through its graph: a real PostgreSQL, real hashes and real tokens."""

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar
from uuid import UUID

import pytest
from sqlalchemy import event

from data.database import Database
from data.passwords import Argon2Cost, Argon2Hasher
from data.transactions import SqlTransactions
from domain.identity.administration import AssignRole, assign_role
from domain.identity.factors import Secrets
from domain.identity.guarding import DeviceTokens
from domain.identity.passkeys import PasskeyChecks, RelyingParties, RelyingParty
from domain.identity.passwords import PasswordHasher, PasswordScreen
from domain.identity.sessions import AccessPolicy, AccessTokens, RevocationReads, Revocations
from domain.kernel import NOBODY, SYSTEM, InvalidInput, Principal, Work
from resolvers.kernel import Context
from schema.identity import subgraph
from schema.supergraph import Supergraph
from server.auth import Authenticator, IssuingTokens, RevocationList
from server.identity.keys import KeyedSecrets, SignedDeviceTokens
from server.identity.known_passwords import KnownPasswords
from server.identity.webauthn import WebAuthn
from server.tokens import KeyRing, TokenService

START = datetime(2026, 3, 14, 15, 9, 26, tzinfo=UTC)
CHEAP = Argon2Cost(memory_kib=64, passes=1)


class AtHome:
    """The one site of the tests."""

    async def at(self, tenant_id: UUID, origin: str | None) -> RelyingParty:
        if origin not in {None, "https://shop.test"}:
            raise InvalidInput(field="origin", reason="it is none of the origins of this shop")
        return RelyingParty(id="shop.test", name="Shop", origins=("https://shop.test",))


class Clock:
    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> float:
        return self.now.timestamp()


@pytest.fixture(scope="session")
def graph() -> Supergraph:
    return Supergraph({"identity": subgraph})


@dataclass
class Answer:
    data: Any
    errors: list[Any]
    reads: int
    writes: int

    @property
    def codes(self) -> list[str]:
        return [each.original_error.code for each in self.errors]


@dataclass
class House:
    """One process that serves a tenant: what it answers to whoever calls with or without a token."""

    REGISTER: ClassVar[str] = """mutation($email: String!, $password: String!) {
  register(email: $email, password: $password, firstName: "Ann") {
    __typename ... on Registration { email } ... on Error { code message } } }"""
    LOGIN: ClassVar[str] = """mutation($email: String!, $password: String!) {
  login(email: $email, password: $password, deviceName: "Laptop") {
    __typename
    ... on Authentication { accessToken refreshToken expiresIn user { id email } session { id deviceName isCurrent } }
    ... on Error { code message }
    ... on TooManyAttempts { retryAfterSeconds } } }"""
    REFRESH: ClassVar[str] = """mutation($given: String!) { refreshToken(refreshToken: $given) {
  __typename ... on Authentication { accessToken refreshToken user { email } } ... on Error { code } } }"""
    LOGOUT: ClassVar[str] = (
        "mutation { logout { __typename ... on UserSession { revokedReason } ... on Error { code } } }"
    )
    ME: ClassVar[str] = "{ me { id displayName email roles { role storeId } } }"
    PASSWORD: ClassVar[str] = "correct horse"

    graph: Supergraph
    database: Database
    tenant_id: UUID
    hasher: Argon2Hasher
    clock: Clock = field(default_factory=Clock)

    def __post_init__(self) -> None:
        tokens = TokenService(
            KeyRing(lambda purpose, length: (purpose * length).encode()[:length], clock=self.clock),
            issuer="https://shop.test",
            audience="agora",
            lifetime=timedelta(minutes=15),
            clock=self.clock,
        )
        revocations = RevocationList(self.revoked_since, tokens.lifetime, clock=self.clock)
        self.auth = Authenticator(tokens, revocations, clock=self.clock)
        self.services = {
            AccessPolicy: AccessPolicy(),
            PasswordHasher: self.hasher,
            AccessTokens: IssuingTokens(tokens, revocations),
            Secrets: KeyedSecrets(b"c" * 32, b"d" * 32),
            DeviceTokens: SignedDeviceTokens(b"e" * 32),
            PasswordScreen: KnownPasswords(),
            PasskeyChecks: WebAuthn(),
            RelyingParties: AtHome(),
        }
        self.transactions = SqlTransactions(self.database, self.services)

    async def revoked_since(self, moment: datetime) -> Revocations:
        reads = self.database.system_reads()
        try:
            return await reads.port(RevocationReads).since(moment)
        finally:
            await reads.close()

    async def ask(
        self, document: str, token: str | None = None, address: str = "192.0.2.7", **variables: Any
    ) -> Answer:
        principal = (await self.auth.check(token)).principal if token else NOBODY
        return await self.ask_as(principal, document, address, **variables)

    async def ask_as(self, principal: Principal, document: str, address: str = "192.0.2.7", **variables: Any) -> Answer:
        reads = self.database.reads(self.tenant_id)
        context = Context(
            reads=reads,
            transactions=self.transactions,
            services=self.services,
            principal=principal,
            tenant_id=self.tenant_id,
            address=address,
            now=lambda: self.clock.now,
        )
        with statements(self.database) as written:
            result = await self.graph.execute(document, variable_values=variables, context_value=context)
        await context.forget()
        return Answer(result.data, list(result.errors or []), reads.statements, len(written))

    async def do(self, document: str, token: str | None = None, **variables: Any) -> dict[str, Any]:
        """Ask, expect no error, and give the one root field's answer."""
        answer = await self.ask(document, token, **variables)
        assert answer.errors == []
        (found,) = answer.data.values()
        return dict(found)

    async def register(self, email: str = "ann@example.com", password: str = PASSWORD) -> dict[str, Any]:
        return await self.do(self.REGISTER, email=email, password=password)

    async def login(self, email: str = "ann@example.com", password: str = PASSWORD) -> dict[str, Any]:
        return await self.do(self.LOGIN, email=email, password=password)

    async def member(self, email: str = "ann@example.com", *roles: str) -> dict[str, Any]:
        """Register somebody, give them roles, and log them in."""
        await self.register(email)
        first = await self.login(email)
        for role in roles:
            work = Work(tenant_id=self.tenant_id, actor=SYSTEM, now=self.clock.now, correlation_id="test")
            await self.transactions.run(assign_role, AssignRole(user_id=UUID(first["user"]["id"]), role=role), work)
        return await self.login(email) if roles else first


@contextmanager
def statements(database: Database) -> Iterator[list[str]]:
    seen: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        seen.append(statement)

    event.listen(database.engine.sync_engine, "before_cursor_execute", note)
    try:
        yield seen
    finally:
        event.remove(database.engine.sync_engine, "before_cursor_execute", note)


@pytest.fixture(scope="session")
async def hasher() -> AsyncIterator[Argon2Hasher]:
    made = Argon2Hasher(CHEAP)
    yield made
    made.close()


@pytest.fixture
def make_house(graph: Supergraph, database: Database, hasher: Argon2Hasher) -> Callable[[UUID], House]:
    return lambda tenant_id: House(graph, database, tenant_id, hasher)


@pytest.fixture
def house(make_house: Callable[[UUID], House], tenant_id: UUID) -> House:
    return make_house(tenant_id)
