from typing import Any
from uuid import UUID

from domain.kernel import NOBODY, Principal, uuid7

QUOTE = """
query Quote($items: [QuoteItemInput!]!, $codes: [String!], $region: String, $points: Int) {
  priceQuote(items: $items, codes: $codes, region: $region, points: $points) {
    subtotal { amountMinor } discount { amountMinor } total { amount amountMinor currency }
    lines { sku quantity unit { amountMinor } net { amountMinor } steps { kind label amount { amountMinor } } }
  }
}
"""
CODE = """
mutation Code($input: CreateDiscountCodeInput!) {
  createDiscountCode(input: $input) {
    __typename ... on DiscountCode { id code state terms } ... on Error { code message }
  }
}
"""
DISABLE = """
mutation Disable($id: ID!) {
  disableDiscountCode(input: {id: $id}) { __typename ... on DiscountCode { state } ... on Error { code } }
}
"""
VALIDATE = """
query Validate($code: String!, $sku: String!) {
  validateDiscountCode(code: $code, items: [{sku: $sku}]) { valid refusal message discount { amountMinor } }
}
"""
REGIONAL = """
mutation Regional($sku: String!, $minor: BigInt!) {
  setRegionalPrice(input: {
    sku: $sku, region: "CA", currency: "CAD", price: {amountMinor: $minor, currency: "CAD"}, reason: "tariff"
  }) { __typename ... on PriceList { id kind prices { nodes { sku price { amountMinor } } } } ... on Error { message } }
}
"""
SALE = """
mutation Sale($input: CreateFlashSaleInput!) {
  createFlashSale(input: $input) {
    __typename ... on FlashSale { id state items { sku sold stockLimit price { amountMinor } } } ... on Error { message }
  }
}
"""
PROMOTION = """
mutation Promote($input: CreatePromotionInput!) {
  createPromotion(input: $input) { __typename ... on Promotion { id state name } ... on Error { code message } }
}
"""

REGISTER = """mutation($email: String!, $password: String!) {
  register(email: $email, password: $password) { __typename }
}"""
LOGIN = """mutation($email: String!, $password: String!) {
  login(email: $email, password: $password) { ... on Authentication { user { id } } }
}"""


def ten(code: str, **more: Any) -> dict[str, Any]:
    return {"input": {"code": code, "kind": "PERCENTAGE", "terms": {"percent": "10"}, **more}}


class TestPriceQuote:
    async def test_explains_each_line_with_three_statements_at_most(self, graph: Any, goods: Any) -> None:
        await graph(REGIONAL, {"sku": goods.sku, "minor": 1100})
        await graph(CODE, ten("TEN"))
        items = [{"sku": goods.sku, "quantity": 2}, {"sku": goods.variant_sku, "quantity": 1}]
        answer = await graph(QUOTE, {"items": items, "codes": ["ten"], "region": "CA-ON"})
        quote = answer.data["priceQuote"]
        assert quote["total"] == {"amount": "31.05", "amountMinor": 3105, "currency": "CAD"}
        assert (quote["subtotal"]["amountMinor"], quote["discount"]["amountMinor"]) == (3450, 345)
        assert [(step["kind"], step["amount"]["amountMinor"]) for step in quote["lines"][0]["steps"]] == [
            ("BASE", 2500),
            ("REGIONAL", -300),
            ("CODE", -220),
        ]
        assert answer.statements <= 3

    async def test_refuses_codes_and_goods_that_there_are_not(self, graph: Any, goods: Any) -> None:
        items = [{"sku": goods.sku}]
        assert (await graph(QUOTE, {"items": items, "codes": ["NONE"]})).codes == ["UNKNOWN_DISCOUNT_CODE"]
        assert (await graph(QUOTE, {"items": [{"sku": "no such SKU"}]})).codes == ["NOT_FOUND"]
        assert (await graph(QUOTE, {"items": []})).codes == ["INVALID_INPUT"]
        assert (await graph(QUOTE, {"items": [{"sku": goods.sku, "quantity": -1}]})).codes == ["INVALID_INPUT"]
        assert (await graph(QUOTE, {"items": items, "points": 1})).codes == ["INSUFFICIENT_POINTS"]


class TestDiscountCodes:
    async def test_say_what_they_take_off_or_why_they_do_not(self, graph: Any, goods: Any) -> None:
        made = await graph(CODE, ten("WELCOME", usageLimit=5))
        code = made.data["createDiscountCode"]
        assert (code["code"], code["state"], code["terms"]["percent"]) == ("WELCOME", "ACTIVE", "10")
        request = {"code": "welcome", "sku": goods.sku}
        fine = await graph(VALIDATE, request, principal=NOBODY)
        assert fine.data["validateDiscountCode"] == {
            "valid": True,
            "refusal": None,
            "message": None,
            "discount": {"amountMinor": 125},
        }
        assert (await graph(DISABLE, {"id": code["id"]})).data["disableDiscountCode"]["state"] == "DISABLED"
        gone = await graph(VALIDATE, request)
        assert gone.data["validateDiscountCode"]["refusal"] == "UNKNOWN_DISCOUNT_CODE"

    async def test_of_another_tenant_answer_like_codes_that_never_were(
        self, graph: Any, goods: Any, make_tenant: Any
    ) -> None:
        made = await graph(CODE, ten("SECRET"))
        other: UUID = make_tenant()
        intruder = Principal(user_id=uuid7(), tenant_id=other, permissions=frozenset({"*"}))
        id_ = made.data["createDiscountCode"]["id"]
        foreign = await graph(DISABLE, {"id": id_}, principal=intruder, tenant=other)
        assert foreign.data["disableDiscountCode"] == {"__typename": "NotFound", "code": "NOT_FOUND"}
        assert (await graph(CODE, ten("SECRET"), principal=intruder, tenant=other)).data["createDiscountCode"][
            "__typename"
        ] == "DiscountCode"

    async def test_are_made_by_those_who_may_and_seen_by_their_owners(
        self, graph: Any, goods: Any, tenant_id: UUID
    ) -> None:
        rights = frozenset({"pricing.read", "pricing.write"})
        seller, rival = (Principal(user_id=uuid7(), tenant_id=tenant_id, permissions=rights) for _ in range(2))
        shopper = Principal(user_id=uuid7(), tenant_id=tenant_id)
        assert (await graph(CODE, ten("MINE"), principal=shopper)).codes == ["FORBIDDEN"]
        made = await graph(CODE, ten("MINE"), principal=seller)
        id_ = made.data["createDiscountCode"]["id"]
        listed = "query { discountCodes { nodes { code usage { uses } } } }"
        assert (await graph(listed, principal=seller)).data["discountCodes"]["nodes"] == [
            {"code": "MINE", "usage": None}
        ]
        assert (await graph(listed, principal=rival)).data["discountCodes"]["nodes"] == []
        assert (await graph(DISABLE, {"id": id_}, principal=rival)).data["disableDiscountCode"]["code"] == "NOT_FOUND"
        # A seller's code takes nothing off another seller's goods.
        verdict = (await graph(VALIDATE, {"code": "MINE", "sku": goods.sku})).data["validateDiscountCode"]
        assert verdict["refusal"] == "DISCOUNT_CODE_NOT_APPLICABLE"

    async def test_refuse_terms_that_make_no_sense(self, graph: Any) -> None:
        for terms in ({"percent": "0"}, {"percent": "101"}, {"amountMinor": 5}, {"percent": "NaN"}, {}):
            answer = await graph(CODE, {"input": {"code": "BAD", "kind": "PERCENTAGE", "terms": terms}})
            refused = answer.data and answer.data["createDiscountCode"]["code"] == "INVALID_INPUT"
            assert refused or answer.errors, terms
        assert (await graph(CODE, ten("x"))).data["createDiscountCode"]["code"] == "INVALID_INPUT"
        assert (await graph("query { discountCodes { totalCount } }")).data == {"discountCodes": {"totalCount": 0}}


class TestEffectivePrice:
    async def test_is_loaded_for_all_products_of_a_page_at_once(self, graph: Any, goods: Any) -> None:
        await graph(REGIONAL, {"sku": goods.sku, "minor": 1100})
        document = """query($id: ID!) { product(id: $id) {
          price { amountMinor }
          effectivePrice(region: "CA-ON") { unit { amountMinor } steps { kind } }
          variants { sku effectivePrice(region: "CA-ON", quantity: 3) { unit { amountMinor } quantity } }
        } }"""
        answer = await graph(document, {"id": goods.product})
        product = answer.data["product"]
        assert product["price"] == {"amountMinor": 1250}
        assert product["effectivePrice"] == {
            "unit": {"amountMinor": 1100},
            "steps": [{"kind": "BASE"}, {"kind": "REGIONAL"}],
        }
        assert product["variants"] == [
            {"sku": goods.variant_sku, "effectivePrice": {"unit": {"amountMinor": 1250}, "quantity": 3}}
        ]
        # Product, variants, and twice offers and facts.
        assert answer.statements == 6

    async def test_shows_a_currency_that_nobody_can_exchange_as_an_error_of_its_own(
        self, graph: Any, goods: Any
    ) -> None:
        document = 'query($id: ID!) { product(id: $id) { sku effectivePrice(currency: "JPY") { sku } } }'
        answer = await graph(document, {"id": goods.product})
        assert (answer.data["product"]["sku"], answer.codes) == (goods.sku, ["CURRENCY_MISMATCH"])


class TestPriceHistory:
    async def test_tells_each_change_to_those_who_may_know(self, graph: Any, goods: Any, tenant_id: UUID) -> None:
        for minor in (1100, 1100, 1050):
            await graph(REGIONAL, {"sku": goods.sku, "minor": minor})
        document = """query($sku: String!) { priceHistory(sku: $sku) {
          nodes { oldPrice { amountMinor } newPrice { amountMinor } reason source } } }"""
        answer = await graph(document, {"sku": goods.sku})
        assert answer.data["priceHistory"]["nodes"] == [
            {
                "oldPrice": {"amountMinor": 1100},
                "newPrice": {"amountMinor": 1050},
                "reason": "tariff",
                "source": "regional",
            },
            {"oldPrice": None, "newPrice": {"amountMinor": 1100}, "reason": "tariff", "source": "regional"},
        ]
        assert answer.statements == 1
        rival = Principal(user_id=uuid7(), tenant_id=tenant_id, permissions=frozenset({"pricing.read"}))
        assert (await graph(document, {"sku": goods.sku}, principal=rival)).codes == ["NOT_FOUND"]


class TestPrices:
    async def test_are_set_for_goods_that_there_are_and_by_their_sellers(
        self, graph: Any, goods: Any, tenant_id: UUID
    ) -> None:
        assert (await graph(REGIONAL, {"sku": "no such SKU", "minor": 1})).data["setRegionalPrice"] == {
            "__typename": "NotFound",
            "message": "Product no such SKU does not exist.",
        }
        rights = frozenset({"pricing.read", "pricing.write"})
        rival = Principal(user_id=uuid7(), tenant_id=tenant_id, permissions=rights)
        refused = await graph(REGIONAL, {"sku": goods.sku, "minor": 1}, principal=rival)
        assert refused.data["setRegionalPrice"]["__typename"] == "NotFound"
        assert (await graph("query { priceLists { totalCount } }")).data["priceLists"] == {"totalCount": 0}


class TestCampaigns:
    async def test_are_shown_to_everybody_while_they_are_on(self, graph: Any, goods: Any) -> None:
        price = {"amountMinor": 900, "currency": "CAD"}
        sale = {
            "name": "Flash",
            "endsAt": "2099-01-01T00:00:00Z",
            "items": [{"sku": goods.sku, "price": price, "stockLimit": 3}],
        }
        made = await graph(SALE, {"input": sale})
        assert made.data["createFlashSale"]["__typename"] == "FlashSale", made.data
        assert (
            await graph(
                PROMOTION,
                {
                    "input": {
                        "name": "Later",
                        "kind": "PERCENTAGE",
                        "terms": {"percent": "5"},
                        "startsAt": "2098-01-01T00:00:00Z",
                    }
                },
            )
        ).data["createPromotion"]["state"] == "SCHEDULED"
        document = """query {
          flashSales(active: true) { nodes { name state items { sku sold stockLimit price { amountMinor } } } }
          on: promotions(active: true) { nodes { name } }
          all: promotions { nodes { name } totalCount }
          bundleDeals { nodes { name } }
        }"""
        answer = await graph(document, principal=NOBODY)
        assert answer.data == {
            "flashSales": {
                "nodes": [
                    {
                        "name": "Flash",
                        "state": "ACTIVE",
                        "items": [{"sku": goods.sku, "sold": 0, "stockLimit": 3, "price": {"amountMinor": 900}}],
                    }
                ]
            },
            "on": {"nodes": []},
            "all": {"nodes": [{"name": "Later"}], "totalCount": 1},
            "bundleDeals": {"nodes": []},
        }
        quote = (await graph(QUOTE, {"items": [{"sku": goods.sku, "quantity": 3}]})).data["priceQuote"]
        assert quote["total"]["amountMinor"] == 2700

    async def test_bundle_nothing_that_there_is_not_or_that_others_sell(
        self, graph: Any, goods: Any, tenant_id: UUID
    ) -> None:
        rival = Principal(user_id=uuid7(), tenant_id=tenant_id, permissions=frozenset({"pricing.write"}))
        terms = {"amountMinor": 900, "currency": "CAD"}
        for sku, seller in (("no such SKU", None), (goods.sku, rival)):
            bundle = {"name": "Pair", "kind": "BUNDLE", "terms": terms | {"items": [{"sku": sku, "quantity": 2}]}}
            answer = await graph(PROMOTION, {"input": bundle}, **({"principal": seller} if seller else {}))
            assert answer.data["createPromotion"]["code"] == "NOT_FOUND"
        assert (await graph("{ promotions { totalCount } }")).data["promotions"] == {"totalCount": 0}

    async def test_end_when_they_are_told_to(self, graph: Any) -> None:
        made = await graph(PROMOTION, {"input": {"name": "Now", "kind": "PERCENTAGE", "terms": {"percent": "5"}}})
        id_ = made.data["createPromotion"]["id"]
        end = """mutation($id: ID!) { endPromotion(input: {id: $id}) {
          __typename ... on Promotion { state } ... on Error { code } } }"""
        assert (await graph(end, {"id": id_})).data["endPromotion"] == {"__typename": "Promotion", "state": "ENDED"}
        assert (await graph(end, {"id": id_})).data["endPromotion"]["code"] == "INVALID_STATE_TRANSITION"


class TestLoyalty:
    async def test_turns_points_into_a_code_once_per_key(self, graph: Any, goods: Any, tenant_id: UUID) -> None:
        person = {"email": f"{uuid7().hex}@example.com", "password": "correct horse battery"}
        await graph(REGISTER, person, principal=NOBODY)
        entry = await graph(LOGIN, person, principal=NOBODY)
        member = Principal(user_id=UUID(entry.data["login"]["user"]["id"]), tenant_id=tenant_id)
        await graph(
            """mutation { setLoyaltyProgram(input: {
              name: "Club", currency: "CAD", earnRate: "1", pointValue: "1", tiers: [{name: "gold", threshold: 100}]
            }) { __typename } }"""
        )
        adjust = """mutation($user: ID!) { adjustLoyaltyPoints(
          input: {userId: $user, points: 500, reason: "welcome"}, idempotencyKey: "k1"
        ) { __typename ... on LoyaltyAccount { points } ... on Error { code } } }"""
        for _ in range(2):
            given = await graph(adjust, {"user": str(member.user_id)})
            assert given.data["adjustLoyaltyPoints"] == {"__typename": "LoyaltyAccount", "points": 500}
        redeem = """mutation($points: Int!, $key: String!) {
          redeemLoyaltyPoints(input: {points: $points}, idempotencyKey: $key) {
            __typename ... on DiscountCode { code } ... on Error { message }
          } }"""
        first = await graph(redeem, {"points": 300, "key": "k2"}, principal=member)
        assert (await graph(redeem, {"points": 300, "key": "k2"}, principal=member)).data == first.data
        refused = await graph(redeem, {"points": 201, "key": "k3"}, principal=member)
        assert refused.data["redeemLoyaltyPoints"]["__typename"] == "InsufficientPoints"
        mine = await graph(
            "query { myLoyalty { points tier transactions { nodes { kind points balanceAfter } } } }", principal=member
        )
        assert mine.data["myLoyalty"] == {
            "points": 200,
            "tier": None,
            "transactions": {
                "nodes": [
                    {"kind": "REDEEM", "points": -300, "balanceAfter": 200},
                    {"kind": "ADJUST", "points": 500, "balanceAfter": 500},
                ]
            },
        }
        request = {"code": first.data["redeemLoyaltyPoints"]["code"], "sku": goods.sku}
        nobody = await graph(adjust.replace("k1", "k9"), {"user": str(uuid7())})
        assert nobody.data["adjustLoyaltyPoints"]["__typename"] == "NotFound"
        own = await graph(VALIDATE, request, principal=member)
        assert own.data["validateDiscountCode"]["discount"] == {"amountMinor": 300}
        stolen = await graph(VALIDATE, request)
        assert stolen.data["validateDiscountCode"]["refusal"] == "DISCOUNT_CODE_NOT_APPLICABLE"
