"""Logging in by Telegram, whose word could be said again if nobody remembered it."""

import time
from collections.abc import AsyncIterator
from typing import Any

import pytest

from domain.identity.identity_providers import Connection, ProviderKind
from tests.identity_provider import BACK, Provider
from tests.schema.identity.sign_on import Traveller
from tests.server.sign_on.telegram import BOT, signed

TELEGRAM = Connection(provider="telegram", title="Telegram", kind=ProviderKind.TELEGRAM, client_id="1234", secret=BOT)


def travelling(house: Any) -> Traveller:
    return Traveller(house, Provider("http://127.0.0.1:9"), further=(TELEGRAM,), redirect_uris=(BACK,))


@pytest.fixture
async def traveller(house: Any) -> AsyncIterator[Traveller]:
    made = travelling(house)
    yield made
    await made.providers.close()


async def way(traveller: Traveller, result: str) -> dict[str, Any]:
    begun = await traveller.begin("telegram")
    return {"provider": "telegram", "code": result, "state": begun["state"], "binding": begun["binding"]}


class TestTelegram:
    async def test_registers_somebody_without_an_address(self, traveller: Traveller) -> None:
        first = await traveller.enter(await way(traveller, signed(auth_date=int(time.time()))))
        assert first["user"]["firstName"] == "Ann"
        assert first["user"]["email"].endswith("@no-address.invalid")
        again = await traveller.enter(await way(traveller, signed(auth_date=int(time.time()) - 100)))
        assert again["user"]["id"] == first["user"]["id"]

    async def test_is_believed_once_over_all_tenants(
        self, traveller: Traveller, make_house: Any, make_tenant: Any
    ) -> None:
        # Another moment than that of the test before: this very message must be new.
        said = signed(auth_date=int(time.time()) - 50)
        assert (await traveller.enter(await way(traveller, said)))["__typename"] == "Authentication"
        elsewhere = travelling(make_house(make_tenant()))
        for each in (traveller, elsewhere):
            begun, before = await way(each, said), await each.kept()
            assert (await each.enter(begun))["__typename"] == "SocialLoginRefused"
            assert await each.kept() == before
        await elsewhere.providers.close()

    async def test_is_not_believed_what_it_has_not_signed(self, traveller: Traveller) -> None:
        begun, before = await way(traveller, signed("another bot's")), await traveller.kept()
        assert (await traveller.enter(begun))["__typename"] == "SocialLoginRefused"
        assert await traveller.kept() == before
