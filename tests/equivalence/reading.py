"""Operations from files, with who asks, in which language, and with which variables.

A file holds one operation or fragment per paragraph. Comments above an operation say `as <person>`, `in <language>`, `with
<variables>`, `named <the operation to execute>`, and `refused <the codes of its errors>`. In variables `$product.0` is the first
product of the shop, `$neighbour.product.0` the neighbour's, `$nowhere` the id of nothing, and `$Make.createProduct.id` what an
operation before was answered.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import reduce
from pathlib import Path
from typing import Any

from tests.schema.fuzz.shop import Shop

FOLDER = Path(__file__).parent / "operations"
NOWHERE = "01890000-0000-7000-8000-00000000dead"


@dataclass(frozen=True)
class Asked:
    """One operation of a file."""

    context: str
    name: str
    document: str
    person: str
    language: str
    variables: dict[str, Any]
    named: str | None
    refused: list[str]

    def __str__(self) -> str:
        return f"{self.context}-{self.name}"


def operations() -> Iterator[Asked]:
    """Give the operations of all files, in the order in which they have to be asked."""
    for file in sorted(FOLDER.glob("*.graphql")):
        paragraphs = [each.strip() for each in file.read_text().split("\n\n") if each.strip()]
        fragments = {each.split()[1]: each for each in paragraphs if each.startswith("fragment")}
        for paragraph in paragraphs:
            if not paragraph.startswith("fragment"):
                yield _read(file.stem, paragraph, fragments)


def _read(context: str, paragraph: str, fragments: dict[str, str]) -> Asked:
    lines = paragraph.splitlines()
    told = dict(line[2:].split(" ", 1) for line in lines if line.startswith("# "))
    document = "\n".join(line for line in lines if not line.startswith("#"))
    found = re.match(r"(?:query|mutation) (\w+)", document)
    assert found, paragraph
    used = [text for name, text in fragments.items() if f"...{name}" in document]
    return Asked(
        context=context,
        name=found[1],
        document="\n".join([document, *used]),
        person=told.get("as", "guest"),
        language=told.get("in", "en"),
        variables=json.loads(told.get("with", "{}")),
        named=told.get("named"),
        refused=told["refused"].split(", ") if "refused" in told else [],
    )


def filled(variables: Any, shop: Shop, neighbour: Shop, answers: dict[str, Any]) -> Any:
    """Give variables with what their names stand for."""
    if isinstance(variables, dict):
        return {name: filled(value, shop, neighbour, answers) for name, value in variables.items()}
    if isinstance(variables, list):
        return [filled(each, shop, neighbour, answers) for each in variables]
    if not isinstance(variables, str) or not variables.startswith("$"):
        return variables
    if variables == "$nowhere":
        return NOWHERE
    first, *path = variables[1:].split(".")
    if first in answers:
        return reduce(lambda value, step: value[step], path, answers[first])
    if first == "neighbour":
        shop, (first, *path) = neighbour, path
    known: Any = shop.texts.get(first) or shop.ids[first]
    return str(known[int(path[0])])
