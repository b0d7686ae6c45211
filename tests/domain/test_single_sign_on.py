"""The rules of log-ins by providers, without any engine."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from domain.identity.identity_providers import Connection, VouchedIdentity
from domain.identity.profile import Profile
from domain.identity.roles import PRESETS, Role
from domain.identity.sessions import hash_token
from domain.identity.single_sign_on import (
    ConfigureSingleSignOn,
    RoleForGroup,
    SingleSignOn,
    SingleSignOnRefused,
    SingleSignOnUntried,
    own_provider,
)
from domain.identity.social_login import LIFETIME, LoginSecrets, SocialLogin, presentable, usable
from domain.identity.users import User
from domain.kernel import InvalidInput, Principal, Work, uuid7

NOW = datetime(2026, 3, 14, 15, 9, 26, tzinfo=UTC)
TENANT = UUID(int=7)
ADMIN = Principal(user_id=uuid7(), tenant_id=TENANT, permissions=PRESETS[Role.ADMIN])
WORK = Work(tenant_id=TENANT, actor=ADMIN, now=NOW, correlation_id="test")
COMMAND = ConfigureSingleSignOn(name="acme", title="Acme", issuer="https://id.example", client_id="agora")


def configured(work: Work = WORK, **changed: Any) -> SingleSignOn:
    made = SingleSignOn(tenant_id=TENANT, provider="sso.acme", changed_at=NOW)
    made.configure(replace(COMMAND, **changed), "https://id.example", "sealed", work)
    return made


class TestATenantsProvider:
    def test_covers_what_its_administrator_may_do(self) -> None:
        made = configured()
        assert made.covers(PRESETS[Role.FINANCE])
        assert made.covers(())
        assert not made.covers(PRESETS[Role.SUPER_ADMIN])
        assert not made.covers({"orders.read", "tenancy.platform"})

    def test_covers_no_less_after_its_administrator_is_gone(self) -> None:
        lesser = replace(WORK, actor=replace(ADMIN, permissions=frozenset({"orders.read"})))
        made = configured()
        made.configure(COMMAND, "https://id.example", "sealed", lesser)
        assert made.covers({"orders.read"})
        assert not made.covers(PRESETS[Role.FINANCE])

    def test_gives_each_role_once(self) -> None:
        mapping = [RoleForGroup(group=name, role=role) for name, role in (("a", "host"), ("b", "host"), ("c", "admin"))]
        made = configured(roles=mapping)
        assert made.roles_for(["a", "b", "unknown"]) == ["host"]
        assert made.roles_for([]) == []

    @pytest.mark.parametrize("email", [None, "ann@elsewhere.example", "ann@notacme.example", "ann@sub.acme.example"])
    def test_is_for_its_domains(self, email: str | None) -> None:
        with pytest.raises(SingleSignOnRefused):
            configured(domains=["Acme.Example"]).require_domain(email)
        configured().require_domain(email)

    def test_is_for_its_domains_however_they_are_written(self) -> None:
        configured(domains=["Acme.Example"]).require_domain("ann@ACME.example")

    def test_is_the_only_way_once_it_was_tried(self) -> None:
        made = configured(domains=["acme.example"])
        before = dict(vars(made))
        enforced = replace(COMMAND, domains=["acme.example"], is_enforced=True)
        with pytest.raises(SingleSignOnUntried):
            made.configure(enforced, "https://id.example", "sealed", WORK)
        assert vars(made) == before
        made.prove(NOW)
        made.prove(NOW + timedelta(days=1))
        assert made.proved_at == NOW
        made.configure(enforced, "https://id.example", "sealed", WORK)
        assert made.is_enforced

    def test_stays_with_its_issuer(self) -> None:
        made = configured()
        with pytest.raises(InvalidInput, match="issuer"):
            made.configure(COMMAND, "https://another.example", "sealed", WORK)
        assert made.issuer == "https://id.example"

    @pytest.mark.parametrize("name", ["", "Acme", "a.b", "a b", "-a", "x" * 41])
    def test_has_a_name_that_is_nobody_elses(self, name: str) -> None:
        with pytest.raises(InvalidInput):
            own_provider(name)

    def test_is_known_for_a_tenants_by_its_name(self) -> None:
        assert Connection(provider=own_provider("acme"), title="Acme").is_own
        assert not Connection(provider="acme", title="Acme").is_own


class TestAWayRound:
    MADE = LoginSecrets.fresh()
    BEGUN = SocialLogin(
        tenant_id=TENANT,
        provider="google",
        state_hash=hash_token(MADE.state),
        binding_hash=hash_token(MADE.binding),
        redirect_uri="https://shop.example",
        user_id=None,
        expires_at=NOW + LIFETIME,
    )

    def test_is_open_to_the_client_that_began(self) -> None:
        assert self.BEGUN.is_open_to("google", self.MADE.binding, NOW)

    def test_is_open_to_nobody_else(self) -> None:
        assert not self.BEGUN.is_open_to("apple", self.MADE.binding, NOW)
        assert not self.BEGUN.is_open_to("google", self.MADE.state, NOW)
        assert not self.BEGUN.is_open_to("google", self.MADE.binding, NOW + LIFETIME)

    def test_is_protected_by_four_different_secrets(self) -> None:
        values = set(vars(self.MADE).values())
        assert len(values) == 4
        assert all(len(each) == 43 for each in values)
        assert values.isdisjoint(vars(LoginSecrets.fresh()).values())


class TestWhatAProviderSays:
    def test_counts_as_an_address_only_when_verified(self) -> None:
        vouched = VouchedIdentity(subject="a", email="Ann@Example.com", email_verified=True)
        assert usable(vouched, TestAWayRound.BEGUN).verified_email == "ann@example.com"
        assert usable(replace(vouched, email="no address"), TestAWayRound.BEGUN).verified_email is None
        assert usable(replace(vouched, email="a@no-address.invalid"), TestAWayRound.BEGUN).verified_email is None
        assert replace(vouched, email_verified=False).verified_email is None

    @pytest.mark.parametrize(
        ("name", "kept"),
        [(None, None), ("", None), (" \0\n", None), ("Ann\u202e", "Ann"), (" Ann ", "Ann"), ("x" * 900, "x" * 100)],
    )
    def test_becomes_a_name_that_can_be_kept(self, name: str | None, kept: str | None) -> None:
        assert presentable(name) == kept


class TestANewcomer:
    def test_without_a_verified_address_has_one_that_is_nobodys(self) -> None:
        user = User.register_by_provider(None, Profile(), WORK)
        assert user.email == f"{user.id.hex}@no-address.invalid"
        assert (user.has_password, user.email_is_verified) == (False, False)
        assert [each.event.name for each in user.release_events()] == ["user.registered"]

    def test_with_one_has_it_verified(self) -> None:
        user = User.register_by_provider("ann@example.com", Profile(), WORK)
        assert (user.email, user.email_is_verified, user.has_password) == ("ann@example.com", True, False)
