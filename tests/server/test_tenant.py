from dataclasses import replace

import pytest

from data.tenancy import SqlPlatform
from domain.kernel import NotFound, Principal, Unauthenticated, uuid7
from domain.localization import SetSupportedLanguage, set_supported_language
from domain.tenancy import CreateTenant, create_tenant
from server.tenant import TenantResolver


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


class CountingPlatform:
    """The platform on the real database, with a count of what it was asked."""

    def __init__(self, database) -> None:
        self._platform = SqlPlatform(database)
        self.transactions = self._platform.transactions
        self.asked = 0

    def read(self, port):
        self.asked += 1
        return self._platform.read(port)


@pytest.fixture
def platform(database):
    return CountingPlatform(database)


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def resolver(platform, clock):
    return TenantResolver(platform, ttl_seconds=5, clock=clock)


@pytest.fixture
async def maple(platform, work):
    code = f"maple-{uuid7().hex}"
    command = CreateTenant(code=code, name="Maple", locale="fr-CA", currency="EUR", hosts=(f"{code[:20]}.example",))
    return await platform.transactions.run(create_tenant, command, work)


@pytest.fixture
def host(maple):
    return f"{maple.code[:20]}.example"


class TestTenantResolver:
    @pytest.mark.parametrize("spelling", ["{}", "{}:8000", "{}.", "{}.:443"])
    async def test_goes_by_the_host(self, resolver, maple, host, spelling):
        found = await resolver.resolve(host=spelling.format(host.upper()))
        assert (found.id, found.code, found.currency, found.locale) == (maple.id, maple.code, "EUR", "fr-CA")

    @pytest.mark.parametrize("host", [None, "", "nobody.example", "a b", "[::1]:8000", "\x00", "x" * 300, "\ud800"])
    async def test_knows_no_tenant_of_another_host(self, resolver, host):
        assert await resolver.resolve(host=host) is None

    async def test_goes_by_the_header_before_the_host(self, resolver, maple, make_tenant, host):
        code = f"oak-{uuid7().hex}"
        oak = make_tenant(code=code)
        assert (await resolver.resolve(host=host, code=f" {code.upper()} ")).id == oak

    @pytest.mark.parametrize("code", ["nobody", "\x00", "x" * 10_000, "a'; DROP TABLE tenancy.tenant; --"])
    async def test_refuses_a_code_that_no_tenant_has(self, resolver, code):
        with pytest.raises(NotFound):
            await resolver.resolve(code=code)

    async def test_goes_by_the_token_before_the_host(self, resolver, tenant_id, host):
        found = await resolver.resolve(host=host, principal=Principal(user_id=uuid7(), tenant_id=tenant_id))
        assert found.id == tenant_id

    async def test_refuses_a_token_of_another_tenant(self, resolver, maple, tenant_id):
        with pytest.raises(Unauthenticated):
            await resolver.resolve(code=maple.code, principal=Principal(user_id=uuid7(), tenant_id=tenant_id))

    async def test_lets_the_platform_go_anywhere(self, resolver, maple, tenant_id):
        governor = Principal(user_id=uuid7(), tenant_id=tenant_id, permissions=frozenset({"tenancy.platform"}))
        assert (await resolver.resolve(code=maple.code, principal=governor)).id == maple.id

    async def test_finds_suspended_tenants_too(self, resolver, make_tenant):
        code = f"t{uuid7().hex}"
        suspended = make_tenant("suspended", code)
        assert (await resolver.resolve(code=code)).id == suspended

    async def test_asks_again_only_after_a_while(self, resolver, platform, clock, host):
        first = await resolver.resolve(host=host)
        asked = platform.asked
        clock.now += 4.9
        assert await resolver.resolve(host=host) is first
        assert platform.asked == asked
        clock.now += 0.2
        assert await resolver.resolve(host=host) == first
        assert platform.asked == asked + 2

    async def test_remembers_a_bounded_number_of_inventions(self, platform, clock):
        resolver = TenantResolver(platform, clock=clock, size=2)
        for name in ("a.example", "b.example", "c.example", "c.example", "b.example"):
            await resolver.resolve(host=name)
        assert platform.asked == 3
        await resolver.resolve(host="a.example")
        assert platform.asked == 4


class TestLanguage:
    async def test_is_the_tenants_until_it_has_languages(self, resolver, host):
        found = await resolver.resolve(host=host)
        assert (found.languages, found.language_for("ru")) == ((), "fr-CA")

    async def test_is_what_the_caller_prefers_of_the_tenants(self, resolver, maple, host, transactions, work):
        for code in ("fr-CA", "ru"):
            await transactions.run(
                set_supported_language, SetSupportedLanguage(code=code), replace(work, tenant_id=maple.id)
            )
        found = await resolver.resolve(host=host)
        assert found.languages == ("fr-CA", "ru")
        assert [found.language_for(header) for header in ("ru-RU,en", "en", None)] == ["ru", "fr-CA", "fr-CA"]
