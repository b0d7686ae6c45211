"""A house whose people may come in by a provider that really runs."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from sqlalchemy import text

from data.encryption import AesCipher
from domain.identity.identity_providers import IdentityProviders
from domain.identity.sessions import AccessPolicy
from domain.tenancy import Cipher
from server.sign_on.directory import ConfiguredProviders, SignOnSettings
from tests.identity_provider import ANN, BACK, CLIENT_ID, CLIENT_SECRET, SCOPES, Provider, come_back

BEGIN = """mutation($provider: String!, $back: String!) { beginSocialLogin(provider: $provider, redirectUri: $back) {
  __typename ... on SocialLoginStart { authorizationUrl state binding expiresAt } ... on Error { code message } } }"""
ENTER = """mutation($provider: String!, $code: String!, $state: String!, $binding: String!, $issuer: String) {
  socialLogin(provider: $provider, code: $code, state: $state, binding: $binding, issuer: $issuer, deviceName: "Phone") {
    __typename
    ... on Authentication { accessToken refreshToken user { id email firstName lastName displayName roles { role } } session { deviceName } }
    ... on Error { code message } } }"""
LINK = """mutation($provider: String!, $code: String!, $state: String!, $binding: String!, $issuer: String) {
  linkSocialIdentity(provider: $provider, code: $code, state: $state, binding: $binding, issuer: $issuer) {
    __typename ... on ExternalIdentity { id provider email } ... on Error { code message } } }"""
UNLINK = """mutation($id: ID!) { unlinkSocialIdentity(input: {id: $id}) {
  __typename ... on ExternalIdentity { id } ... on Error { code } } }"""
MINE = "{ myIdentities { id provider email linkedAt lastUsedAt } }"
CONFIGURE = """mutation($input: ConfigureSingleSignOnInput!) { configureSingleSignOn(input: $input) {
  __typename ... on SingleSignOn { provider domains isEnforced roles { group role } scopes } ... on Error { code message } } }"""
REMOVE = """mutation($provider: String!) { removeSingleSignOn(input: {provider: $provider}) {
  __typename ... on SingleSignOn { provider } ... on Error { code } } }"""
PEOPLE = {
    "ann": ANN,
    "bob": {"email": "bob@acme.example", "email_verified": True},
    "eve": {"email": "eve@elsewhere.example", "email_verified": True},
    "unverified": {"email": "ann@acme.example", "email_verified": False},
}
LOCAL = "ann@acme.example"
STAFF = [{"group": "desk", "role": "support_agent"}, {"group": "bosses", "role": "admin"}]
# What a refusal must leave as it was; that a way round was begun, or used up, is all that may show.
KEPT = ("user", "external_identity", "session", "refresh_token", "role_assignment", "single_sign_on", "login_attempt")


@dataclass
class Traveller:
    """People who log in by a provider, in one tenant; `further` are connections beside the one to the provider."""

    house: Any
    provider: Provider
    further: tuple[Any, ...] = ()
    redirect_uris: tuple[str, ...] = (BACK,)
    providers: ConfiguredProviders = field(init=False)

    def __post_init__(self) -> None:
        connections = (self.provider.connection(), *self.further)
        settings = SignOnSettings(connections=connections, redirect_uris=self.redirect_uris, sheltered=False)
        self.providers = ConfiguredProviders(settings)
        services = {Cipher: AesCipher([bytes(32)]), IdentityProviders: self.providers}
        self.house.services |= services
        self.house.transactions.offer({AccessPolicy: AccessPolicy(), **self.house.services})

    async def begin(self, provider: str = "acme", token: str | None = None, back: str = BACK) -> dict[str, Any]:
        return dict(await self.house.do(BEGIN, token, provider=provider, back=back))

    async def way(self, person: str = "ann", provider: str = "acme", token: str | None = None) -> dict[str, Any]:
        """Go to the provider and back, and give what the client has in hand then."""
        begun = await self.begin(provider, token)
        assert begun["__typename"] == "SocialLoginStart", begun
        back = await come_back(begun["authorizationUrl"], person)
        assert back["state"] == begun["state"]
        return {
            "provider": provider,
            "code": back["code"],
            "state": back["state"],
            "binding": begun["binding"],
            "issuer": back["iss"],
        }

    async def enter(self, way: dict[str, Any], **changed: Any) -> dict[str, Any]:
        return dict(await self.house.do(ENTER, **{**way, **changed}))

    async def come_in(self, person: str = "ann", provider: str = "acme") -> dict[str, Any]:
        return await self.enter(await self.way(person, provider))

    async def link(self, token: str, person: str = "ann", provider: str = "acme") -> dict[str, Any]:
        return dict(await self.house.do(LINK, token, **await self.way(person, provider, token)))

    async def both(self, *ways: dict[str, Any]) -> list[Any]:
        return await asyncio.gather(*(self.enter(each) for each in ways))

    async def configure(self, token: str, **changed: Any) -> dict[str, Any]:
        """Set up the tenant's own provider, which is the same one."""
        given = {
            "name": "acme",
            "title": "Acme",
            "issuer": self.provider.issuer,
            "clientId": CLIENT_ID,
            "clientSecret": CLIENT_SECRET,
            "scopes": list(SCOPES[1:]),
            "groupsClaim": "groups",
            **changed,
        }
        return dict(await self.house.do(CONFIGURE, token, input=given))

    async def rows(self, statement: str, **parameters: Any) -> list[Any]:
        async with self.house.database.session(self.house.tenant_id) as session:
            return list(await session.execute(text(statement), parameters))

    async def kept(self) -> dict[str, Any]:
        """Give everything that a refusal must leave alone."""
        found = {}
        for table in KEPT:
            found[table] = await self.rows(
                f"SELECT md5(coalesce(string_agg(t::text, '|' ORDER BY t::text), '')) FROM identity.\"{table}\" AS t"
            )
        found["events"] = await self.rows("SELECT count(*) FROM platform.event_log")
        return found

    async def events(self, name: str) -> list[Any]:
        return [
            row.data for row in await self.rows("SELECT data FROM platform.event_log WHERE name = :name", name=name)
        ]

    async def verify(self, email: str) -> None:
        await self.rows(
            "UPDATE identity.user SET email_verified_at = now() WHERE email = :email RETURNING id", email=email
        )

    async def lock(self, user_id: str) -> None:
        await self.rows("UPDATE identity.user SET status = 'locked' WHERE id = :id RETURNING id", id=UUID(user_id))


@asynccontextmanager
async def travelling(house: Any, provider: Provider, **more: Any) -> AsyncIterator[Traveller]:
    made = Traveller(house, provider, **more)
    try:
        yield made
    finally:
        await made.providers.close()
