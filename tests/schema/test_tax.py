from typing import Any
from uuid import UUID

import pytest

from domain.kernel import NOBODY, Principal, uuid7

CALCULATE = """
query Tax($lines: [TaxLineInput!]!, $country: String!, $province: String, $inclusive: Boolean) {
  calculateTax(lines: $lines, country: $country, province: $province, inclusive: $inclusive, day: "2026-03-14") {
    net { amount } total { amount currency } gross { amount }
    components { label tax { amountMinor } }
    lines { key tax { amountMinor } }
  }
}
"""
SET = """
mutation Set($input: SetTaxRateInput!) {
  setTaxRate(input: $input) {
    __typename
    ... on TaxRate { id rate validFrom validTo }
    ... on Error { code }
  }
}
"""
RATES = """
query Rates($day: Date) {
  taxRates(country: "CA", province: "Ontario", day: $day) { id kind category rate source }
}
"""
ADD = """
mutation Add($input: AddHolidayInput!) {
  addHoliday(input: $input) { __typename ... on Holiday { id name } ... on Error { code } }
}
"""
VERIFY = """
mutation Verify($user: ID!, $age: Int!) {
  recordAgeVerification(input: {userId: $user, minimumAge: $age, method: DOCUMENT}) {
    __typename
    ... on AgeVerification { userId minimumAge passed }
    ... on Error { code }
  }
}
"""


def line(key: str, amount_minor: int, currency: str = "CAD") -> dict[str, Any]:
    return {"key": key, "amount": {"amountMinor": amount_minor, "currency": currency}}


def own_rate(share: str = "0.12", first: str = "2026-01-01") -> dict[str, Any]:
    return {"country": "CA", "province": "CA-ON", "kind": "HST", "rate": share, "validFrom": first}


class TestCalculateTax:
    async def test_shows_how_the_tax_of_each_line_comes_about(self, graph: Any) -> None:
        request = {"lines": [line("a", 999), line("b", 1001)], "country": "CA", "province": "QC"}
        answer = await graph(CALCULATE, request, principal=NOBODY)
        assert answer.data["calculateTax"] == {
            "net": {"amount": "20.00"},
            "total": {"amount": "3.00", "currency": "CAD"},
            "gross": {"amount": "23.00"},
            "components": [
                {"label": "GST 5 %", "tax": {"amountMinor": 100}},
                {"label": "QST 9.975 %", "tax": {"amountMinor": 200}},
            ],
            "lines": [{"key": "a", "tax": {"amountMinor": 150}}, {"key": "b", "tax": {"amountMinor": 150}}],
        }
        assert answer.statements == 1

    async def test_takes_the_tax_out_of_prices_that_contain_it(self, graph: Any) -> None:
        answer = await graph(
            CALCULATE, {"lines": [line("a", 11900, "EUR")], "country": "DE", "inclusive": True}, principal=NOBODY
        )
        found = answer.data["calculateTax"]
        assert (found["net"]["amount"], found["total"]["amount"]) == ("100.00", "19.00")

    @pytest.mark.parametrize(
        "request_",
        [
            {"lines": [], "country": "CA"},
            {"lines": [line("a", 1)], "country": "Narnia"},
            {"lines": [line("a", 1)] * 501, "country": "CA"},
            {"lines": [line("a", 1, "ZZZ")], "country": "CA"},
        ],
    )
    async def test_refuses_what_cannot_be_taxed(self, graph: Any, request_: dict[str, Any]) -> None:
        assert (await graph(CALCULATE, request_)).codes == ["INVALID_INPUT"]

    async def test_refuses_two_currencies(self, graph: Any) -> None:
        answer = await graph(CALCULATE, {"lines": [line("a", 1), line("b", 1, "EUR")], "country": "CA"})
        assert answer.codes == ["CURRENCY_MISMATCH"]


class TestSetTaxRate:
    async def test_takes_the_place_of_the_built_in_rate(self, graph: Any) -> None:
        before = await graph(RATES, {"day": "2026-03-14"}, principal=NOBODY)
        made = await graph(SET, {"input": own_rate()})
        after = await graph(RATES, {"day": "2026-03-14"}, principal=NOBODY)
        standard = [
            [each for each in answer.data["taxRates"] if each["category"] is None] for answer in (before, after)
        ]
        assert standard[0] == [
            {
                "id": None,
                "kind": "HST",
                "category": None,
                "rate": "0.13",
                "source": "Excise Tax Act, s. 165(2) and Schedule VIII",
            }
        ]
        assert [(each["id"], each["rate"]) for each in standard[1]] == [
            (made.data["setTaxRate"]["id"], "0.12"),
        ]

    async def test_refuses_rates_that_overlap_or_make_no_sense(self, graph: Any) -> None:
        await graph(SET, {"input": {**own_rate(), "validTo": "2026-06-30"}})
        overlap = await graph(SET, {"input": own_rate(first="2026-06-30")})
        assert overlap.data["setTaxRate"] == {"__typename": "TaxRatesOverlap", "code": "TAX_RATES_OVERLAP"}
        for change in (
            {"rate": "1.5"},
            {"rate": "-0.1"},
            {"rate": "NaN"},
            {"rate": "0.1234567"},
            {"province": "CA-XX"},
            {"country": "XX"},
            {"validTo": "2020-01-01"},
            {"category": "Not a category!"},
        ):
            answer = await graph(SET, {"input": {**own_rate(first="2027-01-01"), **change}})
            assert answer.data["setTaxRate"]["code"] == "INVALID_INPUT", change
        listed = await graph("{ ownTaxRates { totalCount nodes { rate source } } }")
        assert listed.data["ownTaxRates"] == {"totalCount": 1, "nodes": [{"rate": "0.12", "source": None}]}
        assert listed.statements == 2

    async def test_is_for_those_who_hold_the_permission(self, graph: Any, tenant_id: UUID) -> None:
        shopper = Principal(user_id=uuid7(), tenant_id=tenant_id)
        assert (await graph(SET, {"input": own_rate()}, principal=shopper)).codes == ["FORBIDDEN"]
        assert (await graph("{ ownTaxRates { totalCount } }", principal=NOBODY)).codes == ["UNAUTHENTICATED"]

    async def test_leaves_a_suspended_tenant_as_it_is(self, graph: Any, suspend: Any) -> None:
        suspend()
        answer = await graph(SET, {"input": own_rate()})
        assert answer.data["setTaxRate"]["code"] == "TENANT_READ_ONLY"


class TestEndTaxRate:
    async def test_knows_nothing_of_another_tenants_rates(self, graph: Any, make_tenant: Any) -> None:
        made = await graph(SET, {"input": own_rate()})
        other = make_tenant()
        intruder = Principal(user_id=uuid7(), tenant_id=other, permissions=frozenset({"*"}))
        document = """
        mutation End($id: ID!) {
          endTaxRate(input: {id: $id, lastDay: "2026-02-01"}) {
            ... on TaxRate { validTo } ... on Error { code } } }
        """
        foreign = await graph(document, {"id": made.data["setTaxRate"]["id"]}, principal=intruder, tenant=other)
        assert foreign.data["endTaxRate"]["code"] == "NOT_FOUND"
        own = await graph(document, {"id": made.data["setTaxRate"]["id"]})
        assert own.data["endTaxRate"] == {"validTo": "2026-02-01"}


class TestTaxNumber:
    async def test_says_what_is_wrong_with_a_number(self, graph: Any) -> None:
        document = "query($c: String!, $n: String!) { taxNumber(country: $c, number: $n) { isValid number } }"
        good = await graph(document, {"c": "CA", "n": "12302 6635 RC 0001"}, principal=NOBODY)
        assert good.data["taxNumber"] == {"isValid": True, "number": "123026635RC0001"}
        bad = await graph(document, {"c": "DE", "n": "1"}, principal=NOBODY)
        assert bad.data["taxNumber"] == {"isValid": False, "number": None}
        assert (await graph(document, {"c": "US", "n": "1"}, principal=NOBODY)).codes == ["INVALID_INPUT"]


class TestHolidays:
    async def test_are_the_public_ones_and_the_tenants_own(self, graph: Any) -> None:
        request = {"country": "CA", "province": "CA-ON", "day": "2026-03-16", "name": "Stocktaking"}
        added = await graph(ADD, {"input": request})
        twice = await graph(ADD, {"input": request})
        assert twice.data["addHoliday"]["code"] == "ALREADY_EXISTS"
        seen = await graph(
            """{ holidays(province: "CA-ON", year: 2026) { id day name }
                 nextBusinessDay(province: "CA-ON", day: "2026-03-14") }"""
        )
        days = {each["day"]: each for each in seen.data["holidays"]}
        assert days["2026-03-16"] == {
            "id": added.data["addHoliday"]["id"],
            "day": "2026-03-16",
            "name": "Stocktaking",
        }
        assert (days["2026-07-01"]["id"], days["2026-07-01"]["name"]) == (None, "Canada Day")
        assert seen.data["nextBusinessDay"] == "2026-03-17"

    @pytest.mark.parametrize("province", ["Ontario", "CA-XX", "", "ZZ"])
    async def test_of_nowhere_are_refused(self, graph: Any, province: str) -> None:
        answer = await graph("query($p: String!) { holidays(province: $p, year: 2026) { day } }", {"p": province})
        assert answer.codes == ["INVALID_INPUT"]

    @pytest.mark.parametrize("day", ["0001-01-01", "9999-12-31"])
    async def test_of_years_that_nobody_worked_out_are_refused(self, graph: Any, day: str) -> None:
        answer = await graph('query($d: Date!) { nextBusinessDay(province: "CA-ON", day: $d) }', {"d": day})
        assert answer.codes == ["INVALID_INPUT"]

    async def test_are_taken_away_again(self, graph: Any) -> None:
        request = {"country": "CA", "day": "2026-03-16", "name": "Stocktaking"}
        added = await graph(ADD, {"input": request})
        document = "mutation($id: ID!) { removeHoliday(input: {id: $id}) { __typename } }"
        kinds = [
            (await graph(document, {"id": added.data["addHoliday"]["id"]})).data["removeHoliday"]["__typename"]
            for _ in range(2)
        ]
        assert kinds == ["Holiday", "NotFound"]


class TestRecordAgeVerification:
    async def test_lets_a_shopper_know_that_they_may_buy(self, graph: Any, tenant_id: UUID) -> None:
        shopper = Principal(user_id=uuid7(), tenant_id=tenant_id)
        question = "{ young: myAgeIsVerified(minimumAge: 18) old: myAgeIsVerified(minimumAge: 21) }"
        before = await graph(question, principal=shopper)
        assert before.data == {"young": False, "old": False}
        made = await graph(VERIFY, {"user": str(shopper.user_id), "age": 19})
        assert made.data["recordAgeVerification"] == {
            "__typename": "AgeVerification",
            "userId": str(shopper.user_id),
            "minimumAge": 19,
            "passed": True,
        }
        after = await graph(question, principal=shopper)
        assert after.data == {"young": True, "old": False}

    async def test_is_not_for_those_who_want_to_buy(self, graph: Any, admin: Principal, tenant_id: UUID) -> None:
        shopper = Principal(user_id=uuid7(), tenant_id=tenant_id)
        request = {"user": str(uuid7()), "age": 19}
        assert (await graph(VERIFY, request, principal=shopper)).codes == ["FORBIDDEN"]
        assert (await graph("{ ageVerifications { totalCount } }", principal=shopper)).codes == ["FORBIDDEN"]
        own = await graph(VERIFY, {"user": str(admin.user_id), "age": 19})
        assert own.data["recordAgeVerification"]["code"] == "OWN_AGE_NOT_VERIFIABLE"
        for age in (0, 100):
            answer = await graph(VERIFY, {"user": str(uuid7()), "age": age})
            assert answer.data["recordAgeVerification"]["code"] == "INVALID_INPUT"

    async def test_is_listed_by_user_in_one_statement(self, graph: Any) -> None:
        users = [str(uuid7()), str(uuid7())]
        for user in users:
            await graph(VERIFY, {"user": user, "age": 19})
        document = "query($user: ID!) { ageVerifications(userId: $user) { nodes { userId method } } }"
        answer = await graph(document, {"user": users[0]})
        assert answer.data["ageVerifications"]["nodes"] == [{"userId": users[0], "method": "DOCUMENT"}]
        assert answer.statements == 1
