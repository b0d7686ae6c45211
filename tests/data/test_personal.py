"""What is held about people is declared, column by column and fact by fact, and the declarations hold in the database."""

import re
from dataclasses import fields
from uuid import UUID

import pytest
from sqlalchemy.ext.asyncio import AsyncSession

import data.tables  # noqa: F401 — maps every table, and declares what it holds.
from data.database import Database
from data.direct import direct
from data.kernel import metadata
from data.personal import FILES, HOLDINGS, LEGAL_HOLDS, NEUTRAL, NEUTRAL_FACTS, Fate, Holding
from data.privacy import SqlPersonalData, personal_events
from domain.kernel import EVENTS, uuid7

WORDS = (
    "e?mail|phones?|names?|street|address(es)?|city|postal|ip|agent|birth|texts?|body|notes?|reason|bio|latitude|"
    "longitude|content|title|query|comment|device|endpoint|signature|photo|subject|draft|guest|description|memo|"
    "envelope|recent|viewer|answer|attachments|preferences|evidence|destination|token|fingerprint|last4|label"
)
SUSPICIOUS = re.compile(rf"(^|_)({WORDS})(_|\d|$)")
# What a name of these kinds ends in says that it is no text of anybody's.
HARMLESS = re.compile(r"_(type|kind|id|viewers|policy|valid_from)$|^(sealed|content_type|revoked_reason|error)$")
PEOPLE = re.compile(
    r"^(user|customer|buyer|seller|author|sender|reporter|voter|blocker|blocked|uploader|host|actor|person)_id$"
    r"|^(performed|changed|created|requested|resolved|assigned|verified|run)_by$"
)


def is_suspicious(name: str) -> bool:
    return bool(SUSPICIOUS.search(name)) and not HARMLESS.search(name)


def declared(table: str) -> set[str]:
    held = {name for each in HOLDINGS if each.table.fullname == table for name in each.columns}
    return held | NEUTRAL.get(table, frozenset())


@pytest.fixture(autouse=True, scope="module")
def all_events() -> None:
    personal_events()


class TestTheRegistry:
    def test_declares_every_column_that_sounds_personal(self) -> None:
        missing = {
            f"{table.fullname}.{column.name}"
            for table in metadata.tables.values()
            for column in table.c
            if is_suspicious(column.name) and column.name not in declared(table.fullname)
        }
        assert missing == set()

    def test_says_of_every_table_that_names_people_what_becomes_of_it(self) -> None:
        held = {each.table.fullname for each in HOLDINGS}
        missing = {
            f"{table.fullname}.{column.name}"
            for table in metadata.tables.values()
            if table.fullname not in held
            for column in table.c
            if PEOPLE.search(column.name) and column.name not in declared(table.fullname)
        }
        assert missing == set()

    def test_declares_every_fact_that_sounds_personal(self) -> None:
        missing = {
            f"{name}.{each.name}"
            for name, kind in EVENTS.items()
            for each in fields(kind)
            if is_suspicious(each.name)
            and each.name not in {path.split(".")[0] for path in kind.personal} | kind.remarks
            and f"{name}.{each.name}" not in NEUTRAL_FACTS
        }
        assert missing == set()

    def test_names_facts_that_there_are(self) -> None:
        known = {f"{name}.{each.name}" for name, kind in EVENTS.items() for each in fields(kind)}
        personal = {
            f"{name}.{path.split('.')[0]}" for name, kind in EVENTS.items() for path in kind.personal | kind.remarks
        }
        people = {f"{name}.{kind.person}" for name, kind in EVENTS.items() if kind.personal | kind.remarks}
        assert (NEUTRAL_FACTS | personal | people) - known == set()

    def test_says_why_something_is_kept(self) -> None:
        assert [each.table.fullname for each in HOLDINGS if each.fate is not Fate.ERASED and not each.reason] == []


@pytest.fixture
async def personal(database: Database, tenant_id: UUID) -> SqlPersonalData:
    return SqlPersonalData(database.sessions())


@pytest.fixture
async def session(database: Database, tenant_id: UUID) -> AsyncSession:
    async with database.session(tenant_id) as opened:
        yield opened


class TestTheStatements:
    """Of a person whom nobody knows there is nothing to be found; that every statement runs is what is tested."""

    @pytest.mark.parametrize("context", sorted({each.context for each in HOLDINGS}))
    async def test_of_a_context_run(self, session: AsyncSession, context: str) -> None:
        held, nobody = SqlPersonalData(session), uuid7()
        assert {name: rows for name, rows in (await held.collect(context, nobody)).items() if rows} == {}
        assert (await held.files(context, nobody), await held.erase(context, nobody)) == ([], 0)

    async def test_of_legal_holds_run(self, session: AsyncSession) -> None:
        assert len(LEGAL_HOLDS) == 6
        assert await SqlPersonalData(session).legal_holds(uuid7()) == []

    async def test_that_destroy_keys_run(self, session: AsyncSession) -> None:
        assert await SqlPersonalData(session).shred(uuid7()) == 0

    @pytest.mark.parametrize("holding", HOLDINGS, ids=lambda each: f"{each.table.fullname} {each.fate}")
    async def test_blank_columns_with_what_they_can_hold(self, session: AsyncSession, holding: Holding) -> None:
        for name, value in holding.blank.items():
            column = holding.table.c[name]
            assert column.nullable or value != "NULL"

    def test_find_files_of_contexts_that_hold_something(self) -> None:
        assert {each.context for each in FILES} <= {each.context for each in HOLDINGS}


async def test_a_row_of_another_tenant_is_nobodys(session: AsyncSession) -> None:
    assert await direct(session, "SELECT FROM identity.person_key") == []
