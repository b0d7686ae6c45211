"""Logging in by providers: social log-in for everybody, single sign-on for the staff of a tenant."""

from datetime import datetime
from typing import Any
from uuid import UUID

import strawberry

from domain.identity import entering, external, identity_providers, single_sign_on, users
from domain.kernel import AlreadyExists, Forbidden, Unavailable
from resolvers.identity import sign_on
from resolvers.kernel import Context
from schema.identity.door import ANYBODY, IN_PERSON
from schema.identity.entities import Authentication
from schema.inputs import enum_of
from schema.kernel import AUTHENTICATED, PUBLIC, action, command, computed, in_person, in_session, permission, query

SSO = permission("identity.sso")
REFUSED = [identity_providers.SocialLoginRefused, single_sign_on.SingleSignOnRefused, Unavailable]
CLOSED = [users.AccountLocked, users.AccountDeactivated]

enum_of(identity_providers.ProviderKind)


@strawberry.type(description="A provider that one can log in by.")
class LoginProvider:
    __reads__ = (identity_providers.LoginOffer,)

    provider: str = strawberry.field(description="What beginSocialLogin calls it.")
    title: str
    kind: identity_providers.ProviderKind


@strawberry.type(description="The beginning of a log-in by a provider; it is good for ten minutes and one return.")
class SocialLoginStart:
    __reads__ = (sign_on.SocialLoginStart,)

    authorization_url: str = strawberry.field(description="Where the browser goes now.")
    state: str = strawberry.field(description="Comes back in the redirect; compare it.")
    binding: str = strawberry.field(description="Keep it where the log-in began, in no URL: it proves the return.")
    expires_at: datetime


@strawberry.type(description="That a provider knows a person, under which a user can log in.")
class ExternalIdentity:
    __reads__ = (external.ExternalIdentity,)

    id: UUID
    provider: str
    email: str | None = strawberry.field(description="As the provider tells it, verified or not.")
    linked_at: datetime
    last_used_at: datetime | None


@strawberry.type(description="A group of the provider's, and the role that its members have.")
class GroupRole:
    group: str
    role: str


def _roles(connection: Any, _context: Context) -> list[GroupRole]:
    return [GroupRole(**each) for each in connection.roles]


@strawberry.type(description="A tenant's own identity provider. Its secret is told to nobody.")
class SingleSignOn:
    __reads__ = (single_sign_on.SingleSignOn,)

    id: UUID
    provider: str
    title: str
    issuer: str
    client_id: str
    scopes: list[str]
    domains: list[str]
    groups_claim: str | None
    roles = computed(_roles, list[GroupRole])
    is_enforced: bool = strawberry.field(description="Whether staff with such addresses come in by no password.")
    redirect_uris: list[str]
    changed_at: datetime
    proved_at: datetime | None = strawberry.field(description="When somebody came in by it first.")


@strawberry.type
class SignOnQuery:
    """What can be asked about providers."""

    login_providers = query(sign_on.login_providers, list[LoginProvider], who=PUBLIC)
    my_identities = query(sign_on.my_identities, list[ExternalIdentity], who=AUTHENTICATED)
    single_sign_ons = query(sign_on.single_sign_ons, list[SingleSignOn], who=SSO)


@strawberry.type
class SignOnMutation:
    """What can be done by providers and about them."""

    begin_social_login = action(
        sign_on.begin_social_login,
        SocialLoginStart,
        who=ANYBODY,
        result="BeginSocialLoginResult",
        errors=[Unavailable],
    )
    social_login = action(
        sign_on.log_in_by_provider,
        Authentication,
        who=ANYBODY,
        result="SocialLoginResult",
        errors=[*REFUSED, external.LinkingRequired, entering.SecondFactorRequired, *CLOSED],
    )
    link_social_identity = action(
        sign_on.link_social_identity,
        ExternalIdentity,
        who=IN_PERSON,
        result="LinkSocialIdentityResult",
        errors=[*REFUSED, AlreadyExists, *CLOSED],
    )
    unlink_social_identity = command(
        sign_on.unlink_social_identity, ExternalIdentity, who=IN_PERSON, errors=[external.LastWayToLogIn]
    )
    configure_single_sign_on = command(
        sign_on.configure_single_sign_on,
        SingleSignOn,
        who=in_session(in_person(SSO)),
        errors=[Forbidden, AlreadyExists, single_sign_on.SingleSignOnUntried],
    )
    remove_single_sign_on = command(
        sign_on.remove_single_sign_on, SingleSignOn, who=in_session(in_person(SSO)), errors=[Forbidden]
    )
