"""The rules of API keys."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import pytest

from domain.identity.api_keys import (
    MAX_KEYS,
    ApiKey,
    ApiKeyLimitReached,
    CreateApiKey,
    IssuedApiKey,
    RevokeApiKey,
    RotateApiKey,
    admits,
    create_api_key,
    fits,
    key_id_of,
    make_key,
    narrowed,
    principal_of,
    revoke_api_key,
    rotate_api_key,
)
from domain.identity.sessions import hash_token
from domain.identity.users import UserStatus
from domain.kernel import (
    SELF_SCOPE,
    DomainError,
    Forbidden,
    InvalidInput,
    NotFound,
    Principal,
    SessionRequired,
    Work,
    uuid7,
)

NOW = datetime(2026, 3, 14, 15, 9, 26, tzinfo=UTC)
TENANT, ANN, STORE = uuid7(), uuid7(), uuid7()
SELLER = Principal(
    user_id=ANN, tenant_id=TENANT, permissions=frozenset({"catalog.write", "orders.read"}), store_ids=frozenset({STORE})
)
WORK = Work(tenant_id=TENANT, actor=SELLER, now=NOW, correlation_id="test")
ASKED = CreateApiKey(name="Ledger", scopes=("catalog.write",))


class FakeUsers:
    async def get(self, user_id: UUID) -> Any:
        return SimpleNamespace(id=user_id)


class FakeKeys(dict[UUID, ApiKey]):
    """Keys by id, as the port has them."""

    async def get(self, key_id: UUID) -> ApiKey | None:  # type: ignore[override]
        return super().get(key_id)

    async def count_working(self, user_id: UUID, now: datetime) -> int:
        return sum(1 for each in self.values() if each.user_id == user_id and each.works(now))

    def add(self, key: ApiKey) -> None:
        self[key.id] = key


@pytest.fixture
def keys() -> FakeKeys:
    return FakeKeys()


async def create(keys: FakeKeys, work: Work = WORK, **changes: Any) -> IssuedApiKey:
    return await create_api_key(replace(ASKED, **changes), work, FakeUsers(), keys)  # type: ignore[arg-type]


class TestAKeyInClear:
    def test_names_its_id_and_is_recognised_by_its_checksum(self) -> None:
        key_id = uuid7()
        clear = make_key(key_id)
        assert len(clear) == 88
        assert clear.startswith(f"agora_{key_id.hex}_")
        assert key_id_of(clear) == key_id
        other = "A" if clear[-10] != "A" else "B"
        assert key_id_of(clear[:-10] + other + clear[-9:]) is None
        assert key_id_of(f"{clear}\n") is None

    @pytest.mark.parametrize("wrong", ["", "agora_", "agora_x_y", "eyJ.a.b"])
    def test_is_told_from_other_texts(self, wrong: str) -> None:
        assert key_id_of(wrong) is None


class TestCreating:
    async def test_keeps_a_hash_and_shows_the_key_once(self, keys: FakeKeys) -> None:
        issued = await create(keys, scopes=("orders.read", "catalog.write"), store_ids=(STORE,))
        kept = keys[issued.api_key.id]
        assert kept.secret_hash == hash_token(issued.key)
        assert (kept.scopes, kept.store_ids, kept.user_id) == (["catalog.write", "orders.read"], [STORE], ANN)
        (recorded,) = kept.release_events()
        assert recorded.event.name == "identity.api_key_created"
        assert issued.key not in repr(recorded)

    @pytest.mark.parametrize(
        ("changes", "refusal"),
        [
            ({"scopes": ("catalog.publish",)}, Forbidden),
            ({"scopes": ("catalog.*",)}, Forbidden),
            ({"scopes": ()}, InvalidInput),
            ({"scopes": ("*",)}, InvalidInput),
            ({"scopes": ("catalog.wirte",)}, InvalidInput),
            ({"store_ids": (uuid7(),)}, NotFound),
            ({"expires_at": NOW}, InvalidInput),
            ({"rate_limit_per_minute": 0}, InvalidInput),
            ({"name": " "}, InvalidInput),
        ],
    )
    async def test_refuses_what_its_maker_may_not_hand_on(
        self, keys: FakeKeys, changes: dict[str, Any], refusal: type[DomainError]
    ) -> None:
        with pytest.raises(refusal):
            await create(keys, **changes)
        assert keys == {}

    @pytest.mark.parametrize(
        ("scopes", "stores"), [(("tenancy.*",), ()), (("tenancy.platform",), ()), (("stores.any",), (STORE,))]
    )
    async def test_keeps_a_key_in_its_tenant_and_its_stores(
        self, keys: FakeKeys, scopes: tuple[str, ...], stores: tuple[UUID, ...]
    ) -> None:
        boss = replace(WORK, actor=replace(SELLER, permissions=frozenset({"*"})))
        with pytest.raises(InvalidInput):
            await create(keys, boss, scopes=scopes, store_ids=stores)
        assert keys == {}

    async def test_has_an_end(self, keys: FakeKeys) -> None:
        made = [await create(keys) for _ in range(MAX_KEYS)]
        with pytest.raises(ApiKeyLimitReached):
            await create(keys)
        await revoke_api_key(RevokeApiKey(id=made[0].api_key.id), WORK, keys)
        assert (await create(keys)).key


class TestRotating:
    async def test_lets_the_former_secret_be_good_for_the_grace_time(self, keys: FakeKeys) -> None:
        first = await create(keys)
        second = await rotate_api_key(RotateApiKey(id=first.api_key.id, grace_seconds=60), WORK, keys)
        key = keys[first.api_key.id]
        old, new = hash_token(first.key), hash_token(second.key)
        assert fits(key, old, NOW + timedelta(seconds=59))
        assert not fits(key, old, NOW + timedelta(seconds=60))
        assert fits(key, new, NOW + timedelta(days=900))
        third = await rotate_api_key(RotateApiKey(id=key.id), WORK, keys)
        assert not fits(key, old, NOW)
        assert fits(key, new, NOW)
        assert fits(key, hash_token(third.key), NOW)

    async def test_is_for_its_user_alone(self, keys: FakeKeys) -> None:
        made = await create(keys)
        admin = Principal(user_id=uuid7(), tenant_id=TENANT, permissions=frozenset({"identity.*", "catalog.*"}))
        with pytest.raises(NotFound):
            await rotate_api_key(RotateApiKey(id=made.api_key.id), replace(WORK, actor=admin), keys)
        assert keys[made.api_key.id].secret_hash == hash_token(made.key)

    async def test_is_not_for_keys_that_have_ended_nor_beyond_what_the_user_may_now(self, keys: FakeKeys) -> None:
        made = await create(keys)
        less = replace(WORK, actor=replace(SELLER, permissions=frozenset({"orders.read"})))
        with pytest.raises(Forbidden):
            await rotate_api_key(RotateApiKey(id=made.api_key.id), less, keys)
        await revoke_api_key(RevokeApiKey(id=made.api_key.id), WORK, keys)
        with pytest.raises(NotFound):
            await rotate_api_key(RotateApiKey(id=made.api_key.id), WORK, keys)
        assert keys[made.api_key.id].secret_hash == hash_token(made.key)


class TestRevoking:
    async def test_is_for_its_user_and_for_those_who_manage_users(self, keys: FakeKeys) -> None:
        made = await create(keys)
        other = replace(WORK, actor=Principal(user_id=uuid7(), tenant_id=TENANT))
        with pytest.raises(NotFound):
            await revoke_api_key(RevokeApiKey(id=made.api_key.id), other, keys)
        assert keys[made.api_key.id].works(NOW)
        admin = replace(WORK, actor=replace(other.actor, permissions=frozenset({"identity.manage"})))
        await revoke_api_key(RevokeApiKey(id=made.api_key.id), admin, keys)
        assert not keys[made.api_key.id].works(NOW)


def presented(**changes: Any) -> Any:
    row = {
        "id": uuid7(), "user_id": ANN, "tenant_id": TENANT, "scopes": ["catalog.*", "orders.read"], "store_ids": [],
        "user_roles": ["seller"], "user_stores": [STORE], "user_status": UserStatus.ACTIVE, "revoked_at": None,
        "expires_at": None,
    }  # fmt: skip
    return SimpleNamespace(**row | changes)


class TestTheCallerWithAKey:
    @pytest.mark.parametrize(
        ("scopes", "granted", "left"),
        [
            ({"catalog.*"}, {"catalog.write", "orders.read"}, {"catalog.write"}),
            ({"catalog.write", "orders.read"}, {"catalog.*"}, {"catalog.write"}),
            ({"catalog.*"}, {"*"}, {"catalog.*"}),
            ({"orders.read"}, set(), set()),
        ],
    )
    def test_may_what_both_the_key_and_its_user_may(self, scopes: set[str], granted: set[str], left: set[str]) -> None:
        assert narrowed(scopes, granted) == left

    def test_works_where_both_do(self) -> None:
        elsewhere = uuid7()
        assert principal_of(presented(), {"orders.read"}).store_ids == {STORE}
        assert principal_of(presented(store_ids=[elsewhere]), {"orders.read"}).store_ids == set()
        assert principal_of(presented(store_ids=[elsewhere]), {"stores.any"}).store_ids == {elsewhere}
        assert not principal_of(presented(store_ids=[elsewhere]), {"stores.*"}).works_at(STORE)

    def test_is_no_session_and_does_for_its_user_only_what_it_was_meant_for(self) -> None:
        caller = principal_of(presented(), {"orders.read"})
        with pytest.raises(SessionRequired):
            caller.require_session()
        with pytest.raises(Forbidden):
            caller.require_scope()
        caller.require_scope("orders.read")
        principal_of(presented(scopes=[SELF_SCOPE]), set()).require_scope()
        SELLER.require_scope()
        SELLER.require_session()

    @pytest.mark.parametrize(
        "changes",
        [
            {"revoked_at": NOW},
            {"expires_at": NOW},
            {"user_status": UserStatus.LOCKED},
            {"user_status": UserStatus.DEACTIVATED},
        ],
    )
    def test_is_nobody_when_the_key_or_its_user_has_ended(self, changes: dict[str, Any]) -> None:
        assert admits(presented(), NOW)
        assert not admits(presented(**changes), NOW)
