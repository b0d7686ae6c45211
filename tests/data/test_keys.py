"""Every key has the tenant in it, so that every table can be distributed by tenant."""

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

import data.tables  # noqa: F401 — maps every table.
from data.kernel import TENANT_OWNED, metadata

WHOLE = {"tenancy.tenant", "tenancy.tenant_host", "search.index_request", "identity.social_login"}
"""Few rows that every tenant's requests need or that belong to nobody: whole on every node (docs/adr/0026)."""

DISTRIBUTED = sorted(
    table.fullname for table in metadata.tables.values() if table.info.get(TENANT_OWNED) and table.fullname not in WHOLE
)
_KEYS = """
SELECT i.indrelid::regclass::text, c.relname, i.indisprimary,
    (SELECT array_agg(a.attname::text ORDER BY place.ordinality) FROM unnest(i.indkey) WITH ORDINALITY AS place (number)
     JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = place.number)
FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_class t ON t.oid = i.indrelid
WHERE (i.indisunique OR i.indisexclusion) AND t.relnamespace::regnamespace::text || '.' || t.relname = ANY(%s)
"""
_REFERENCES = """
SELECT k.conrelid::regclass::text, k.confrelid::regclass::text,
    (SELECT array_agg(a.attname::text) FROM pg_attribute a WHERE a.attrelid = k.conrelid AND a.attnum = ANY(k.conkey)),
    (SELECT array_agg(a.attname::text) FROM pg_attribute a WHERE a.attrelid = k.confrelid AND a.attnum = ANY(k.confkey))
FROM pg_constraint k JOIN pg_class t ON t.oid = k.conrelid
WHERE k.contype = 'f' AND t.relnamespace::regnamespace::text || '.' || t.relname = ANY(%s)
"""


@pytest.fixture(scope="module")
def owner(database_url: str) -> Iterator[psycopg.Connection[Any]]:
    with psycopg.connect(database_url) as connection:
        yield connection


def test_every_unique_key_and_exclusion_has_the_tenant(owner: psycopg.Connection[Any]) -> None:
    found = owner.execute(_KEYS, (DISTRIBUTED,)).fetchall()
    assert len(found) > len(DISTRIBUTED)
    assert [(table, name) for table, name, _, columns in found if "tenant_id" not in columns] == []


def test_every_table_of_tenants_has_a_primary_key_and_the_one_that_its_code_says(
    owner: psycopg.Connection[Any],
) -> None:
    found = owner.execute(_KEYS, (DISTRIBUTED,)).fetchall()
    kept = {table.replace('"', ""): columns for table, _, primary, columns in found if primary}
    assert kept.keys() == set(DISTRIBUTED)
    assert kept == {name: [column.name for column in metadata.tables[name].primary_key] for name in DISTRIBUTED}


def test_no_row_refers_to_a_row_of_another_tenant(owner: psycopg.Connection[Any]) -> None:
    found = owner.execute(_REFERENCES, (DISTRIBUTED,)).fetchall()
    assert [
        (table, target) for table, target, own, theirs in found if "tenant_id" not in own or "tenant_id" not in theirs
    ] == []
