"""What signing in by providers needs of the cipher that keeps all secrets: tenants' own providers, and ways round."""

from dataclasses import dataclass
from uuid import UUID

from domain.identity.identity_providers import Connection, IdentityProviders, SocialLoginRefused
from domain.identity.roles import Roles, grants_of, require_all
from domain.identity.sessions import hash_token
from domain.identity.single_sign_on import (
    MAX_CONNECTIONS,
    MAX_REDIRECTS,
    ConfigureSingleSignOn,
    SingleSignOn,
    SingleSignOns,
    own_provider,
    require_handing_on,
)
from domain.identity.social_login import LIFETIME, LoginSecrets, SocialLogin, SocialLogins
from domain.kernel import InvalidInput, NotFound, Work, also_when_suspended
from domain.tenancy import Cipher

LONGEST_SECRET = 16_384


async def configure_single_sign_on(
    command: ConfigureSingleSignOn,
    work: Work,
    connections: SingleSignOns,
    roles: Roles,
    providers: IdentityProviders,
    cipher: Cipher,
) -> SingleSignOn:
    """Set up a tenant's own provider; whoever changes a mapping could have made it.

    Raises: InvalidInput, NotFound for a role, Forbidden, SingleSignOnUntried.
    """
    provider = own_provider(command.name)
    known = await connections.of_provider(provider)
    await require_handing_on(work.actor, [each.role for each in command.roles or ()], roles)
    if known is None:
        known = await _added(provider, command, work, connections)
    else:
        require_all(work.actor, await grants_of([each["role"] for each in known.roles], roles))
    redirects = command.redirect_uris or ()
    if len(redirects) > MAX_REDIRECTS:
        raise InvalidInput(field="redirectUris", reason=f"there are at most {MAX_REDIRECTS}")
    for each in redirects:
        providers.accept_redirect(each, redirects)
    issuer = providers.accept_issuer(command.issuer)
    known.configure(command, issuer, _sealed(command.client_secret, known, cipher), work)
    return known


async def _added(provider: str, command: ConfigureSingleSignOn, work: Work, connections: SingleSignOns) -> SingleSignOn:
    if command.client_secret is None:
        raise InvalidInput(field="clientSecret", reason="a new provider needs one")
    if len(await connections.all()) >= MAX_CONNECTIONS:
        raise InvalidInput(field="name", reason=f"a tenant has at most {MAX_CONNECTIONS} providers")
    made = SingleSignOn(tenant_id=work.tenant_id, provider=provider, changed_at=work.now)
    connections.add(made)
    return made


def _sealed(secret: str | None, known: SingleSignOn, cipher: Cipher) -> str:
    if secret is None:
        return known.sealed
    if not 0 < len(secret) <= LONGEST_SECRET:
        raise InvalidInput(field="clientSecret", reason=f"it has between 1 and {LONGEST_SECRET} characters")
    return cipher.encrypt(secret, known.place)


@dataclass(frozen=True, kw_only=True)
class FindConnection:
    """Ask how a provider is spoken to, for somebody who wants to come back to `redirect_uri`."""

    provider: str
    redirect_uri: str


@also_when_suspended
async def find_connection(
    command: FindConnection,
    work: Work,  # noqa: ARG001 — a handler is given its work.
    connections: SingleSignOns,
    providers: IdentityProviders,
    cipher: Cipher,
) -> Connection:
    """Give the installation's provider of that name, or the tenant's.

    Raises: NotFound, InvalidInput.
    """
    own = await connections.of_provider(command.provider)
    providers.accept_redirect(command.redirect_uri, own.redirect_uris if own else ())
    return _connection(command.provider, own, providers, cipher)


@dataclass(frozen=True, kw_only=True)
class BeginSocialLogin:
    """Keep what a way round by a provider will be held to; `secrets` come in clear and are kept as digests, or sealed."""

    provider: str
    redirect_uri: str
    secrets: LoginSecrets


@also_when_suspended
async def begin_social_login(
    command: BeginSocialLogin, work: Work, logins: SocialLogins, cipher: Cipher
) -> SocialLogin:
    """Begin; whoever is logged in may link with it what comes back."""
    begun = SocialLogin(
        tenant_id=work.tenant_id,
        provider=command.provider,
        state_hash=hash_token(command.secrets.state),
        binding_hash=hash_token(command.secrets.binding),
        redirect_uri=command.redirect_uri,
        user_id=work.actor.user_id,
        expires_at=work.now + LIFETIME,
    )
    begun.sealed = cipher.encrypt(f"{command.secrets.nonce} {command.secrets.verifier}", begun.place)
    logins.add(begun)
    return begun


@dataclass(frozen=True, kw_only=True)
class ClaimSocialLogin:
    """Come back from a provider; `by` is who must have begun, where it is about a user who is logged in."""

    provider: str
    state: str
    binding: str
    by: UUID | None = None


@dataclass(frozen=True, kw_only=True)
class ClaimedLogin:
    """A way round whose end has been reached, with what belongs to it in clear."""

    login: SocialLogin
    connection: Connection
    nonce: str
    verifier: str


@also_when_suspended
async def claim_social_login(
    command: ClaimSocialLogin,
    work: Work,
    logins: SocialLogins,
    connections: SingleSignOns,
    providers: IdentityProviders,
    cipher: Cipher,
) -> ClaimedLogin:
    """Use a way round up, whatever comes of it.

    Raises: SocialLoginRefused, NotFound.
    """
    login = await logins.by_state(hash_token(command.state))
    if login is None or not login.is_open_to(command.provider, command.binding, work.now):
        raise SocialLoginRefused
    if command.by is not None and login.user_id != command.by:
        raise SocialLoginRefused
    connection = _connection(login.provider, await connections.of_provider(login.provider), providers, cipher)
    login.used_at = work.now
    nonce, verifier = cipher.decrypt(login.sealed, login.place).split(" ")
    return ClaimedLogin(login=login, connection=connection, nonce=nonce, verifier=verifier)


def _connection(provider: str, own: SingleSignOn | None, providers: IdentityProviders, cipher: Cipher) -> Connection:
    if own is not None:
        return Connection(
            provider=own.provider,
            title=own.title,
            issuer=own.issuer,
            client_id=own.client_id,
            secret=cipher.decrypt(own.sealed, own.place),
            scopes=tuple(own.scopes),
            groups_claim=own.groups_claim,
        )
    found = providers.find(provider)
    if found is None:
        raise NotFound(kind="LoginProvider", id=provider)
    return found
