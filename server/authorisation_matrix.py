"""Which role may call which field, worked out from what the graph declares; docs/authorisation.md is its page.

`python -m server.authorisation_matrix` writes the page anew.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

from strawberry.types.base import StrawberryObjectDefinition

from domain.identity.roles import PERMISSIONS, PRESETS
from domain.kernel import NOBODY, DomainError, Principal, uuid7
from schema.graph import CONTEXTS, subgraph
from schema.kernel import Visibility, visibility_of

PAGE = Path(__file__).parent.parent / "docs" / "authorisation.md"
ROOTS = ("Query", "Mutation", "Subscription")
GUEST = "guest"
CALLERS: dict[str, Principal] = {
    GUEST: NOBODY,
    **{
        str(role): Principal(user_id=uuid7(), roles=frozenset({str(role)}), permissions=permissions)
        for role, permissions in PRESETS.items()
    },
}
INTRODUCTION = """# Who may call what

Written by `python -m server.authorisation_matrix` from what the schema declares (`who=`) and from the preset roles of
`domain/identity/roles.py`; a test says when it is out of date, and another makes the calls. `guest` is whoever is not
logged in, `authenticated` whoever is. A cell says that the role *may call*: what belongs to a store is further limited to
those who work at it (or hold `stores.any`), products to their sellers (or holders of `catalog.write.any`), addresses,
sessions, wishlists and reviews to their owners. What one may not touch answers as though it did not exist. Everything is
limited to the caller's tenant by the database, whatever the role.

An API key may do what its scopes and its user's roles both allow, and nothing that is marked *no API key*. Where being the
one whom something concerns is enough for a person, a key needs `identity.self`, or the scope that stands in its place.
"""


@dataclass(frozen=True)
class Declared:
    """A field of the graph and who may see it."""

    context: str
    type: str
    field: str
    who: Visibility

    def allows(self, caller: Principal) -> bool:
        """Say whether the declaration lets a caller pass; where owners differ, whether it lets everybody's pass."""
        if self.who.per_object:
            return caller.may(self.who.name.removeprefix("owner or "))
        try:
            self.who(_Asking(caller))  # type: ignore[arg-type]  # A guard looks at nothing but the principal.
        except DomainError:
            return False
        return True


@dataclass(frozen=True)
class _Asking:
    principal: Principal


def declared() -> Iterator[Declared]:
    """Give every field of the graph that says who may see it, in the order of contexts, types and fields."""
    for context in CONTEXTS:
        schema = subgraph(context)
        for concrete in schema.schema_converter.type_map.values():
            definition = concrete.definition
            if isinstance(definition, StrawberryObjectDefinition):
                for field in definition.fields:
                    who = visibility_of(field)
                    if who is not None:
                        name = schema.config.name_converter.get_graphql_name(field)
                        yield Declared(context, definition.name, name, who)


def roots() -> list[Declared]:
    """Give the root fields alone."""
    return [each for each in declared() if each.type in ROOTS]


def page() -> str:
    """Write the page."""
    parts = [INTRODUCTION, _presets(), "## Operations\n"]
    for context, found in groupby(roots(), key=lambda each: each.context):
        fields = sorted(found, key=lambda each: (ROOTS.index(each.type), each.field))
        parts.append(f"### {context}\n\n{_table(fields)}")
    guarded = [each for each in declared() if each.type not in ROOTS and each.who.name != "public"]
    guarded.sort(key=lambda each: (each.context, each.type, each.field))
    parts.append("## Fields that not everybody sees\n\n" + _lines(guarded))
    return "\n".join(parts)


def _presets() -> str:
    lines = ["## Roles\n", "| role | permissions |", "|---|---|"]
    lines += [
        f"| {role} | {', '.join(f'`{each}`' for each in sorted(granted)) or '–'} |" for role, granted in PRESETS.items()
    ]
    lines += ["", "## Permissions\n", "| permission | lets its holder |", "|---|---|"]
    lines += [f"| `{name}` | {text[0].lower()}{text[1:].removesuffix('.')} |" for name, text in PERMISSIONS.items()]
    return "\n".join([*lines, ""])


def _table(fields: list[Declared]) -> str:
    names = [name.replace("_", " ") for name in CALLERS]
    lines = [f"| operation | needs | {' | '.join(names)} |", "|---|---|" + ":-:|" * len(names)]
    for each in fields:
        cells = ["✓" if each.allows(caller) else "" for caller in CALLERS.values()]
        lines.append(f"| {each.type.lower()} `{each.field}` | {_needs(each.who)} | {' | '.join(cells)} |")
    return "\n".join([*lines, ""])


def _lines(fields: list[Declared]) -> str:
    lines = ["| field | needs |", "|---|---|"]
    lines += [f"| `{each.type}.{each.field}` ({each.context}) | {_needs(each.who)} |" for each in fields]
    return "\n".join([*lines, ""])


def _needs(who: Visibility) -> str:
    named, permission = who.name.rpartition(" ")[::2]
    shown = f"`{permission}`" if "." in permission else permission
    return f"{named} {shown}".strip() + (", no API key" if who.session_only else "")


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
