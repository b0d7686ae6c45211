"""What users see and change of themselves and of others, through the graph."""

from typing import Any

import pytest

from domain.kernel import uuid7


class TestUser:
    FIELDS = "id displayName avatarUrl email phone firstName preferences status addresses { id } sessions { id }"

    async def test_shows_strangers_the_public_profile_only(self, house: Any) -> None:
        ann, bob = await house.member(), await house.member("bob@example.com")
        query = f"query($id: ID!) {{ user(id: $id) {{ {self.FIELDS} }} }}"
        seen = await house.ask(query, bob["accessToken"], id=ann["user"]["id"])
        shown = {name: value for name, value in seen.data["user"].items() if value is not None}
        assert shown == {"id": ann["user"]["id"], "displayName": "Ann"}
        assert set(seen.codes) == {"FORBIDDEN"}

    async def test_shows_support_what_it_needs(self, house: Any) -> None:
        ann, support = await house.member(), await house.member("sam@example.com", "support_agent")
        query = "query($id: ID!) { user(id: $id) { email status lockedUntil } }"
        seen = await house.do(query, support["accessToken"], id=ann["user"]["id"])
        assert seen == {"email": "ann@example.com", "status": "ACTIVE", "lockedUntil": None}

    async def test_lists_many_in_as_many_statements_as_few(self, house: Any) -> None:
        admin = await house.member("admin@example.com", "admin")
        query = "query($first: Int!) { users(first: $first) { nodes { email roles { role } addresses { id } } } }"
        few = await house.ask(query, admin["accessToken"], first=1)
        for number in range(5):
            await house.register(f"user{number}@example.com")
        many = await house.ask(query, admin["accessToken"], first=100)
        assert many.errors == []
        assert len(many.data["users"]["nodes"]) == 6
        assert (few.reads, many.reads) == (3, 3)

    async def test_lists_are_not_for_everybody(self, house: Any) -> None:
        token = (await house.member())["accessToken"]
        assert (await house.ask("{ users { nodes { id } } }", token)).codes == ["FORBIDDEN"]
        assert (await house.ask("{ users { nodes { id } } }")).codes == ["UNAUTHENTICATED"]
        assert (await house.ask("{ myAddresses { id } }")).codes == ["UNAUTHENTICATED"]

    async def test_is_filtered(self, house: Any) -> None:
        admin = await house.member("admin@example.com", "admin")
        await house.register("ann@example.com")
        query = "query($text: String, $role: String) { users(text: $text, role: $role) { totalCount nodes { email } } }"
        found = await house.do(query, admin["accessToken"], role="admin")
        assert found == {"totalCount": 1, "nodes": [{"email": "admin@example.com"}]}
        found = await house.do(query, admin["accessToken"], text="ANN@")
        assert found == {"totalCount": 1, "nodes": [{"email": "ann@example.com"}]}


UPDATE = """mutation($input: UpdateProfileInput!) { updateProfile(input: $input) {
  __typename ... on User { displayName firstName phone version } ... on Error { code message } } }"""


class TestUpdateProfile:
    async def test_changes_what_was_mentioned_and_clears_what_is_null(self, house: Any) -> None:
        token = (await house.member())["accessToken"]
        changed = await house.do(UPDATE, token, input={"displayName": "Ann B.", "phone": "+1 416-555-0123"})
        assert changed["firstName"] == "Ann"
        assert (changed["displayName"], changed["phone"]) == ("Ann B.", "+14165550123")
        cleared = await house.do(UPDATE, token, input={"phone": None})
        assert (cleared["displayName"], cleared["phone"]) == ("Ann B.", None)

    @pytest.mark.parametrize(
        "wrong",
        [
            {"displayName": None},
            {"displayName": "  "},
            {"displayName": "nul\x00"},
            {"displayName": "x" * 101},
            {"phone": "12"},
            {"bio": "x" * 2001},
            {"avatarUrl": "javascript:alert(1)"},
            {"dateOfBirth": "2999-01-01"},
        ],
    )
    async def test_refuses_what_does_not_fit(self, house: Any, wrong: dict[str, Any]) -> None:
        token = (await house.member())["accessToken"]
        before = await house.do(house.ME, token)
        assert (await house.do(UPDATE, token, input=wrong))["__typename"] == "InvalidInput"
        assert await house.do(house.ME, token) == before

    async def test_refuses_a_stale_version(self, house: Any) -> None:
        token = (await house.member())["accessToken"]
        answer = await house.do(UPDATE, token, input={"firstName": "Bo", "expectedVersion": 0})
        assert answer["__typename"] == "ConcurrentModification"

    async def test_needs_somebody_logged_in(self, house: Any) -> None:
        assert (await house.ask(UPDATE, input={"firstName": "Bo"})).codes == ["UNAUTHENTICATED"]


class TestUpdatePreferences:
    PREFER = """mutation($given: JSON!) { updatePreferences(preferences: $given) {
      __typename ... on User { preferences } ... on Error { code } } }"""

    async def test_sets_by_key_and_removes_by_null(self, house: Any) -> None:
        token = (await house.member())["accessToken"]
        await house.do(self.PREFER, token, given={"theme": "dark", "news": True})
        kept = await house.do(self.PREFER, token, given={"theme": None, "units": ["kg"]})
        assert kept["preferences"] == {"news": True, "units": ["kg"]}

    @pytest.mark.parametrize("wrong", [["a"], "text", {"a": "nul\x00"}, {"a": "x" * 20_000}])
    async def test_refuses_what_is_no_object_or_too_large(self, house: Any, wrong: Any) -> None:
        token = (await house.member())["accessToken"]
        assert (await house.do(self.PREFER, token, given=wrong))["__typename"] == "InvalidInput"
        assert await house.do("{ me { preferences } }", token) == {"preferences": {}}


ADD = """mutation($input: AddAddressInput!) { addAddress(input: $input) {
  __typename ... on UserAddress { id isDefault postalCode country } ... on Error { code message } } }"""
TORONTO = {"streetLine1": "290 Bremner Blvd", "city": "Toronto", "province": "ON", "postalCode": "m5v 3l9"}


class TestAddresses:
    async def test_have_one_default_per_type(self, house: Any) -> None:
        token = (await house.member())["accessToken"]
        first = await house.do(ADD, token, input={**TORONTO, "addressType": "SHIPPING"})
        assert (first["isDefault"], first["postalCode"], first["country"]) == (True, "M5V 3L9", "CA")
        second = await house.do(ADD, token, input={**TORONTO, "addressType": "SHIPPING", "isDefault": True})
        await house.do(ADD, token, input={**TORONTO, "addressType": "BILLING"})
        book = (await house.ask("{ myAddresses { id addressType isDefault } }", token)).data["myAddresses"]
        assert [(each["addressType"], each["isDefault"]) for each in book] == [
            ("BILLING", True),
            ("SHIPPING", True),
            ("SHIPPING", False),
        ]
        assert book[1]["id"] == second["id"]

    async def test_of_others_answer_like_ones_that_never_were(self, house: Any) -> None:
        ann, bob = await house.member(), await house.member("bob@example.com")
        hers = await house.do(ADD, ann["accessToken"], input={**TORONTO, "addressType": "SHIPPING"})
        delete = "mutation($id: ID!) { deleteAddress(input: {id: $id}) { __typename ... on NotFound { kind id } } }"
        for address_id in (hers["id"], str(uuid7())):
            answer = await house.do(delete, bob["accessToken"], id=address_id)
            assert answer == {"__typename": "NotFound", "kind": "Address", "id": address_id}
        book = (await house.ask("{ myAddresses { id } }", ann["accessToken"])).data["myAddresses"]
        assert book == [{"id": hers["id"]}]

    @pytest.mark.parametrize(
        "wrong",
        [{"postalCode": "12345"}, {"province": None}, {"country": "XX"}, {"city": "\x00"}],
    )
    async def test_are_held_to_what_their_country_asks_for(self, house: Any, wrong: dict[str, Any]) -> None:
        token = (await house.member())["accessToken"]
        answer = await house.do(ADD, token, input={**TORONTO, **wrong, "addressType": "SHIPPING"})
        assert answer["__typename"] == "InvalidInput"
        assert (await house.ask("{ myAddresses { id } }", token)).data == {"myAddresses": []}
