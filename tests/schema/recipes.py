"""What every root field is called with, and which of its arguments name something that belongs to a tenant."""

from typing import Any

from tests.schema import api_key_recipes as api_keys
from tests.schema import buying_recipes as buying
from tests.schema import delivery_recipes as delivery
from tests.schema import factor_recipes as factors
from tests.schema import live_recipes as live
from tests.schema import sign_on_recipes as sign_on
from tests.schema import talking
from tests.schema.keys import CAD, CATEGORY, PRODUCT, SKU, STORE, STREET, USER, Fresh, Key, filled, keyed, keys_in
from tests.schema.keys import taking as _input

SPARE_SKUS = tuple(f"spare_sku_{number}" for number in range(1, 8))
SPARE_SLUGS = ("spare_slug_1", "spare_slug_2")
SPARE_CATEGORIES = ("spare_category_1", "spare_category_2")
# A person does these once for each product, so everybody who does is somebody else.
ONCE_A_PERSON = frozenset({"createReview", "addToWishlist"})
FILTER = {"categoryId": CATEGORY, "sellerId": USER, "storeId": STORE}
NARROWED = [{"filter": {name: key}} for name, key in FILTER.items()]
TEXT_OF_PRODUCT = {"entityType": "PRODUCT", "entityId": PRODUCT}
PRICED = {"name": Fresh("Lamp "), "price": CAD}
VARIANT = {"name": "Blue", "sku": Fresh("SKU-")}

# What a call may take for itself, because another tenant's use of it is nobody's business, is a spare one of each kind:
# the things that the other tests name must not exist twice. A field with several ways to be called has a list of them. A field that names nothing of a tenant needs no entry,
# unless it has required arguments.
RECIPES: dict[str, dict[str, Any] | list[dict[str, Any]]] = {
    # platform
    "auditLog": [
        {"filter": {"aggregateId": PRODUCT}},
        {"filter": {"userId": USER}},
        {"filter": {"apiKeyId": Key("api_key")}},
    ],
    "privilegedActions": [{"filter": {"actorId": USER}}, {"filter": {"impersonatorId": USER}}],
    "eventStream": {"aggregateId": PRODUCT},
    "requeueDeadLetter": _input(id=Key("letter")),
    "replayProjection": _input(projection="there.is_none"),
    # tenancy
    "tenant": [{"id": Key("tenant")}, {"code": Key("tenant_code")}],
    "tenantHierarchy": {"id": Key("tenant")},
    "store": [{"id": STORE}, {"code": Key("store_code")}],
    "nearbyStores": {"latitude": 45.4, "longitude": -75.7},
    "expiringLicences": {"expiresBefore": "2030-01-01"},
    "storeSettings": {"storeId": STORE},
    "storeCompliance": {"storeId": STORE},
    "createTenant": _input(name="Other", code=Key("tenant_code")),
    "updateTenant": _input(id=Key("tenant"), name="Other"),
    "suspendTenant": _input(id=Key("tenant"), reason="unpaid"),
    "reactivateTenant": _input(id=Key("tenant")),
    "cancelTenant": _input(id=Key("tenant"), reason="gone"),
    "changeTenantSubscription": _input(id=Key("tenant"), tier="STANDARD"),
    "createStore": [_input(name="Other", code=Fresh("st-")), _input(name="Other", code=Key("spare_store_code"))],
    "updateStore": _input(id=STORE, name="Other"),
    "activateStore": _input(id=STORE),
    "deactivateStore": _input(id=STORE),
    "setStoreSetting": _input(storeId=STORE, key="till", value="2"),
    "assignStoreUser": _input(storeId=STORE, userId=USER, role="HOST"),
    "recordStoreCompliance": _input(storeId=STORE, requirement="fire exits", status="COMPLIANT"),
    # identity
    "user": {"id": USER},
    "users": {"storeId": STORE},
    "loginLog": {"userId": USER},
    "register": {"email": Key("email"), "password": "a long enough password"},
    "login": {"email": Key("email"), "password": "not the password"},
    "refreshToken": {"refreshToken": Key("refresh_token")},
    "logout": {"refreshToken": Key("refresh_token")},
    "revokeSession": {"id": Key("session")},
    "changePassword": {"currentPassword": "not the password", "newPassword": "a long enough password"},
    "updatePreferences": {"preferences": {"theme": "dark"}},
    "updateProfile": _input(bio="Sells lamps."),
    "addAddress": _input(**STREET, addressType="SHIPPING"),
    "updateAddress": _input(id=Key("address"), **STREET),
    "setDefaultAddress": _input(id=Key("address")),
    "deleteAddress": _input(id=Key("address")),
    "assignRole": _input(userId=USER, role=Key("role"), storeId=STORE),
    "revokeRole": _input(userId=USER, role=Key("role"), storeId=STORE),
    "defineRole": _input(name="sweeper", permissions=["inventory.read"]),
    "deleteRole": _input(name=Key("role")),
    "lockUser": _input(userId=USER),
    "unlockUser": _input(userId=USER),
    "deactivateUser": _input(userId=USER),
    "impersonate": {"userId": USER, "reason": "a question"},
    "endImpersonation": {"sessionId": Key("session")},
    "requestErasure": {"password": "not the password"},
    "cancelErasure": _input(id=Key("erasure")),
    "exportUserData": _input(userId=USER, reason="asked by letter"),
    "eraseUser": _input(userId=USER, reason="asked by letter"),
    # localization
    "translations": TEXT_OF_PRODUCT,
    "translationOverrides": TEXT_OF_PRODUCT,
    "missingTranslations": {"language": "fr"},
    "translationBatch": {"id": Key("batch")},
    "createTranslation": _input(**TEXT_OF_PRODUCT, field="name", language="fr", text="Lampe"),
    "overrideTranslation": _input(**TEXT_OF_PRODUCT, field="name", language="fr", storeId=STORE, text="Lampe"),
    "batchTranslate": _input(entityType="PRODUCT", language="fr", entityIds=[PRODUCT]),
    "setSupportedLanguage": _input(code="fr"),
    "addSkipWord": _input(word=Fresh("word")),
    # catalog
    "product": [{"id": PRODUCT}, {"slug": Key("product_slug")}, {"sku": SKU}],
    "products": NARROWED,
    "regulatedProducts": NARROWED,
    "accessories": NARROWED,
    "productVariants": {"productId": PRODUCT},
    "productVersions": {"productId": PRODUCT},
    "category": [{"id": CATEGORY}, {"slug": Key("category_slug")}],
    "categories": {"parentId": CATEGORY},
    "regulatedProduct": {"sku": Key("regulated_sku")},
    "accessory": {"id": Key("accessory")},
    "createProduct": [
        _input(**PRICED, sku=Fresh("SKU-"), categoryId=CATEGORY, storeId=STORE, sellerId=USER, variants=[VARIANT]),
        _input(**PRICED, sku=Key("spare_sku_1"), slug=Fresh("slug-")),
        _input(**PRICED, sku=Fresh("SKU-"), slug=Key("spare_slug_1")),
        _input(**PRICED, sku=Fresh("SKU-"), variants=[{"name": "Blue", "sku": Key("spare_sku_2")}]),
    ],
    "updateProduct": [
        _input(id=PRODUCT, name="Other"),
        _input(id=PRODUCT, categoryId=CATEGORY),
        _input(id=PRODUCT, sku=Key("spare_sku_3")),
        _input(id=PRODUCT, slug=Key("spare_slug_2")),
    ],
    **{
        name: _input(id=PRODUCT)
        for name in ("deleteProduct", "publishProduct", "hideProduct", "archiveProduct", "approveProduct")
    },
    **{
        name: _input(id=PRODUCT, reason="forged") for name in ("rejectProduct", "markProductSuspicious", "blockProduct")
    },
    "revertProductVersion": _input(productId=PRODUCT, version=1),
    "addVariant": _input(productId=PRODUCT, name="Red", sku=Key("spare_sku_4")),
    "updateVariant": _input(productId=PRODUCT, variantId=Key("variant"), sku=Key("spare_sku_5")),
    "removeVariant": _input(productId=PRODUCT, variantId=Key("variant")),
    "addProductImage": _input(productId=PRODUCT, url="https://img.example/2.jpg"),
    "removeProductImage": _input(productId=PRODUCT, imageId=Key("image")),
    "reorderImages": _input(productId=PRODUCT, imageIds=[Key("image")]),
    "createAccessory": [
        _input(name=Fresh("Lamp "), sku=Fresh("SKU-"), categoryId=Key("accessory_category"), retailPrice=CAD),
        _input(name=Fresh("Lamp "), sku=Key("spare_sku_6"), categoryId=Key("accessory_category"), retailPrice=CAD),
    ],
    "updateAccessory": _input(id=Key("accessory"), sku=Key("spare_sku_7")),
    "categorizeAccessory": _input(id=Key("accessory"), categoryId=Key("accessory_category")),
    "createCategory": [
        _input(name="Other", slug=Fresh("slug-"), parentId=CATEGORY),
        _input(name=Fresh("Lamp "), slug=Key("spare_category_1")),
    ],
    "updateCategory": [_input(id=CATEGORY, name="Other"), _input(id=CATEGORY, slug=Key("spare_category_2"))],
    "moveCategory": _input(id=CATEGORY, parentId=Key("root_category")),
    "deleteCategory": _input(id=CATEGORY),
    "setCatalogPolicy": _input(moderationRequired=False),
    # imports of files
    "importJob": {"id": Key("job")},
    "importProgress": {"jobId": Key("job")},
    "startBulkImport": [
        _input(storeId=STORE, rows=[{"sku": "IMPORTED", "name": "Lamp"}]),
        _input(storeId=STORE, file=Key("file")),
    ],
    "cancelImport": _input(id=Key("job")),
    # search
    "searchProducts": [
        {"query": "lamp", "filters": {"storeId": STORE}},
        {"query": "lamp", "filters": {"categoryPath": [Key("category_slug")]}},
    ],
    "autocomplete": {"prefix": "la"},
    "searchSuggestions": {"query": "lapm"},
    "trackSearchClick": _input(searchId=Key("search"), productId=PRODUCT),
    "updateSearchSettings": _input(synonyms=[{"words": ["lamp", "light"]}]),
    # inventory
    "stockLevel": {"storeId": STORE, "sku": SKU},
    "stockLevels": [{"storeId": STORE}, {"storeId": STORE, "skuPrefix": SKU}],
    "lowStockItems": {"storeId": STORE},
    "checkStock": {"sku": SKU, "quantity": 1, "storeId": STORE},
    "inventoryTransactions": {"storeId": STORE, "sku": SKU},
    "adjustStock": keyed(storeId=STORE, sku=SKU, change=1),
    "updateStockThresholds": _input(storeId=STORE, sku=SKU, reorderPoint=1, reorderQuantity=2),
    # reviews
    "review": {"id": Key("review")},
    "reviews": {"productId": PRODUCT},
    "productRating": {"productId": PRODUCT},
    "createReview": _input(productId=PRODUCT, rating=4, storeId=STORE),
    "updateReview": [_input(id=Key("own_review"), rating=4), _input(id=Key("review"), rating=4)],
    "deleteReview": _input(id=Key("review")),
    "voteReview": _input(id=Key("review"), vote="HELPFUL"),
    "respondToReview": _input(id=Key("review"), text="Thank you."),
    "moderateReview": _input(id=Key("review"), state="HIDDEN"),
    "addToWishlist": _input(productId=PRODUCT),
    "removeFromWishlist": _input(productId=PRODUCT),
    # notifications
    "previewTemplate": {"code": "welcome", "channel": "EMAIL", "locale": "en"},
    "templates": {"code": Key("template_code")},
    "communicationLog": [{"filter": {"userId": USER}}, {"filter": {"broadcastId": Key("broadcast")}}],
    "communicationAnalytics": {"begin": "2026-01-01", "end": "2026-01-31"},
    "broadcast": {"id": Key("broadcast")},
    "sendNotification": _input(userId=USER, template="welcome"),
    "markNotificationRead": _input(id=Key("notification")),
    "updateCommunicationPreferences": _input(choices=[{"channel": "SMS", "category": "ALERTS", "isOptedIn": True}]),
    "setDoNotDisturb": _input(begin="22:00", end="07:00"),
    "registerPushSubscription": _input(endpoint="https://fcm.googleapis.com/a", p256dh="B" * 87, auth="y" * 22),
    "removePushSubscription": _input(id=Key("browser")),
    "unsubscribe": {"token": Key("unsubscribe_token")},
    "upsertTemplate": _input(code="welcome", channel="SMS", locale="en", subject="Hi", text="Hello"),
    "updateNotificationPolicy": _input(pushPerMinuteLimit=3),
    "recordBounce": _input(id=Key("notification")),
    "liftSuppression": _input(address="gone@example.com", channel="EMAIL"),
    "createSegment": _input(name=Fresh("Lamp "), criteria={"locales": ["fr"]}),
    "createBroadcast": _input(
        name="Sale",
        channel="EMAIL",
        texts=[{"locale": "en", "subject": "Sale", "text": "Now"}],
        segmentId=Key("segment"),
    ),
    "scheduleBroadcast": _input(id=Key("broadcast"), at="2100-01-01T00:00:00Z"),
    "sendBroadcast": _input(id=Key("broadcast")),
    "cancelBroadcast": _input(id=Key("broadcast")),
    **api_keys.RECIPES,
    **buying.RECIPES,
    **talking.RECIPES,
    **live.RECIPES,
    **delivery.RECIPES,
    **factors.RECIPES,
    **sign_on.RECIPES,
}

# Names of arguments that, beside everything of type ID, name something that a tenant owns.
NAMING = frozenset(
    {
        "sku", "skus", "skuPrefix", "slug", "code", "codes", "number", "file", "token", "refreshToken", "role",
        "categoryPath",
    }
)  # fmt: skip
# Paths that look like it and name nothing of a tenant.
NOT_OWNED = {
    "assignStoreUser.input.role": "a list of our own",
    "setSupportedLanguage.input.code": "a language of the world",
    "users.role": "a name that every tenant may use; it only narrows the caller's own list",
    "previewTemplate.code": "a kind of message, ours or one that is being written; nothing is looked up by it",
    "upsertTemplate.input.code": "a kind of message that every tenant may write a text for",
    **buying.NOT_OWNED,
    **delivery.NOT_OWNED,
    **factors.NOT_OWNED,
    **sign_on.NOT_OWNED,
}


def ways(name: str) -> list[dict[str, Any]]:
    """Give the ways in which a root field is called."""
    found = RECIPES.get(name, {})
    return found if isinstance(found, list) else [found]


__all__ = [
    "NAMING",
    "NOT_OWNED",
    "ONCE_A_PERSON",
    "RECIPES",
    "SPARE_CATEGORIES",
    "SPARE_SKUS",
    "SPARE_SLUGS",
    "filled",
    "keys_in",
    "ways",
]
