"""From credentials to a principal."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from starlette.requests import HTTPConnection

from domain.identity.sessions import Revocations
from domain.kernel import Principal, Unauthenticated, uuid7
from server.auth import Authenticator, IssuingTokens, RevocationList, bearer_token
from server.tokens import KeyRing, TokenService

START = datetime(2026, 3, 14, 15, 9, 26, tzinfo=UTC)
ANN = Principal(user_id=uuid7(), tenant_id=uuid7(), session_id=uuid7())


class Desk:
    """An authenticator whose list of revocations is a field, with the reads of it counted."""

    def __init__(self) -> None:
        self.now = START
        self.revoked = Revocations()
        self.reads = 0
        self.broken = False
        self.tokens = TokenService(
            KeyRing(lambda purpose, length: (purpose * length).encode()[:length], clock=self.clock),
            issuer="https://shop.test",
            audience="agora",
            lifetime=timedelta(minutes=15),
            clock=self.clock,
        )
        self.list = RevocationList(self.load, self.tokens.lifetime, clock=self.clock)
        self.auth = Authenticator(self.tokens, self.list, remember=2, clock=self.clock)

    def clock(self) -> float:
        return self.now.timestamp()

    async def load(self, since: datetime) -> Revocations:
        assert since <= self.now - self.tokens.lifetime
        self.reads += 1
        if self.broken:
            raise ConnectionError
        return self.revoked

    def token(self, principal: Principal = ANN) -> str:
        return self.tokens.issue(principal, self.now).token


@pytest.fixture
def desk() -> Desk:
    return Desk()


def connection(**headers: str) -> HTTPConnection:
    raw = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    return HTTPConnection({"type": "http", "headers": raw})


class TestBearerToken:
    def test_stands_in_the_header_or_in_connection_init(self) -> None:
        assert bearer_token(connection()) is None
        assert bearer_token(connection(authorization="Bearer abc")) == "abc"
        assert bearer_token(connection(authorization="bearer abc")) == "abc"
        assert bearer_token(connection(), {"Authorization": "Bearer abc"}) == "abc"
        assert bearer_token(connection(), {"accessToken": "abc"}) == "abc"
        assert bearer_token(connection(authorization="Bearer abc"), {"authorization": "Bearer def"}) == "def"
        assert bearer_token(connection(authorization="Bearer abc"), {}) == "abc"

    @pytest.mark.parametrize("wrong", ["Basic abc", "Bearer", "Bearer ", "abc"])
    def test_is_never_overlooked(self, wrong: str) -> None:
        with pytest.raises(Unauthenticated):
            bearer_token(connection(authorization=wrong))

    @pytest.mark.parametrize("wrong", [{"authorization": 5}, {"accessToken": []}, {"accessToken": ""}])
    def test_is_a_text(self, wrong: dict[str, Any]) -> None:
        with pytest.raises(Unauthenticated):
            bearer_token(connection(), wrong)


class TestAuthenticator:
    async def test_knows_guests_from_people(self, desk: Desk) -> None:
        assert await desk.auth.authenticate(connection()) is None
        verified = await desk.auth.authenticate(connection(authorization=f"Bearer {desk.token()}"))
        assert verified is not None
        assert verified.principal == ANN

    async def test_takes_no_bad_token_for_a_guest(self, desk: Desk) -> None:
        with pytest.raises(Unauthenticated):
            await desk.auth.authenticate(connection(authorization="Bearer a.b.c"))

    async def test_remembers_a_token_until_it_runs_out(self, desk: Desk) -> None:
        token = desk.token()
        first = await desk.auth.check(token)
        assert await desk.auth.check(token) is first
        desk.now += timedelta(minutes=15)
        with pytest.raises(Unauthenticated, match="expired"):
            await desk.auth.check(token)

    async def test_remembers_only_so_many(self, desk: Desk) -> None:
        token = desk.token()
        first = await desk.auth.check(token)
        for _ in range(2):
            await desk.auth.check(desk.token())
        again = await desk.auth.check(token)
        assert again == first
        assert again is not first

    async def test_reads_the_revocations_once_in_five_seconds(self, desk: Desk) -> None:
        token = desk.token()
        for _ in range(100):
            await desk.auth.check(token)
        assert desk.reads == 1
        desk.now += timedelta(seconds=5)
        await desk.auth.check(token)
        assert desk.reads == 2

    async def test_refuses_an_ended_session_within_five_seconds(self, desk: Desk) -> None:
        token = desk.token()
        await desk.auth.check(token)
        desk.revoked = Revocations(sessions=frozenset({ANN.session_id}))
        desk.now += timedelta(seconds=5)
        with pytest.raises(Unauthenticated):
            await desk.auth.check(token)

    async def test_refuses_a_session_ended_here_at_once(self, desk: Desk) -> None:
        token = desk.token()
        verified = await desk.auth.check(token)
        IssuingTokens(desk.tokens, desk.list).withdraw(ANN.session_id)
        with pytest.raises(Unauthenticated):
            await desk.auth.recheck(verified)

    async def test_refuses_tokens_made_before_the_roles_changed(self, desk: Desk) -> None:
        old = desk.token()
        desk.now += timedelta(microseconds=1)
        desk.revoked = Revocations(users={ANN.user_id: desk.now})
        with pytest.raises(Unauthenticated, match="refresh"):
            await desk.auth.check(old)
        assert (await desk.auth.check(desk.token())).principal == ANN

    async def test_goes_on_with_the_list_at_hand_when_it_cannot_be_read(self, desk: Desk) -> None:
        token = desk.token()
        desk.revoked = Revocations(sessions=frozenset({uuid7()}))
        await desk.auth.check(token)
        desk.broken = True
        desk.now += timedelta(seconds=5)
        assert (await desk.auth.check(token)).principal == ANN

    async def test_trusts_nothing_before_the_list_was_read_once(self, desk: Desk) -> None:
        desk.broken = True
        with pytest.raises(ConnectionError):
            await desk.auth.check(desk.token())
