"""What a subgraph declares for its fields to be loaded a level at a time."""

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Self, TypeVar

import strawberry
from strawberry.annotation import StrawberryAnnotation
from strawberry.federation.params import process_federation_field_directives
from strawberry.types.field import StrawberryField
from strawberry.types.fields.resolver import Parameter, Signature

from schema.supergraph.reading import read, read_key
from schema.supergraph.scope import BulkFunction, scope_of

Guard = Callable[[Any, Any], None]
FieldT = TypeVar("FieldT", bound="GuardedField")


@dataclass(frozen=True, slots=True)
class Typed:
    """A value whose class does not say which GraphQL type it stands for."""

    value: Any
    typename: str


class GuardedField(StrawberryField):
    """A field that reads an attribute of its parent once its guard let the principal pass."""

    guard: Guard | None = None

    def __copy__(self) -> Self:
        """Keep the guard in the copies that Strawberry makes for generic types."""
        field = super().__copy__()
        field.guard = self.guard
        return field


class BulkField(GuardedField):
    """A field whose values for a whole level come from one call of `function`."""

    function: BulkFunction
    key: tuple[str, ...]

    def __copy__(self) -> Self:
        """Keep function and key in the copies that Strawberry makes for generic types."""
        field = super().__copy__()
        field.function, field.key = self.function, self.key
        return field


class ComputedField(GuardedField):
    """A field that `function` works out from the parent at hand, or from a level's keys, without waiting for anything."""

    function: Callable[..., Any]
    key: tuple[str, ...] = ()

    def __copy__(self) -> Self:
        """Keep function and key in the copies that Strawberry makes for generic types."""
        field = super().__copy__()
        field.function, field.key = self.function, self.key
        return field


def bulk(function: BulkFunction, *, key: str | Sequence[str], guard: Guard | None = None, **kwargs: Any) -> Any:
    """Declare a field whose values are loaded by key, all parents of a level in one call.

    `function(context, keys, **arguments)` returns one element per key, in the order of keys; an element may be an
    exception, which then is the error at that position only. `key` names the attributes of the parent that make the
    key, several names make a tuple; a key that is None gives null without a call. Parameters of `function` after
    the keys become the field's GraphQL arguments. `guard(context, parent)` raises when the principal may not see the
    field; it is called once per level with None for the parent unless `guard.per_object` is true. Other keywords are
    those of `strawberry.federation.field`.
    """
    field = _make(BulkField, kwargs)
    field.function = function
    field.key = (key,) if isinstance(key, str) else tuple(key)
    field.guard = guard
    return field(_loading_resolver(field))


def computed(
    function: Callable[..., Any], *, key: str | Sequence[str] = (), guard: Guard | None = None, **kwargs: Any
) -> Any:
    """Declare a field that is worked out from its parent alone.

    `function(parent, context, **arguments)` is called for each parent and not awaited; its parameters after the context
    become the field's GraphQL arguments. With a `key`, `function(context, keys, **arguments)` is called once for all
    parents of a level and returns one element per key, as that of `bulk` does, but it is not awaited. Other keywords are
    those of `strawberry.federation.field`.
    """
    field = _make(ComputedField, kwargs)
    field.function = function
    field.key = (key,) if isinstance(key, str) else tuple(key)
    field.guard = guard

    def resolve(root: Any, info: strawberry.Info, **arguments: Any) -> Any:
        pass_guard(guard, info.context, root)
        if not field.key:
            return function(root, info.context, **arguments)
        value = read_key(root, field.key)
        (result,) = (None,) if value is None else function(info.context, [value], **arguments)
        if isinstance(result, Exception):
            raise result
        return result

    resolve.__module__ = function.__module__
    resolve.__name__ = getattr(function, "__name__", "computed")
    resolve.__signature__ = _signature(function)  # type: ignore[attr-defined]
    return field(resolve)


def attribute(*, guard: Guard | None = None, **kwargs: Any) -> Any:
    """Declare a plain field that a guard protects; keywords are those of `strawberry.federation.field`."""
    field = _make(GuardedField, kwargs)
    field.guard = guard

    def resolve(root: Any, info: strawberry.Info) -> Any:
        pass_guard(guard, info.context, root)
        return read(root, info.python_name)

    resolve.__annotations__ = {"info": strawberry.Info, "root": Any}
    return field(resolve)


def pass_guard(guard: Guard | None, context: Any, parent: Any) -> None:
    """Let the principal pass or raise what the guard raises."""
    if guard is not None:
        guard(context, parent if getattr(guard, "per_object", False) else None)


_FEDERATION = ("external", "inaccessible", "provides", "override", "requires", "shareable", "tags", "authenticated")


def _make(cls: type[FieldT], kwargs: dict[str, Any]) -> FieldT:
    federation = {name: kwargs.pop(name) for name in _FEDERATION if name in kwargs}
    directives = process_federation_field_directives(kwargs.pop("directives", ()), **federation)
    graphql_type = kwargs.pop("graphql_type", None)
    return cls(
        graphql_name=kwargs.pop("name", None),
        type_annotation=StrawberryAnnotation.from_annotation(graphql_type),
        directives=directives,
        **kwargs,
    )


def _loading_resolver(field: BulkField) -> Callable[..., Any]:
    function, names = field.function, field.key

    async def resolve(root: Any, info: strawberry.Info, **arguments: Any) -> Any:
        pass_guard(field.guard, info.context, root)
        key = read_key(root, names)
        return None if key is None else await scope_of(info).load(function, key, arguments)

    # Strawberry derives the GraphQL arguments from this signature, in the namespace of the function's own module.
    resolve.__module__ = function.__module__
    resolve.__name__ = getattr(function, "__name__", "bulk")
    resolve.__signature__ = _signature(function)  # type: ignore[attr-defined]
    return resolve


def _signature(function: BulkFunction) -> Signature:
    own = list(inspect.signature(function).parameters.values())[2:]
    kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
    fixed = [Parameter("root", kind), Parameter("info", kind, annotation=strawberry.Info)]
    arguments = [
        Parameter(p.name, inspect.Parameter.KEYWORD_ONLY, default=p.default, annotation=p.annotation) for p in own
    ]
    return Signature([*fixed, *arguments])
