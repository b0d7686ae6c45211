"""Deny by default: nobody adds a field without saying who may see it."""

from collections.abc import Iterator

import pytest
from strawberry.types.base import StrawberryObjectDefinition
from strawberry.types.field import StrawberryField

from schema.graph import CONTEXTS, subgraph
from schema.kernel import visibility_of
from schema.supergraph.declarations import BulkField

ROOTS = ("Query", "Mutation", "Subscription")
ENTERING = frozenset(
    {
        "register", "login", "refresh_token", "logout", "track_search_click", "unsubscribe", "complete_login",
        "begin_passkey_login", "login_with_passkey", "request_otp", "verify_otp", "login_with_otp", "verify_email",
        "request_password_reset", "reset_password",
        "begin_social_login",
        "social_login",
    }
)  # fmt: skip
# A guest holds the secret token of a cart and needs no account to buy what is in it.
BUYING_AS_A_GUEST = frozenset(
    {
        "create_cart", "add_to_cart", "update_cart_item", "remove_from_cart", "clear_cart", "apply_promo_code",
        "remove_promo_code", "share_cart", "checkout", "set_checkout_address", "set_checkout_delivery",
        "set_checkout_contact", "set_checkout_payment", "complete_checkout", "create_payment_intent", "confirm_payment",
    }
)  # fmt: skip
OF_FEDERATION = frozenset({"_service", "_entities"})


def definitions(context: str) -> Iterator[StrawberryObjectDefinition]:
    for concrete in subgraph(context).schema_converter.type_map.values():
        if isinstance(concrete.definition, StrawberryObjectDefinition):
            yield concrete.definition


def undeclared(context: str) -> Iterator[str]:
    for definition in definitions(context):
        for field in definition.fields:
            if (definition.name in ROOTS or isinstance(field, BulkField)) and not is_declared(field):
                yield f"{definition.name}.{field.python_name}"


def is_declared(field: StrawberryField) -> bool:
    return field.python_name in OF_FEDERATION or visibility_of(field) is not None


class TestVisibility:
    @pytest.mark.parametrize("context", CONTEXTS)
    def test_is_declared_by_every_root_field_and_every_field_that_loads(self, context: str) -> None:
        assert list(undeclared(context)) == []

    @pytest.mark.parametrize("context", CONTEXTS)
    def test_leaves_no_mutation_to_the_public_but_those_that_shoppers_need(self, context: str) -> None:
        public = {
            field.python_name
            for definition in definitions(context)
            if definition.name == "Mutation"
            for field in definition.fields
            if (who := visibility_of(field)) is not None and who.name == "public"
        }
        assert public <= ENTERING | BUYING_AS_A_GUEST
