"""What the demo's loader does not make: drafts, texts, settings, sessions, imports, refused events."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid5

import asyncpg

from data.database import asyncpg_url
from server.services import Services
from tests.schema.fuzz.buying import buying, mutation
from tests.schema.fuzz.shop import NOW, Shop, context_of, email_of, password_of

NAMESPACE = UUID("5b0f5cf1-1d8e-4d6e-8a59-0b6f8a3a3b11")


async def furnish(graph: Any, services: Services, shop: Shop, url: str) -> None:
    """Make the rest through the graph itself, and straight in the database where only a failure makes it."""
    # What is bought goes on without whoever asked for it, by the clock of the process.
    today = datetime.now(UTC)
    steps = [(NOW, step) for step in _steps(shop)] + [(today, step) for step in buying(shop)]
    for now, (person, document, variables) in steps:
        context = context_of(services, shop, person, now=now)
        try:
            result = await graph.execute(document, variables, context)
        finally:
            await context.reads.close()
        assert not result.errors, result.errors
        refused = [answer for answer in result.data.values() if answer.get("message")]
        assert not refused, (document, refused)
    await _insert(url, shop)


def _steps(shop: Shop) -> list[tuple[str, str, dict[str, Any]]]:
    ids = {kind: [str(each) for each in found] for kind, found in shop.ids.items()}
    store, product, category = ids["store"][0], ids["product"], ids["category"]
    place = {"city": "Gatineau", "province": "QC", "postalCode": "J8X 1A1", "country": "CA"}
    inputs: list[tuple[str, str, str, dict[str, Any]]] = [
        ("admin", "setStoreSetting", "SetStoreSetting", {"storeId": store, "key": "till", "value": "3"}),
        ("admin", "setStoreSetting", "SetStoreSetting", {"key": "pin", "value": "9", "isEncrypted": True}),
        ("admin", "recordStoreCompliance", "RecordCompliance",
         {"storeId": store, "requirement": "fire exits", "status": "COMPLIANT", "note": "both"}),
        ("admin", "overrideTranslation", "OverrideTranslation",
         {"entityType": "PRODUCT", "entityId": product[0], "field": "name", "language": "fr", "text": "Le premier"}),
        ("admin", "overrideTranslation", "OverrideTranslation",
         {"entityType": "PRODUCT", "entityId": product[1], "field": "name", "language": "ru", "text": "Второй",
          "storeId": store}),
        ("admin", "batchTranslate", "BatchTranslate",
         {"entityType": "CATEGORY", "language": "fr", "entityIds": category[:3]}),
        ("admin", "addSkipWord", "AddSkipWord", {"word": "Fernhill"}),
        ("admin", "defineRole", "DefineRole", {"name": "shelf_filler", "permissions": ["inventory.read"]}),
        ("buyer", "addAddress", "AddAddress", {"streetLine1": "1 Elm", **place, "addressType": "SHIPPING"}),
        ("buyer", "addAddress", "AddAddress", {"streetLine1": "2 Elm", **place, "addressType": "BILLING"}),
        ("buyer", "createReview", "CreateReview", {"productId": product[2], "rating": 4, "content": "Sturdy."}),
        ("seller", "createProduct", "CreateProduct", {"name": "A draft", "sku": "FH-DRAFT-1", "price": {"amountMinor": 900, "currency": "CAD"}}),
    ]  # fmt: skip
    login = "mutation($email: String!, $password: String!) { login(email: $email, password: $password) { __typename ... on Error { message } } }"
    email = email_of("buyer")
    return [(who, mutation(field, kind), {"input": value}) for who, field, kind, value in inputs] + [
        ("guest", login, {"email": email, "password": password_of(email)})
    ]


async def _insert(url: str, shop: Shop) -> None:
    tenant_id, store_id = shop.tenant_id, shop.ids["store"][0]
    job_id = uuid5(NAMESPACE, f"job {tenant_id}")
    connection = await asyncpg.connect(asyncpg_url(url))
    try:
        await connection.execute(
            "INSERT INTO importing.import_job (id, tenant_id, version, source, store_id, seller_id, state, last_line,"
            " created, updated, unchanged, failed, started_at, finished_at)"
            " VALUES ($1, $2, 1, 'autumn.csv', $3, $4, 'completed_with_errors', 40, 30, 6, 2, 2, $5, $5)",
            job_id, tenant_id, store_id, shop.people["seller"].user_id, NOW,
        )  # fmt: skip
        for line in (7, 19):
            await connection.execute(
                'INSERT INTO importing.import_error (tenant_id, job_id, line, "column", reason)'
                " VALUES ($1, $2, $3, 'price', 'it is negative')",
                tenant_id, job_id, line,
            )  # fmt: skip
        await connection.execute(
            "INSERT INTO platform.dead_letter (id, tenant_id, handler, event_id, name, aggregate_id, sequence, envelope,"
            " attempts, error, failed_at)"
            " SELECT $1, tenant_id, 'search.index', event_id, name, aggregate_id, sequence, '{}', 8, 'it broke', $3"
            " FROM platform.event_log WHERE tenant_id = $2 ORDER BY sequence LIMIT 1",
            uuid5(NAMESPACE, "letter"), tenant_id, NOW,
        )  # fmt: skip
        await connection.execute(
            "INSERT INTO payments.payout (id, tenant_id, version, seller_id, amount_minor, currency, provider, destination,"
            " scheduled_for, state, attempts, fee_minor, failure, requested_at)"
            " VALUES ($1, $2, 1, $3, 4200, 'CAD', 'sandbox', 'acct_1', $4, 'failed', 3, 0, 'account_closed', $5)",
            uuid5(NAMESPACE, "payout"), tenant_id, shop.people["seller"].user_id, NOW.date(), NOW,
        )  # fmt: skip
        await _talk(connection, shop)
        await connection.execute(
            "INSERT INTO delivery.delivery (id, tenant_id, version, order_id, sub_order_id, order_number, customer_id, store_id,"
            " mode, state, tracking_number, address, latitude, longitude, fee_minor, currency, proof_kind, age_restricted,"
            " fences, is_arriving, attempts, proof, made_at)"
            " SELECT p.id, p.tenant_id, 1, p.order_id, p.id, p.number, $2, p.store_id, 'own_fleet', 'pending',"
            " 'AG' || upper(replace(p.id::text, '-', '')), o.address, 45.4, -75.7, 0, p.currency, 'none', false, '{}', false, 0,"
            " '{}', $3 FROM orders.sub_order p JOIN orders.\"order\" o ON o.id = p.order_id"
            " WHERE p.tenant_id = $1 AND o.address IS NOT NULL ON CONFLICT DO NOTHING",
            tenant_id, shop.people["buyer"].user_id, NOW,
        )  # fmt: skip
        for number, query in enumerate(("lamp", "lamp", "headphones")):
            await connection.execute(
                "INSERT INTO search.performed_search (id, tenant_id, query, hits, latency_ms, performed_at)"
                " VALUES ($1, $2, $3, 3, 1.5, $4)",
                uuid5(NAMESPACE, f"search {number}"), tenant_id, query, NOW,
            )  # fmt: skip
    finally:
        await connection.close()


async def _talk(connection: asyncpg.Connection, shop: Shop) -> None:
    """Let the buyer ask the seller about a product, and the seller report it."""
    ids = [
        uuid5(NAMESPACE, f"{name} {shop.tenant_id}") for name in ("conversation", "question", "answer", "attachment")
    ]
    conversation_id, question_id, answer_id, attachment_id = ids
    buyer_id, seller_id = (shop.people[name].user_id for name in ("buyer", "seller"))
    await connection.execute(
        "INSERT INTO messaging.conversation (id, tenant_id, version, type, buyer_id, seller_id, product_id, staff_ids,"
        " state, last_position, last_message_id, last_message_at, started_at)"
        " VALUES ($1, $2, 1, 'direct', $3, $4, $5, ARRAY[$4::uuid], 'open', 2, $6, $7, $7)",
        conversation_id, shop.tenant_id, buyer_id, seller_id, shop.ids["product"][0], answer_id, NOW,
    )  # fmt: skip
    for user_id in (buyer_id, seller_id):
        await connection.execute(
            "INSERT INTO messaging.inbox_entry (tenant_id, conversation_id, user_id, unread_count, last_message_at)"
            " VALUES ($1, $2, $3, 1, $4)",
            shop.tenant_id, conversation_id, user_id, NOW,
        )  # fmt: skip
        await connection.execute(
            "INSERT INTO messaging.correspondent (tenant_id, user_id) VALUES ($1, $2)", shop.tenant_id, user_id
        )
    said = (
        (question_id, buyer_id, "buyer", "Does it shine?", "reported"),
        (answer_id, seller_id, "staff", "No.", "clear"),
    )
    for position, (id_, sender_id, side, body, moderation) in enumerate(said, start=1):
        await connection.execute(
            "INSERT INTO messaging.message (id, tenant_id, conversation_id, sender_id, side, client_id, body, position,"
            " state, moderation, sent_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, 'sent', $9, $10)",
            id_, shop.tenant_id, conversation_id, sender_id, side, f"c-{position}", body, position, moderation, NOW,
        )  # fmt: skip
    await connection.execute(
        "INSERT INTO messaging.attachment (id, tenant_id, version, conversation_id, uploader_id, name, state, content_type,"
        " size_bytes, requested_at) VALUES ($1, $2, 1, $3, $4, 'a.pdf', 'uploaded', 'application/pdf', 9, $5)",
        attachment_id, shop.tenant_id, conversation_id, buyer_id, NOW,
    )  # fmt: skip
