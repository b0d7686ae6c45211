from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest

from domain.catalog import (
    AttributeDefinition,
    AttributeType,
    Category,
    CategoryCycle,
    CategoryTooDeep,
    InvalidAttribute,
    Product,
    ProductContent,
    ProductCreated,
    ProductState,
    ProductUpdated,
    RegulatedDetails,
    VariantContent,
    Viewer,
    path_ids,
    translated,
)
from domain.catalog.attributes import check_attributes, inherited
from domain.catalog.editing import ProductAttribute, attribute_values
from domain.catalog.texts import checked_gtin, checked_sku, checked_slug, slug_of
from domain.catalog.translations import with_text
from domain.codec import from_json, to_json
from domain.kernel import AlreadyExists, InvalidInput, InvalidStateTransition, Principal, uuid7
from domain.money import CurrencyMismatch, Money

NOW = datetime(2026, 1, 1, tzinfo=UTC)
TENANT, SELLER = uuid7(), uuid7()


def content(**given: Any) -> ProductContent:
    return ProductContent(**{"name": "Mug", "sku": "MUG", "price": Money(1250, "EUR"), **given})


def product(**given: Any) -> Product:
    made = Product.draft(content(**given), (), tenant_id=TENANT, seller_id=SELLER, slug="mug")
    made.release_events()
    return made


def facts(made: Product) -> Sequence[Any]:
    return [recorded.event for recorded in made.release_events()]


class TestProduct:
    def test_is_what_its_seller_wrote(self) -> None:
        written = content(
            brand="Acme",
            compare_at_price=Money(2000, "EUR"),
            attributes={"colour": ["red", "blue"]},
            variants=(VariantContent(name="Large", sku="L", price=Money(1500, "EUR"), options={"size": "L"}),),
        )
        made = Product.draft(written, (), tenant_id=TENANT, seller_id=SELLER, slug="mug")
        assert made.content == written
        (created,) = facts(made)
        assert isinstance(created, ProductCreated)
        assert (created.sku, created.variant_skus, created.price_minor) == ("MUG", ("L",), 1250)

    def test_keeps_its_content_through_json(self) -> None:
        written = content(variants=(VariantContent(name="Large", sku="L"),), weight_grams=3)
        assert from_json(to_json(written), ProductContent) == written

    def test_names_what_a_revision_changed(self) -> None:
        made = product()
        made.revise(content(name="Cup", weight_grams=300), ())
        (updated,) = facts(made)
        assert isinstance(updated, ProductUpdated)
        assert (updated.changed, made.version) == (("name", "weight_grams"), 2)

    def test_stays_as_it_is_when_nothing_changes(self) -> None:
        made = product()
        made.revise(content(name=" Mug "), ())
        assert (facts(made), made.version) == ([], 1)

    @pytest.mark.parametrize(
        ("wrong", "refusal"),
        [
            ({"price": Money(-1, "EUR")}, InvalidInput),
            ({"price": None, "compare_at_price": Money(1, "EUR")}, InvalidInput),
            ({"compare_at_price": Money(1249, "EUR")}, InvalidInput),
            ({"unit_cost": Money(1, "USD")}, CurrencyMismatch),
            ({"variants": (VariantContent(name="a", sku="MUG"),)}, AlreadyExists),
            ({"regulated": RegulatedDetails(pieces=1)}, InvalidInput),
            ({"attributes": {"a": {"deep": 1}}}, InvalidAttribute),
            ({"attributes": {"a": float("inf")}}, InvalidAttribute),
            ({"attributes": {f"a{at}": 1 for at in range(201)}}, InvalidInput),
        ],
    )
    def test_refuses_what_no_product_may_have_and_stays_as_it_was(self, wrong: Any, refusal: type) -> None:
        made = product()
        with pytest.raises(refusal):
            made.revise(replace(content(), **wrong), ())
        assert (made.content, facts(made), made.version) == (content(), [], 1)

    def test_keeps_the_identity_of_variants_that_stay(self) -> None:
        made = product(variants=(VariantContent(name="S", sku="S"), VariantContent(name="L", sku="L")))
        small, large = made.variants
        turned = (made.content.variants[1], made.content.variants[0])
        made.revise(replace(made.content, variants=turned), ())
        assert (made.variants, small.position, large.position) == ([large, small], 1, 0)

    def test_lets_an_imported_value_stay_when_something_else_changes(self) -> None:
        made = product()
        made.gtin = "123"
        made.revise(replace(made.content, name="Cup"), ())
        assert (made.name, made.gtin) == ("Cup", "123")

    def test_becomes_a_draft_again_when_a_rejected_one_is_corrected(self) -> None:
        made = product()
        made.submit()
        made.reject("No picture")
        made.revise(content(name="Cup"), ())
        assert (made.state, made.state_reason) == (ProductState.DRAFT, None)

    @pytest.mark.parametrize("state", [ProductState.PENDING_MODERATION, ProductState.SUSPICIOUS, ProductState.BLOCKED])
    def test_is_not_published_past_the_moderators(self, state: ProductState) -> None:
        made = product()
        made.state = state
        with pytest.raises(InvalidStateTransition):
            made.publish(NOW)
        assert (made.state, facts(made)) == (state, [])


class TestCategory:
    @staticmethod
    def chain(levels: int) -> list[Category]:
        line: list[Category] = []
        for level in range(levels):
            parent = line[-1] if line else None
            line.append(Category.below(parent, tenant_id=TENANT, name=f"L{level}", slug=f"l{level}"))
        return line

    def test_knows_its_way_from_the_root(self) -> None:
        line = self.chain(3)
        assert path_ids(line[2].path) == [each.id for each in line]
        assert [each.depth for each in line] == [1, 2, 3]

    def test_refuses_to_hang_below_itself(self) -> None:
        top, middle, leaf = self.chain(3)
        before = (middle.path, middle.parent_id, middle.version)
        for target in (middle, leaf):
            with pytest.raises(CategoryCycle):
                middle.move(target, deepest=3)
        assert (middle.path, middle.parent_id, middle.version) == before
        middle.move(None, deepest=3)
        assert (middle.depth, middle.parent_id, top.depth) == (1, None, 1)

    def test_refuses_to_take_its_branch_too_deep(self) -> None:
        deep, branch = self.chain(8), self.chain(3)
        with pytest.raises(CategoryTooDeep) as refused:
            branch[0].move(deep[-1], deepest=3)
        assert (refused.value.depth, branch[0].parent_id) == (11, None)


class TestAttributes:
    def test_of_the_nearer_category_win(self) -> None:
        far = AttributeDefinition(name="size", type=AttributeType.TEXT)
        near = AttributeDefinition(name="size", type=AttributeType.NUMBER)
        other = AttributeDefinition(name="lid", type=AttributeType.BOOLEAN)
        assert inherited([[far, other], [near]]) == (near, other)

    def test_may_be_anything_where_no_category_defines_any(self) -> None:
        check_attributes({"anything": ["a", 1, True]}, ())

    @pytest.mark.parametrize(
        ("kind", "good", "bad"),
        [
            (AttributeType.TEXT, ["a", ["a", "b"]], [1, True, [1]]),
            (AttributeType.NUMBER, [1, 1.5], ["1", True, [1]]),
            (AttributeType.BOOLEAN, [True], [1, "yes"]),
            (AttributeType.ENUM, ["a", ["a"]], ["c", ["a", "c"], 1]),
        ],
    )
    def test_take_values_of_their_type_only(self, kind: AttributeType, good: list[Any], bad: list[Any]) -> None:
        allowed = ("a", "b") if kind is AttributeType.ENUM else ()
        schema = [AttributeDefinition(name="x", type=kind, allowed_values=allowed)]
        for value in good:
            check_attributes({"x": value}, schema)
        for value in bad:
            with pytest.raises(InvalidAttribute):
                check_attributes({"x": value}, schema)

    def test_come_with_one_value_each(self) -> None:
        assert attribute_values((ProductAttribute(name="a", number=2.0), ProductAttribute(name="b", number=2.5))) == {
            "a": 2,
            "b": 2.5,
        }
        with pytest.raises(InvalidInput):
            attribute_values((ProductAttribute(name="a"),))


class TestTexts:
    @pytest.mark.parametrize("gtin", ["96385074", "036000291452", "4006381333931", "10012345678902"])
    def test_accept_a_gtin_with_its_check_digit(self, gtin: str) -> None:
        assert checked_gtin("gtin", gtin) == gtin

    @pytest.mark.parametrize("gtin", ["96385075", "4006381333932", "123", "", "٤006381333931", "400638133393100"])
    def test_refuse_any_other_gtin(self, gtin: str) -> None:
        with pytest.raises(InvalidInput):
            checked_gtin("gtin", gtin)

    @pytest.mark.parametrize("sku", ["", " a", "a ", "a\nb", "a\0", "a" * 65, "\ud800"])
    def test_refuse_a_sku_that_nobody_can_type(self, sku: str) -> None:
        with pytest.raises(InvalidInput):
            checked_sku("sku", sku)

    def test_make_slugs_of_any_script(self) -> None:
        assert [slug_of(each, "product") for each in ("Чайная кружка", "Krüge & Co", "!!!")] == [
            "chainaia-kruzhka",
            "kruge-co",
            "product",
        ]

    @pytest.mark.parametrize("slug", ["", "A", "a b", "-a", "a--b", "ä", "a" * 101])
    def test_refuse_a_slug_that_is_none(self, slug: str) -> None:
        with pytest.raises(InvalidInput):
            checked_slug("slug", slug)


class TestTranslations:
    def test_fall_back_to_the_language_without_its_region(self) -> None:
        texts = with_text({}, "fr", "name", "Tasse")
        assert [translated(texts, each, "name") for each in ("fr", "fr-CA", "de")] == ["Tasse", "Tasse", None]

    def test_forget_a_language_with_its_last_text(self) -> None:
        assert with_text({"fr": {"name": "Tasse"}, "de": {"name": "Tasse"}}, "fr", "name", None) == {
            "de": {"name": "Tasse"}
        }


class TestViewer:
    @pytest.mark.parametrize(
        ("permissions", "sees_own", "sees_others"),
        [
            ((), False, False),
            (("catalog.read",), False, False),
            (("catalog.write",), True, False),
            (("catalog.write.any",), True, True),
            (("catalog.moderate",), True, True),
            (("catalog.*",), True, True),
        ],
    )
    def test_sees_what_its_permissions_show(
        self, permissions: tuple[str, ...], sees_own: bool, sees_others: bool
    ) -> None:
        me: UUID = uuid7()
        viewer = Viewer.of(Principal(user_id=me, permissions=frozenset(permissions)))
        assert (viewer.sees(me), viewer.sees(uuid7())) == (sees_own, sees_others)
