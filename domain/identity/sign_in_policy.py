"""What a tenant asks of those who come in: a confirmed address, and a second factor of whom."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol
from uuid import UUID

from domain.identity.text import clean
from domain.kernel import UNCHANGED, Aggregate, Event, InvalidInput, Unchanged, Work, event

MAX_ROLES = 100


@event("identity.sign_in_policy_changed")
@dataclass(frozen=True, kw_only=True)
class SignInPolicyChanged(Event):
    confirm_email: bool
    second_factor_roles: Sequence[str]


@dataclass(eq=False, kw_only=True)
class SignInPolicy(Aggregate):
    """What a tenant asks for; a tenant that has said nothing has the installation's rule about addresses."""

    confirm_email: bool = False
    second_factor_roles: list[str] = field(default_factory=list)

    def change(self, confirm_email: bool | Unchanged, roles: Collection[str] | Unchanged) -> None:
        """Take over what was mentioned.

        Raises: InvalidInput.
        """
        if not isinstance(confirm_email, Unchanged):
            self.confirm_email = confirm_email
        if not isinstance(roles, Unchanged):
            if len(roles) > MAX_ROLES:
                raise InvalidInput(field="secondFactorRoles", reason=f"there are at most {MAX_ROLES}")
            self.second_factor_roles = sorted({clean("secondFactorRoles", each) for each in roles})
        self.record(
            SignInPolicyChanged(confirm_email=self.confirm_email, second_factor_roles=tuple(self.second_factor_roles))
        )

    def demanding(self, roles: Collection[str]) -> frozenset[str]:
        """Give those of the roles that nobody has without a second factor."""
        return frozenset(roles) & frozenset(self.second_factor_roles)


class SignInPolicies(Protocol):
    """What tenants ask for; None from one that has said nothing."""

    async def current(self, tenant_id: UUID) -> SignInPolicy | None: ...

    def add(self, policy: SignInPolicy) -> None: ...

    async def outdate_tokens(self, roles: Collection[str], work: Work) -> None:
        """Have the tokens made anew of those who hold one of the roles."""
        ...


class SignInPolicyReads(Protocol):
    """What the tenant asks for, to be shown; None where it has said nothing."""

    async def current(self) -> Any | None: ...


async def asked_of(work: Work, policies: SignInPolicies, *, confirm_email: bool) -> SignInPolicy:
    """Give what the tenant asks for; where it has said nothing, the installation says whether addresses are confirmed."""
    own = await policies.current(work.tenant_id)
    return own or SignInPolicy(tenant_id=work.tenant_id, confirm_email=confirm_email)


@dataclass(frozen=True, kw_only=True)
class UpdateSignInPolicy:
    """Change what is asked of those who come in; a field that is not mentioned stays."""

    confirm_email: bool | Unchanged = UNCHANGED
    second_factor_roles: Sequence[str] | Unchanged = UNCHANGED
