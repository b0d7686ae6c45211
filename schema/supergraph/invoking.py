"""Calling ordinary Strawberry resolvers, as directly as what they declare allows."""

from collections.abc import Callable
from typing import Any

from strawberry.types.field import StrawberryField

from schema.supergraph.arguments import Arguments
from schema.supergraph.engine import Run
from schema.supergraph.source import OwnField

Invoke = Callable[[Any, Any], Any]
"""Calls a resolver: (parent, info) -> value or awaitable."""
Invoker = Callable[[Run], Invoke]


def invoker(own: OwnField, arguments: Arguments, strawberry_schema: Any) -> Invoker:
    """Make the function that prepares a resolver's arguments once per level and then calls it per parent."""
    definition = own.definition
    if _is_direct(definition, strawberry_schema):
        return _direct(definition, arguments, strawberry_schema)
    resolve = own.resolve
    if resolve is None:
        return lambda _run: lambda parent, _info: getattr(parent, own.name, None)

    def prepare(run: Run) -> Invoke:
        coerced = arguments.coerced(run.variables)
        return lambda parent, info: resolve(parent, info, **coerced)

    return prepare


def _is_direct(definition: Any, strawberry_schema: Any) -> bool:
    return (
        isinstance(definition, StrawberryField)
        and type(definition).get_result is StrawberryField.get_result
        and definition.base_resolver is not None
        and not definition.is_subscription
        and not definition.extensions
        and not strawberry_schema.exception_handlers
    )


def _direct(definition: Any, arguments: Arguments, strawberry_schema: Any) -> Invoker:
    """Call the resolver's own function: Strawberry would convert the same arguments anew for every parent."""
    resolver = definition.base_resolver
    takes_self = resolver.self_parameter is not None
    parents = [p.name for p in (resolver.parent_parameter, resolver.root_parameter) if p is not None]
    info_name = resolver.info_parameter.name if resolver.info_parameter is not None else None
    info_class = strawberry_schema.config.info_class

    def prepare(run: Run) -> Invoke:
        function = resolver.wrapped_func
        converted = arguments.converted(arguments.coerced(run.variables))

        def invoke(parent: Any, raw_info: Any) -> Any:
            given = dict(converted)
            for name in parents:
                given[name] = parent
            if info_name is not None:
                given[info_name] = info_class(_raw_info=raw_info, _field=definition)
            return function(parent, **given) if takes_self else function(**given)

        return invoke

    return prepare
