"""A tenant's own account with a provider: its money goes through it, and its word counts for that money alone."""

import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import httpx
import orjson
import pytest
from starlette.applications import Starlette
from starlette.requests import Request

from data.database import Database
from data.encryption import AesCipher
from data.transactions import SqlTransactions
from domain.inventory import StockDesk
from domain.kernel import Principal, Work, uuid7
from domain.payments.providers import PaymentProvider, ProviderDirectory, ProviderRefused
from domain.processes import paying
from domain.processes.cancelling import CancelOrder, cancel_order
from domain.processes.configuring import (
    ConfigureProvider,
    UpdateProviderCredentials,
    configure_provider,
    reseal_secrets,
    update_provider_credentials,
)
from domain.tenancy import Cipher, ResealSettings
from server.payments.accounts import OwnAccount, OwnAccounts
from server.payments.offline import BankTransfer, Cash
from server.payments.routing import ProviderRouter
from server.payments.sandbox import SandboxProvider, SandboxWebhooks
from server.payments.stripe import StripeProvider
from server.payments.stripe_webhooks import StripeWebhooks
from server.payments.webhooks import HandledOnce, endpoint_route, sign
from tests.buying import Market, market
from tests.sandbox.desk import charge_request, served
from tests.sandbox.stripe_double import StripeDouble

OLD, NEW = bytes(32), bytes(range(32))
PAYMENT = "SELECT id, state, own_account, provider FROM payments.payment WHERE tenant_id = :tenant"


@dataclass
class Accounts:
    """A market whose tenants may have accounts of their own; `keys` are those that the bank was asked with."""

    shop: Market
    own: OwnAccounts
    keys: list[str] = field(default_factory=list)

    async def configure(self, credentials: str = "sbx_key_1", signs_with: str | None = "whsec_1") -> Any:
        command = ConfigureProvider(provider="sandbox", credentials=credentials, webhook_secret=signs_with)
        return await self.shop.transactions.run(configure_provider, command, self.shop.staff())

    async def sold(self) -> Any:
        buyer = self.shop.work()
        await self.shop.filled(buyer, ("mug", 1))
        return await self.shop.buy(buyer)

    async def post(self, endpoint: Any, body: bytes, secret: str) -> tuple[int, Any]:
        handle = HandledOnce(self.shop.transactions, paying.hear_provider)
        app = Starlette(routes=[endpoint_route(self.own, handle)])
        header = {"sandbox-signature": sign(body, secret, int(time.time()))}
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://agora.test") as client:
            answer = await client.post(f"/webhooks/sandbox/{endpoint}", content=body, headers=header)
        return answer.status_code, answer.json()

    async def told(self, kind: str) -> bytes:
        while books := self.shop.bank.app._books.claim(0):
            await self.shop.bank.app._webhooks._send(books)
        return next(body for body, _ in self.shop.bank.sent if orjson.loads(body)["type"] == kind)


@pytest.fixture
async def bank(database: Database, tenant_id: UUID) -> AsyncIterator[Accounts]:
    async with market(database, tenant_id) as shop:
        await shop.put_on_sale("mug", 1250, 10)
        keys: list[str] = []

        async def listening(scope: Any, receive: Any, send: Any) -> None:
            keys.append(Request(scope).headers["authorization"].removeprefix("Bearer "))
            await shop.bank.app.app(scope, receive, send)

        def account(key: str) -> SandboxProvider:
            return SandboxProvider("", key, app=listening)

        kinds = {"sandbox": OwnAccount(account, lambda _, secret: SandboxWebhooks([secret]))}
        cipher = AesCipher([OLD])
        own = OwnAccounts(database, cipher, kinds, most=2)
        shop.router = ProviderRouter([shop.bank.provider, BankTransfer(), Cash()], accounts=own)
        shop.transactions.offer(
            {PaymentProvider: shop.router, ProviderDirectory: shop.router, Cipher: cipher,
             StockDesk: shop.transactions._services[StockDesk]}
        )  # fmt: skip
        yield Accounts(shop, own, keys)
        await own.close()


class TestTheMoneyOfATenant:
    async def test_goes_through_its_own_account_first_to_last(self, bank: Accounts) -> None:
        await bank.configure()
        saga = await bank.sold()
        assert (await bank.shop.one(PAYMENT)).own_account
        assert set(bank.keys) == {"sbx_key_1"}
        bank.keys.clear()
        await bank.shop.transactions.run(cancel_order, CancelOrder(id=saga.id), bank.shop.staff())
        await bank.shop.do_jobs()
        assert bank.keys == ["sbx_key_1"]
        assert await bank.shop.broken() == []

    async def test_goes_through_the_installations_without_one(self, bank: Accounts) -> None:
        await bank.sold()
        assert not (await bank.shop.one(PAYMENT)).own_account
        assert bank.keys == []

    async def test_is_given_back_from_where_it_was_taken(self, bank: Accounts) -> None:
        saga = await bank.sold()
        await bank.configure()
        await bank.shop.transactions.run(cancel_order, CancelOrder(id=saga.id), bank.shop.staff())
        await bank.shop.do_jobs()
        assert bank.keys == []
        assert await bank.shop.broken() == []

    async def test_follows_secrets_that_are_exchanged(self, bank: Accounts) -> None:
        await bank.configure()
        await bank.sold()
        command = UpdateProviderCredentials(provider="sandbox", credentials="sbx_key_2")
        await bank.shop.transactions.run(update_provider_credentials, command, bank.shop.staff())
        bank.keys.clear()
        await bank.sold()
        assert set(bank.keys) == {"sbx_key_2"}

    async def test_does_not_move_with_a_key_that_the_provider_refuses(self, bank: Accounts) -> None:
        await bank.configure("wrong")
        with pytest.raises(ProviderRefused, match="unauthorized"):
            await bank.shop.router.find("a-key", account=bank.shop.tenant_id)
        assert {each.state for each in bank.shop.router.health()} == {"closed"}

    async def test_needs_few_adapters_at_a_time(self, bank: Accounts) -> None:
        for number in range(4):
            await bank.configure(f"sbx_key_{number}")
            await bank.shop.router.find("a-key", account=bank.shop.tenant_id)
        assert len(bank.own._kept) == 2
        assert bank.keys == [f"sbx_key_{number}" for number in range(4)]


class TestAnEndpoint:
    async def test_takes_what_is_signed_with_its_tenants_secret(self, bank: Accounts) -> None:
        setup = await bank.configure()
        await bank.sold()
        body = await bank.told("charge.captured")
        assert await bank.post(setup.webhook_endpoint, body, "whsec_1") == (200, {"outcome": "handled"})
        assert await bank.post(setup.webhook_endpoint, body, "whsec_1") == (200, {"outcome": "known"})
        assert (await bank.post(setup.webhook_endpoint, body, "secret"))[0] == 400

    async def test_is_nowhere_else(self, bank: Accounts) -> None:
        await bank.configure(signs_with=None)
        await bank.sold()
        body = await bank.told("charge.captured")
        row = await bank.shop.one("SELECT id FROM payments.provider_credential WHERE tenant_id = :tenant")
        for endpoint in (row.id, uuid7(), "x"):
            assert await bank.post(endpoint, body, "whsec_1") == (404, {"code": "NOT_FOUND"})

    async def test_hears_nothing_of_other_tenants(self, bank: Accounts, make_tenant: Any, database: Database) -> None:
        other = make_tenant()
        actor = Principal(user_id=uuid7(), tenant_id=other, permissions=frozenset({"*"}))
        work = Work(tenant_id=other, actor=actor, now=bank.shop.work().now, correlation_id="test")
        command = ConfigureProvider(provider="sandbox", credentials="sbx_key_9", webhook_secret="whsec_9")
        setup = await bank.shop.transactions.run(configure_provider, command, work)
        await bank.configure()
        await bank.sold()
        body = await bank.told("charge.captured")
        assert await bank.post(setup.webhook_endpoint, body, "whsec_9") == (400, {"code": "WEBHOOK_REJECTED"})

    async def test_hears_nothing_of_money_in_the_installations_account(self, bank: Accounts) -> None:
        saga = await bank.sold()
        await bank.shop.transactions.run(cancel_order, CancelOrder(id=saga.id), bank.shop.staff())
        await bank.shop.do_jobs()
        setup = await bank.configure()
        before = await bank.shop.all(PAYMENT)
        for kind in ("charge.captured", "refund.completed"):
            body = await bank.told(kind)
            assert await bank.post(setup.webhook_endpoint, body, "whsec_1") == (400, {"code": "WEBHOOK_REJECTED"})
        assert await bank.shop.all(PAYMENT) == before


class TestSecrets:
    async def test_are_sealed_anew_when_the_key_changes(self, bank: Accounts) -> None:
        await bank.configure()
        both = SqlTransactions(bank.shop.database, {Cipher: AesCipher([NEW, OLD])})
        work = bank.shop.staff()
        assert [await both.run(reseal_secrets, ResealSettings(), work) for _ in range(2)] == [1, 0]
        kept = await bank.shop.one("SELECT * FROM payments.provider_credential WHERE tenant_id = :tenant")
        place = f"{bank.shop.tenant_id}/payments/sandbox"
        assert AesCipher([NEW]).decrypt(kept.sealed, place) == "sbx_key_1"
        assert AesCipher([NEW]).decrypt(kept.webhook_sealed, f"{place}/webhooks") == "whsec_1"


# The SDK hands httpx a form under a name that httpx would rather have for something else.
@pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")
class TestStripe:
    async def test_is_asked_with_the_key_of_the_tenant(self, database: Database, tenant_id: UUID) -> None:
        double, keys = StripeDouble(), []

        async def listening(scope: Any, receive: Any, send: Any) -> None:
            if scope["type"] == "http":
                keys.append(Request(scope).headers["authorization"].removeprefix("Bearer "))
            await double.app(scope, receive, send)

        with served(listening) as url:

            def account(key: str) -> StripeProvider:
                return StripeProvider(key, api_base=url)

            kinds = {"stripe": OwnAccount(account, lambda own, secret: StripeWebhooks(own, [secret]))}
            cipher = AesCipher([OLD])
            router = ProviderRouter([account("sk_ours")], accounts=OwnAccounts(database, cipher, kinds))
            transactions = SqlTransactions(database, {ProviderDirectory: router, Cipher: cipher})
            actor = Principal(user_id=uuid7(), tenant_id=tenant_id)
            work = Work(tenant_id=tenant_id, actor=actor, now=datetime.now(UTC), correlation_id="test")
            command = UpdateProviderCredentials(provider="stripe", credentials="sk_theirs")
            await transactions.run(update_provider_credentials, command, work)
            await router.charge(charge_request("pm_1", "k1", tenant_id=tenant_id))
            made = await router.charge(charge_request("pm_1", "k2", tenant_id=tenant_id, account=tenant_id))
            await router.capture(made.reference, made.amount, "c", account=tenant_id)
            await router.refund(made.reference, made.amount, "r", account=tenant_id)
            await router.void(made.reference, "v", account=tenant_id)
            await router.transfer("acct_1", made.amount, "t", tenant_id=tenant_id, account=tenant_id)
            await router.close()
        assert keys == ["sk_ours", *["sk_theirs"] * 5]
