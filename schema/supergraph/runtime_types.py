"""Which GraphQL type a value of an interface or union stands for."""

from collections.abc import Mapping
from typing import Any

from graphql import GraphQLAbstractType, GraphQLError, GraphQLObjectType
from graphql.pyutils import inspect
from strawberry.types.cast import get_strawberry_type_cast

from schema.supergraph.declarations import Typed
from schema.supergraph.source import Source, type_definition


class RuntimeTypes:
    """The tables of one subgraph: for each abstract type, Python class → GraphQL type name."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._tables: dict[str, dict[type, str]] = {}
        self._members: dict[str, set[str]] = {}
        self._known: dict[str, dict[type, str | None]] = {}

    def resolve(self, abstract: str, value: Any, type_name: str, field_name: str) -> str:
        """Name the object type of a value that a field of this abstract type gave.

        Raises: GraphQLError where nothing says, or where what it says is no member of the abstract type.
        """
        name = self.of_value(abstract, value)
        if name is None:
            raise GraphQLError(
                f"{type_name}.{field_name} gave {inspect(value)}, and no type of '{abstract}' says in __reads__"
                " that it reads this class."
            )
        if name not in self._names(abstract):
            raise GraphQLError(f"Runtime Object type '{name}' is not a possible type for '{abstract}'.")
        return name

    def of_class(self, abstract: str, cls: type) -> str | None:
        """Name the type that instances of `cls` stand for, or None where the class does not say."""
        known = self._known.setdefault(abstract, {})
        if cls not in known:
            table = self._table(abstract)
            known[cls] = next((table[base] for base in cls.__mro__ if base in table), None)
        return known[cls]

    def of_value(self, abstract: str, value: Any) -> str | None:
        """Name the type of one value, or None where nothing says."""
        if isinstance(value, Typed):
            return value.typename
        name = self.of_class(abstract, type(value))
        if name is not None and not hasattr(value, "__as_strawberry_type__"):
            return name
        return self._of_odd_value(abstract, value) or name

    def _of_odd_value(self, abstract: str, value: Any) -> str | None:
        if isinstance(value, Mapping):
            return value.get("__typename")
        cast = get_strawberry_type_cast(value)
        if cast is not None:
            return self._table(abstract).get(cast)
        for type_ in self._possible(abstract):
            definition = type_definition(type_)
            if definition and definition.is_type_of and definition.is_type_of(value, None):  # type: ignore[arg-type]
                return type_.name
        return None

    def _possible(self, abstract: str) -> list[GraphQLObjectType]:
        type_: Any = self._source.schema.type_map.get(abstract)
        if type_ is None:
            return []
        possible: GraphQLAbstractType = type_
        return list(self._source.schema.get_possible_types(possible))

    def _names(self, abstract: str) -> set[str]:
        if abstract not in self._members:
            self._members[abstract] = {type_.name for type_ in self._possible(abstract)}
        return self._members[abstract]

    def _table(self, abstract: str) -> dict[type, str]:
        table = self._tables.get(abstract)
        if table is None:
            table = self._tables[abstract] = {}
            for type_ in self._possible(abstract):
                definition = type_definition(type_)
                if definition is not None:
                    origin = definition.concrete_of.origin if definition.concrete_of else definition.origin
                    for cls in (origin, *getattr(origin, "__reads__", ())):
                        table.setdefault(cls, type_.name)
        return table
