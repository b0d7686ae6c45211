"""Logging in by providers, linking them, and what a tenant sets up of its own."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from domain.identity import external, single_sign_on, social_login
from domain.identity.external import ExternalIdentity, ExternalIdentityReads
from domain.identity.identity_providers import (
    Authorization,
    IdentityProviders,
    LoginOffer,
    ProviderKind,
    Redemption,
    VouchedIdentity,
)
from domain.identity.sessions import Client
from domain.identity.single_sign_on import SingleSignOnReads
from domain.identity.social_login import EnterByIdentity, LinkSocialIdentity, LoginSecrets, ReopenSocialLogin
from domain.kernel import Unavailable
from domain.processes import signing_in
from domain.processes.signing_in import BeginSocialLogin, ClaimedLogin, ClaimSocialLogin, FindConnection
from resolvers.identity.door import Authentication, authenticated
from resolvers.kernel import Context, transacts

configure_single_sign_on = transacts(signing_in.configure_single_sign_on)
remove_single_sign_on = transacts(single_sign_on.remove_single_sign_on)
unlink_social_identity = transacts(external.unlink_social_identity)


@dataclass(frozen=True, kw_only=True)
class SocialLoginStart:
    """Where the browser goes, and what the client keeps until it comes back."""

    authorization_url: str
    state: str
    binding: str
    expires_at: datetime


async def login_providers(context: Context) -> Sequence[LoginOffer]:
    """List by whom one can log in: the installation's providers, then the tenant's own."""
    own = [
        LoginOffer(provider=row.provider, title=row.title, kind=ProviderKind.OIDC)
        for row in await context.read(SingleSignOnReads).listed()
    ]
    return [*context.service(IdentityProviders).offers(), *own]


async def single_sign_ons(context: Context) -> Sequence[Any]:
    return await context.read(SingleSignOnReads).listed()


async def my_identities(context: Context) -> Any:
    return await context.load(identities_of_users, context.principal.require_user())


async def identities_of_users(context: Context, ids: Sequence[UUID]) -> Sequence[Any]:
    return await context.read(ExternalIdentityReads).of_users(ids)


async def begin_social_login(context: Context, provider: str, redirect_uri: str) -> SocialLoginStart:
    """Begin: the provider is asked where to go outside of any transaction, and nothing is kept where it cannot be."""
    connection = await context.transact(
        signing_in.find_connection, FindConnection(provider=provider, redirect_uri=redirect_uri)
    )
    made = LoginSecrets.fresh()
    way = Authorization(state=made.state, nonce=made.nonce, verifier=made.verifier, redirect_uri=redirect_uri)
    address = await context.service(IdentityProviders).authorization_url(connection, way)
    command = BeginSocialLogin(provider=provider, redirect_uri=redirect_uri, secrets=made)
    begun = await context.transact(signing_in.begin_social_login, command)
    return SocialLoginStart(
        authorization_url=address, state=made.state, binding=made.binding, expires_at=begun.expires_at
    )


async def log_in_by_provider(
    context: Context,
    provider: str,
    code: str,
    state: str,
    binding: str,
    issuer: str | None = None,
    device_name: str | None = None,
) -> Authentication:
    """Come back from a provider, and open a session for whom it vouches for."""
    claim = ClaimSocialLogin(provider=provider, state=state, binding=binding)
    claimed, vouched = await _vouched(context, claim, code, issuer)
    client = Client(address=context.address, user_agent=context.user_agent, device_name=device_name)
    command = EnterByIdentity(login_id=claimed.login.id, provider=provider, vouched=vouched, client=client)
    signed_in = await context.transact(social_login.enter_by_identity, command)
    if signed_in is None:
        signed_in = await context.transact(social_login.admit_by_identity, command)
    return authenticated(context, signed_in)


async def link_social_identity(
    context: Context, provider: str, code: str, state: str, binding: str, issuer: str | None = None
) -> ExternalIdentity:
    """Come back from a provider, and link whom it vouches for to the user who is logged in."""
    by = context.principal.require_user()
    claim = ClaimSocialLogin(provider=provider, state=state, binding=binding, by=by)
    claimed, vouched = await _vouched(context, claim, code, issuer)
    command = LinkSocialIdentity(login_id=claimed.login.id, provider=provider, vouched=vouched)
    return await context.transact(social_login.link_social_identity, command)


async def _vouched(
    context: Context, claim: ClaimSocialLogin, code: str, issuer: str | None
) -> tuple[ClaimedLogin, VouchedIdentity]:
    claimed = await context.transact(signing_in.claim_social_login, claim)
    back = Redemption(
        code=code,
        nonce=claimed.nonce,
        verifier=claimed.verifier,
        redirect_uri=claimed.login.redirect_uri,
        issuer=issuer,
    )
    try:
        vouched = await context.service(IdentityProviders).identify(claimed.connection, back)
    except Unavailable:
        # The provider may not even have heard of it: the client can come back with the same code.
        await context.transact(social_login.reopen_social_login, ReopenSocialLogin(id=claimed.login.id))
        raise
    return claimed, social_login.usable(vouched, claimed.login)
