"""Acting as a user: for minutes, with their knowledge, and without what is theirs alone."""

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import text

from domain.kernel import Unauthenticated
from schema.graph import CONTEXTS, subgraph
from schema.kernel import visibility_of

ACT = """mutation($id: ID!, $minutes: Int! = 15) { impersonate(userId: $id, reason: "their order", minutes: $minutes) {
  __typename ... on Impersonation { accessToken expiresIn session { id impersonatorId } user { email } }
  ... on Error { code } } }"""
END = "mutation { endImpersonation { __typename ... on UserSession { revokedReason } ... on Error { code } } }"
WHO = "{ me { email impersonatedBy } }"
PASSWORD = """mutation { changePassword(currentPassword: "correct horse", newPassword: "another long password") {
  __typename } }"""

# What only a person does themselves, by any name that a context gives it.
PERSONAL = [
    "password",
    "factor",
    "apikey",
    "erasure",
    "dataexport",
    "impersonate",
    "payout",
    "paymentmethod",
    "checkout",
    "confirmpayment",
    "paymentintent",
    "role",
]
HARMLESS = {
    "endImpersonation",
    "setCheckoutAddress",
    "setCheckoutDelivery",
    "setCheckoutContact",
    "setCheckoutPayment",
    "updatePayoutPolicy",
}


async def acting(house: Any, minutes: int = 15) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    """Have an administrator act as Ann: gives the administrator, Ann, and the token."""
    admin, ann = await house.member("admin@example.com", "admin"), await house.member()
    return admin, ann, await house.do(ACT, admin["accessToken"], id=ann["user"]["id"], minutes=minutes)


class TestImpersonation:
    async def test_shows_the_user_and_who_acts_as_them(self, house: Any) -> None:
        admin, ann, token = await acting(house)
        assert await house.do(WHO, token["accessToken"]) == {
            "email": "ann@example.com",
            "impersonatedBy": admin["user"]["id"],
        }
        assert await house.do(WHO, ann["accessToken"]) == {"email": "ann@example.com", "impersonatedBy": None}
        assert token["expiresIn"] == 15 * 60

    async def test_is_named_in_every_event(self, house: Any) -> None:
        admin, ann, token = await acting(house)
        await house.do('mutation { updateProfile(input: {bio: "Helped."}) { __typename } }', token["accessToken"])
        async with house.database.session(house.tenant_id) as session:
            statement = "SELECT metadata FROM platform.event_log WHERE name = 'identity.profile_updated'"
            [row] = await session.execute(text(statement))
        assert row.metadata["user_id"] == ann["user"]["id"]
        assert row.metadata["impersonator_id"] == admin["user"]["id"]

    async def test_is_seen_by_the_user_among_sessions_and_in_the_log(self, house: Any) -> None:
        admin, ann, token = await acting(house)
        sessions = (await house.ask("{ mySessions { id impersonatorId } }", ann["accessToken"])).data["mySessions"]
        assert {"id": token["session"]["id"], "impersonatorId": admin["user"]["id"]} in sessions
        log = await house.do("{ myLoginLog { nodes { kind } } }", ann["accessToken"])
        assert log["nodes"][0] == {"kind": "IMPERSONATION"}

    async def test_ends_when_the_user_says_so(self, house: Any) -> None:
        _, ann, token = await acting(house)
        revoke = "mutation($id: ID!) { revokeSession(id: $id) { __typename } }"
        await house.do(revoke, ann["accessToken"], id=token["session"]["id"])
        with pytest.raises(Unauthenticated):
            await house.ask(WHO, token["accessToken"])

    async def test_ends_when_whoever_acts_says_so(self, house: Any) -> None:
        _, _, token = await acting(house)
        ended = await house.do(END, token["accessToken"])
        assert ended == {"__typename": "UserSession", "revokedReason": "IMPERSONATION_ENDED"}
        with pytest.raises(Unauthenticated):
            await house.ask(WHO, token["accessToken"])

    async def test_ends_by_itself(self, house: Any) -> None:
        _, _, token = await acting(house, minutes=1)
        house.clock.now += timedelta(seconds=61)
        with pytest.raises(Unauthenticated):
            await house.ask(WHO, token["accessToken"])

    async def test_lasts_no_longer_than_half_an_hour(self, house: Any) -> None:
        _, _, refused = await acting(house, minutes=31)
        assert refused == {"__typename": "InvalidInput", "code": "INVALID_INPUT"}

    async def test_of_those_who_may_do_more_is_refused(self, house: Any) -> None:
        admin = await house.member("admin@example.com", "admin")
        root = await house.member("root@example.com", "super_admin")
        refused = await house.do(ACT, admin["accessToken"], id=root["user"]["id"])
        assert refused == {"__typename": "Forbidden", "code": "FORBIDDEN"}
        sessions = (await house.ask("{ mySessions { impersonatorId } }", root["accessToken"])).data["mySessions"]
        assert {each["impersonatorId"] for each in sessions} == {None}

    async def test_leaves_what_is_personal_to_the_person(self, house: Any) -> None:
        _, ann, token = await acting(house)
        for document, variables in ((PASSWORD, {}), (ACT, {"id": ann["user"]["id"]})):
            answer = await house.ask(document, token["accessToken"], **variables)
            assert answer.codes == (["NOT_WHILE_IMPERSONATING"] if document is PASSWORD else ["FORBIDDEN"])
        assert (await house.login())["accessToken"]

    def test_reaches_no_operation_that_is_personal_by_its_name(self) -> None:
        open_ = set()
        for context in CONTEXTS:
            schema = subgraph(context)
            mutation = schema.get_type_by_name("Mutation")
            for field in mutation.fields if mutation else ():
                name = schema.config.name_converter.get_graphql_name(field)
                who = visibility_of(field)
                personal = any(word in name.lower() for word in PERSONAL)
                if personal and name not in HARMLESS and not (who and who.in_person):
                    open_.add(name)
        assert open_ == set()
