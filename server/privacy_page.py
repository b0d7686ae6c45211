"""What is held about people and what becomes of it, written from what the contexts declare; docs/privacy.md is its page.

`python -m server.privacy_page` writes the tables of the page anew.
"""

from itertools import groupby
from pathlib import Path

import data.tables  # noqa: F401 — every context declares what it holds.
from data.personal import FILES, HOLDINGS, LEGAL_HOLDS, Holding, contexts
from data.privacy import personal_events
from domain.kernel import EVENTS

PAGE = Path(__file__).parent.parent / "docs" / "privacy.md"
BEGIN, END = "<!-- written by python -m server.privacy_page -->", "<!-- end of what is written -->"


def page(present: str) -> str:
    """Give the page with its tables as they should be; what stands around them is left alone."""
    before, _, rest = present.partition(BEGIN)
    after = rest.partition(END)[2]
    return f"{before}{BEGIN}\n\n{_tables()}\n{END}{after}"


def _tables() -> str:
    parts = ["### Tables\n", "| table | about the person | at the erasure |", "|---|---|---|"]
    for context in contexts():
        found = sorted((each for each in HOLDINGS if each.context == context), key=lambda each: each.table.name)
        for _, holdings in groupby(found, key=lambda each: each.table.name):
            parts += [_line(each) for each in holdings]
    parts += ["", "### Events\n", "| event | sealed with the key of | fields |", "|---|---|---|"]
    parts += [
        f"| `{name}` | `{kind.person}` | {_names(kind.personal)} |"
        for name, kind in sorted((each.name, each) for each in personal_events())
    ]
    remarks = sorted({(each.person, remark) for each in EVENTS.values() for remark in each.remarks})
    counts = {
        pair: sum(pair[1] in each.remarks and pair[0] == each.person for each in EVENTS.values()) for pair in remarks
    }
    parts += ["", "Overwritten in the log at the erasure, because staff may have written them:"]
    parts += [f"`{remark}` of {counts[person, remark]} events about a `{person}`." for person, remark in remarks]
    parts += ["", "### What has to end first\n", *(f"- {each.reason} ({each.context})" for each in LEGAL_HOLDS)]
    parts += ["", f"### Files\n\nThose of {', '.join(sorted({each.context for each in FILES}))} go with the person."]
    return "\n".join([*parts, ""])


def _line(holding: Holding) -> str:
    columns = [f"{name} ({category})" for name, category in holding.columns.items()]
    fate = str(holding.fate)
    if holding.reason:
        fate += f": {holding.reason}"
    if holding.years:
        fate += f"; {holding.years} years"
    return f"| `{holding.table.fullname}` | {', '.join(columns) or 'ids only'} | {fate} |"


def _names(fields: frozenset[str]) -> str:
    return ", ".join(f"`{each}`" for each in sorted(fields))


if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
