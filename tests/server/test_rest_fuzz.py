"""The REST API keeps what its description promises, whatever is sent: generated requests, with all checks that make sense.

`AGORA_FUZZ` asks for more of them, and for those at the borders of every schema.
"""

import json
import os
from typing import Any
from zlib import crc32

import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis.checks import CHECKS
from schemathesis.core.parameters import ParameterLocation
from schemathesis.generation import GenerationMode

from domain.kernel import SYSTEM, Work
from server.schema_files import REST_DESCRIPTION
from tests.conftest import NOW
from tests.server.application import Application, named

EXAMPLES = int(os.environ.get("AGORA_FUZZ", "0")) // 100 or 3
THOROUGH = "AGORA_FUZZ" in os.environ
UNFIT = {
    # Rules refuse what a schema cannot say: a slug of its own, a store that is one's own, an order that can be cancelled.
    "positive_data_acceptance",
    # They look at several requests in a row, which are not made here.
    "use_after_free",
    "ensure_resource_availability",
    "object_level_authorization",
}
CHECKED = [each for each in CHECKS.get_all() if each.__name__ not in UNFIT]

api = schemathesis.openapi.from_dict(json.loads(REST_DESCRIPTION.read_text("utf-8")))
api.config.generation.update(modes=[GenerationMode.POSITIVE, GenerationMode.NEGATIVE])
# The callers come in by themselves.
api.config.generation.update(with_security_parameters=False)
api.config.phases.coverage.enabled = THOROUGH
KNOWN_IN_PATHS = {
    ("products", "id"): "product",
    ("products", "productId"): "product",
    ("products", "variantId"): "variant",
    ("products", "imageId"): "image",
    ("products", "sku"): "sku",
    ("stores", "storeId"): "store",
    ("stores", "sku"): "sku",
    ("orders", "id"): "order",
    ("orders", "orderId"): "order",
    ("sub-orders", "id"): "sub_order",
    ("promotions", "id"): "promotion",
    ("price-lists", "id"): "price_list",
    ("price-lists", "listId"): "price_list",
    ("reviews", "id"): "review",
    ("imports", "id"): "job",
}


def is_positive(case: Any, where: ParameterLocation) -> bool:
    """Whether a part of a request was made to fit its schema."""
    part = case.meta.components.get(where) if case.meta else None
    return part is not None and part.mode.is_positive


@pytest.fixture(scope="module")
async def place(application: Application, open_shop: Any, workshop: Any) -> dict[str, Any]:
    """A furnished shop to be turned upside down, and how the callers come in."""
    shop = await open_shop("quay")
    issue = """mutation($scopes: [String!]!) { createApiKey(name: "ERP", scopes: $scopes, rateLimitPerMinute: 60000) {
      __typename ... on IssuedApiKey { key } ... on Error { message } } }"""
    scopes = ["catalog.write", "catalog.publish", "inventory.adjust", "inventory.read", "orders.read", "orders.update",
              "pricing.read", "pricing.write", "reviews.respond", "catalog.import", "stores.any", "identity.self"]  # fmt: skip
    await _promote(workshop, shop)
    reply = await application.ask(issue, {"scopes": scopes}, token=shop.token)
    key = reply.data["createApiKey"]["key"]
    headers = {
        "guest": named(shop.code, None, {}),
        "seller": named(shop.code, shop.token, {}),
        "key": named(shop.code, None, {"x_api_key": key}),
    }
    return {"url": application.url, "keys": shop.keys, "headers": headers}


async def _promote(workshop: Any, shop: Any) -> None:
    """Give the administrator of the shop the role that goes with the token, for keys look at roles alone."""
    from domain.identity.administration import AssignRole, assign_role

    work = Work(tenant_id=shop.market.tenant_id, actor=SYSTEM, now=NOW, correlation_id="test")
    await workshop.transactions.run(assign_role, AssignRole(user_id=shop.market.admin.user_id, role="admin"), work)


@api.parametrize()
@settings(
    max_examples=EXAMPLES,
    deadline=None,
    database=None,
    derandomize=not THOROUGH,
    suppress_health_check=list(HealthCheck),
)
def test_an_operation_answers_as_it_is_described(case: Any, place: dict[str, Any]) -> None:
    lot = crc32(repr((case.path_parameters, case.query, case.body)).encode())
    # Every second request is about something that there is.
    if is_positive(case, ParameterLocation.PATH) and lot & 1:
        area = case.path.removeprefix("/api/v1/").partition("/")[0]
        for name in case.path_parameters or {}:
            found = KNOWN_IN_PATHS.get((area, name))
            if found is not None:
                case.path_parameters[name] = place["keys"][found]
    # Cursors and versions that are made up are always refused; without them more is answered.
    if is_positive(case, ParameterLocation.QUERY) and lot & 2:
        for name in ("after", "before", "last"):
            (case.query or {}).pop(name, None)
    if lot & 4:
        (case.headers or {}).pop("If-Match", None)
    for headers in place["headers"].values():
        case.call_and_validate(base_url=place["url"], headers=headers, checks=CHECKED)
