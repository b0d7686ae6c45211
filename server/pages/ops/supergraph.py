"""The supergraph as a picture needs it: the contexts, and the entities that lie between them."""

from collections.abc import Sequence
from functools import cache
from typing import Any

from schema.graph import CONTEXTS, subgraph
from schema.supergraph.source import Source


@cache
def drawn(contexts: Sequence[str] = CONTEXTS) -> dict[str, Any]:
    """Give contexts with the number of their fields, and each entity that several know: its keys, who has it, who adds to it."""
    sources = [Source(context, subgraph(context)) for context in contexts]
    names = sorted({name for source in sources for name in source.composite_types if source.keys(name)})
    entities = [_entity(name, [source for source in sources if _knows(source, name)]) for name in names]
    return {
        "contexts": [_context(source, entities) for source in sources],
        "entities": [each for each in entities if each["extended"] or each["referred"]],
    }


def _knows(source: Source, name: str) -> bool:
    return name in source.composite_types and bool(source.keys(name))


def _entity(name: str, sources: Sequence[Source]) -> dict[str, Any]:
    # Whoever can be asked for an entity by its key is where it lives; the others add to it, or refer to it.
    home = max(sources, key=lambda source: (bool(source.references(name)), len(_own_fields(source, name))))
    others = [(source.name, _own_fields(source, name)) for source in sources if source is not home]
    return {
        "name": name,
        "home": home.name,
        "keys": [keys for keys, _ in home.keys(name)],
        "fields": len(_own_fields(home, name)),
        "extended": [{"context": context, "fields": fields} for context, fields in others if fields],
        "referred": [context for context, fields in others if not fields],
    }


def _own_fields(source: Source, name: str) -> list[str]:
    keys = source.key_fields(name)
    fields = [field for field in source.fields(name) if not field.external]
    return [field.name for field in fields if field.name not in keys and not field.name.startswith("_")]


def _context(source: Source, entities: Sequence[dict[str, Any]]) -> dict[str, Any]:
    roots = {
        "queries": source.schema.query_type,
        "mutations": source.schema.mutation_type,
        "subscriptions": source.schema.subscription_type,
    }
    counts = {
        kind: len([name for name in type_.fields if not name.startswith("_")]) if type_ else 0
        for kind, type_ in roots.items()
    }
    own = [each["name"] for each in entities if each["home"] == source.name]
    return {"name": source.name, **counts, "entities": own}
