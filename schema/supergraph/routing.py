"""From which subgraph a field's value comes, given where its parent came from."""

from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from schema.supergraph import fieldsets
from schema.supergraph.scope import BulkFunction
from schema.supergraph.source import Kind, OwnField, Source, type_definition


@dataclass(frozen=True, slots=True)
class Hop:
    """A step from an object of one subgraph to the same entity in another.

    `names` are read on the object at hand and make the key; `function` finds the entity by it, or, where the target
    declares no references, `origin` is built from it under the names in `attributes`.
    """

    target: str
    function: BulkFunction | None
    names: tuple[str, ...]
    origin: type | None
    attributes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Need:
    """A value that `@requires` asks for: a field of the parent, and the attribute under which it is lent."""

    field_name: str
    attribute: str


@dataclass(frozen=True, slots=True)
class Access:
    """How to get a field of a parent that came from a given subgraph.

    `home` is the subgraph of the values; `names` are what is read on the object after hops and loans: the key of a bulk
    field, the attribute of a plain one.
    """

    own: OwnField
    home: str
    kind: Kind
    hops: tuple[Hop, ...]
    needs: tuple[Need, ...]
    names: tuple[str, ...]

    @property
    def direct(self) -> bool:
        """Whether the field reads the parent as it is."""
        return not self.hops and not self.needs


class Unroutable(Exception):
    """A field that cannot be reached from the subgraph its parent came from."""

    def __init__(self, type_name: str, field_name: str, home: str | None) -> None:
        super().__init__(f"{type_name}.{field_name} cannot be reached from subgraph {home!r}: no common key.")


class Routes:
    """The field accesses of a set of subgraphs, found once per (type, home, field).

    A subgraph that is served `alone` reads what it declares `@external` off the representation a router sent.
    """

    def __init__(self, sources: Iterable[Source], *, alone: bool = False) -> None:
        self._alone = alone
        self.sources: dict[str, Source] = {source.name: source for source in sources}
        self._accesses: dict[tuple[str, str | None, str], Access] = {}
        self._roots = {
            root.name
            for source in self.sources.values()
            for root in (source.schema.query_type, source.schema.mutation_type, source.schema.subscription_type)
            if root is not None
        }

    def access(self, type_name: str, home: str | None, field_name: str) -> Access:
        """Find how a field is got from a parent that came from `home`.

        Raises: Unroutable.
        """
        key = (type_name, home, field_name)
        access = self._accesses.get(key)
        if access is None:
            access = self._accesses[key] = self._find(type_name, home, field_name)
        return access

    def owners(self, type_name: str, field_name: str) -> list[OwnField]:
        """Return the subgraphs' own fields of that name, those that override others first."""
        fields = [source.field(type_name, field_name) for source in self.sources.values()]
        own = [field for field in fields if field is not None and not self._is_borrowed(field)]
        overridden = {field.overrides for field in own if field.overrides}
        return [field for field in own if field.source not in overridden]

    def _is_borrowed(self, field: OwnField) -> bool:
        return (
            not self._alone
            and field.external
            and field.name not in self.sources[field.source].key_fields(field.type_name)
        )

    def _find(self, type_name: str, home: str | None, field_name: str) -> Access:
        owners = self.owners(type_name, field_name)
        if not owners:
            raise Unroutable(type_name, field_name, home)
        if home is None or type_name in self._roots:
            return self._direct(owners[0])
        here = [field for field in owners if field.source == home]
        if here:
            return self._direct(here[0])
        found = [access for field in owners if (access := self._across(type_name, home, field)) is not None]
        if not found:
            raise Unroutable(type_name, field_name, home)
        return min(found, key=lambda access: len(access.hops) + len(access.needs))

    def _direct(self, field: OwnField) -> Access:
        return Access(field, field.source, field.kind, (), self._needs(field), own_names(field))

    def _needs(self, field: OwnField) -> tuple[Need, ...]:
        if self._alone:
            return ()
        source = self.sources[field.source]
        tops = dict.fromkeys(path[0] for path in field.requires)
        needed = [source.field(field.type_name, top) for top in tops]
        return tuple(Need(top.name, top.attribute) for top in needed if top is not None)

    def _across(self, type_name: str, home: str, field: OwnField) -> Access | None:
        shortcut = self._shortcut(type_name, home, field)
        if shortcut is not None:
            return shortcut
        hops = self._hops(type_name, home, field.source)
        if hops is None:
            return None
        return Access(field, field.source, field.kind, hops, self._needs(field), own_names(field))

    def _shortcut(self, type_name: str, home: str, field: OwnField) -> Access | None:
        """A bulk field needs no object of its own subgraph where the parent at hand carries the whole key."""
        if field.kind is not Kind.BULK or getattr(field.guard, "per_object", False):
            return None
        names: list[str] = []
        for attribute in own_names(field):
            theirs = self.sources[field.source].attribute_field(type_name, attribute)
            name = theirs and self._readable(type_name, home, (theirs.name,))
            if not name:
                return None
            names.append(name)
        return Access(field, field.source, Kind.BULK, (), (), tuple(names))

    def _readable(self, type_name: str, home: str, path: fieldsets.Path) -> str | None:
        field = self.sources[home].field(type_name, path[0])
        if field is None or self._is_borrowed(field):
            return None
        return self.sources[home].attributes(type_name, path)

    def _hops(self, type_name: str, home: str, target: str) -> tuple[Hop, ...] | None:
        """Find the fewest hops between two subgraphs, by whatever keys they share on the way."""
        queue: deque[tuple[str, tuple[Hop, ...]]] = deque([(home, ())])
        seen = {home}
        while queue:
            at, hops = queue.popleft()
            if at == target:
                return hops
            for name in self.sources:
                if name not in seen and (hop := self._hop(type_name, at, name)) is not None:
                    seen.add(name)
                    queue.append((name, (*hops, hop)))
        return None

    def _hop(self, type_name: str, home: str, target: str) -> Hop | None:
        source = self.sources[target]
        if type_name not in source.composite_types or type_name not in self.sources[home].composite_types:
            return None
        references: Mapping[str, BulkFunction] = source.references(type_name)
        definition = type_definition(source.composite_types[type_name])
        origin: Any = definition.origin if definition else None
        candidates: dict[str, BulkFunction | None] = dict(references)
        if not references:
            candidates = {keys: None for keys, resolvable in source.keys(type_name) if resolvable}
        for field_set, function in candidates.items():
            paths = fieldsets.paths(field_set)
            names = [self._readable(type_name, home, path) for path in paths]
            attributes = [source.attributes(type_name, path) for path in paths]
            if all(names) and (function is not None or all(attributes)):
                return Hop(target, function, _known(names), origin, _known(attributes))
        return None


def _known(names: Iterable[str | None]) -> tuple[str, ...]:
    return tuple(name for name in names if name is not None)


def own_names(field: OwnField) -> tuple[str, ...]:
    """Return what a field reads on an object of its own subgraph."""
    if field.kind in {Kind.BULK, Kind.COMPUTED}:
        key: tuple[str, ...] = field.definition.key  # type: ignore[union-attr]  # Fields of these kinds have one.
        return key or (field.attribute,)
    return (field.attribute,)
