"""What all subgraphs share: scalars, visibility, fields, connections, errors and the unions that carry them."""

import inspect
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal as DecimalNumber
from functools import cache, lru_cache
from typing import Annotated, Any, TypeVar, Union, get_type_hints
from uuid import UUID

import strawberry
from strawberry.federation.schema_directives import Cost, ListSize
from strawberry.schema.config import StrawberryConfig
from strawberry.types.field import StrawberryField

from domain.auditing import NOTED_QUERIES, UseKind, UseOutcome
from domain.kernel import (
    SELF_SCOPE,
    ConcurrentModification,
    DomainError,
    Forbidden,
    IdempotencyKeyReused,
    InvalidInput,
    NotFound,
    NotWhileImpersonating,
    Principal,
    TenantReadOnly,
    Unauthenticated,
)
from domain.money import Money as Amount
from domain.money import decimal_text
from domain.paging import DEFAULT_PAGE, PageRequest
from resolvers.following import FeedStream
from resolvers.kernel import Context, Feed
from schema.inputs import argument_of, sentence_of, to_domain
from schema.scalars import SCALARS, BigInt
from schema.supergraph import Subgraph, Typed
from schema.supergraph import attribute as plain_attribute
from schema.supergraph import bulk as bulk_field
from schema.supergraph import computed as computed_field
from schema.supergraph.reading import reads_items

T = TypeVar("T")
VISIBILITY = "visibility"
STALE_OK = "stale_ok"
FEDERATION = "2.9"


@dataclass(frozen=True)
class Visibility:
    """Who may see a field. The engine calls it as a guard: once a level, or per parent where owners differ."""

    name: str
    check: Callable[[Principal, Any], None]
    per_object: bool = False
    session_only: bool = False
    in_person: bool = False
    permission: str | None = None

    def __call__(self, context: Context, parent: Any = None) -> None:
        self.check(context.principal, parent)
        if self.in_person and context.principal.impersonator_id is not None:
            raise NotWhileImpersonating


def _anybody(_principal: Principal, _parent: Any) -> None:
    """Let everybody pass."""


def _whoever_changes(principal: Principal, _parent: Any) -> None:
    """Let everybody pass but API keys that are not meant to change what is their user's own."""
    principal.require_scope()


@cache
def authenticated(scope: str = SELF_SCOPE) -> Visibility:
    """Show a field to everybody who is logged in; an API key needs a scope for it."""

    def check(principal: Principal, _parent: Any) -> None:
        principal.require_user()
        principal.require_scope(scope)

    return Visibility("authenticated", check)


PUBLIC = Visibility("public", _anybody)
PUBLIC_CHANGE = Visibility("public", _whoever_changes)
AUTHENTICATED = authenticated()


@cache
def in_session(who: Visibility) -> Visibility:
    """Let do those whom `who` lets, unless they come with an API key: keys do not govern accounts."""

    def check(principal: Principal, parent: Any) -> None:
        who.check(principal, parent)
        principal.require_session()

    return replace(who, check=check, session_only=True)


@cache
def permission(name: str) -> Visibility:
    """Show a field to holders of a permission, `context.action`."""

    def check(principal: Principal, _parent: Any) -> None:
        if not principal.may(name):
            raise Forbidden(permission=name) if principal.is_authenticated else Unauthenticated()

    return Visibility(name, check, permission=name)


@cache
def depending(name: str) -> Visibility:
    """Show a field to holders of a permission, be it on conditions of which the handler knows more (`Work.require`)."""

    def check(principal: Principal, _parent: Any) -> None:
        if not principal.might(name):
            raise Forbidden(permission=name) if principal.is_authenticated else Unauthenticated()

    return Visibility(name, check, permission=name)


@cache
def in_person(who: Visibility) -> Visibility:
    """Let the same people pass, and nobody who acts as one of them."""
    return replace(who, in_person=True)


@cache
def owner_or(name: str, attribute_name: str = "user_id") -> Visibility:
    """Show a field to the person whose id stands in the object's attribute, and to holders of a permission."""

    def check(principal: Principal, parent: Any) -> None:
        if principal.user_id is None:
            raise Unauthenticated
        if principal.may(name):
            return
        if getattr(parent, attribute_name) != principal.user_id:
            raise Forbidden(permission=name)
        principal.require_scope()

    return Visibility(f"owner or {name}", check, per_object=True)


def is_noted(kind: UseKind, who: Visibility) -> bool:
    """Say whether each use of a root field leaves a line in the audit trail: changes with a permission, looks at people."""
    return who.permission is not None and (kind is UseKind.MUTATION or who.permission in NOTED_QUERIES)


def _noted(kind: UseKind, who: Visibility, resolve: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
    """Have a root field's uses noted, whatever becomes of them."""
    if not is_noted(kind, who):
        return resolve

    async def noted(root: Any, info: strawberry.Info, **arguments: Any) -> Any:
        try:
            answer = await resolve(root, info, **arguments)
        except DomainError as refusal:
            await note(info, arguments, UseOutcome.REFUSED, refusal.code)
            raise
        except Exception:
            await note(info, arguments, UseOutcome.FAILED, None)
            raise
        refused = answer.value if isinstance(answer, Typed) and isinstance(answer.value, DomainError) else None
        outcome = UseOutcome.DONE if refused is None else UseOutcome.REFUSED
        await note(info, arguments, outcome, refused.code if refused else None)
        return answer

    async def note(info: strawberry.Info, arguments: Any, outcome: UseOutcome, code: str | None) -> None:
        await info.context.note_use(kind, info.field_name, str(who.permission), outcome, code, arguments)

    return noted


def visibility_of(field: StrawberryField) -> Visibility | None:
    """Give what a field declares about who may see it."""
    return field.metadata.get(VISIBILITY)


def _priced(function: Callable[..., Any], options: dict[str, Any], weight: int | None) -> dict[str, Any]:
    """Add what static cost analysis needs to know: how long a paged list may be, and what a call weighs.

    Source: the GraphQL cost directives specification of IBM, as Federation 2.9 has it.
    """
    directives = list(options.pop("directives", ()))
    if get_type_hints(function).get("page") is PageRequest:
        directives.append(
            ListSize(
                assumed_size=DEFAULT_PAGE,
                slicing_arguments=["first", "last"],
                sized_fields=["edges", "nodes"],
                require_one_slicing_argument=False,
            )
        )
    if weight is not None:
        directives.append(Cost(weight=weight))
    return {**options, "directives": directives}


def bulk(
    function: Callable[..., Awaitable[Sequence[Any]]], *, key: str | Sequence[str], who: Visibility, **options: Any
) -> Any:
    """Declare a field that is loaded by key for a whole level at once; a `page` parameter becomes first/after/last/before."""
    metadata = {VISIBILITY: who, **options.pop("metadata", {})}
    options = _priced(function, options, None)
    return bulk_field(_expanded(function, fixed=2), key=key, guard=who, metadata=metadata, **options)


def attribute(*, who: Visibility, **options: Any) -> Any:
    """Declare a plain field that not everybody may see."""
    return plain_attribute(guard=who, metadata={VISIBILITY: who}, **options)


def computed(function: Callable[..., Any], returns: Any, **options: Any) -> Any:
    """Declare a field that is worked out from its parent alone, `function(parent, context, **arguments)`.

    With a `key`, `function(context, keys, **arguments)` works it out for a whole level: right for what long lists show.
    """
    arguments = _arguments(function, fixed=2)
    if not arguments:
        return computed_field(function, graphql_type=returns, **options)

    def expanded(*leading: Any, **given: Any) -> Any:
        return function(*leading, **given)

    _sign(expanded, arguments, returns, leading=("context", "keys") if options.get("key") else ("parent", "context"))
    return computed_field(expanded, graphql_type=returns, **options)


def query(
    function: Callable[..., Any],
    returns: Any,
    *,
    who: Visibility,
    weight: int | None = None,
    stale_ok: bool = False,
    **options: Any,
) -> Any:
    """Declare a root field of Query over a resolver `(context, **arguments)`; `weight` is its static cost.

    With `stale_ok` it may be answered, with all below it, from a replica that is seconds behind.
    """
    options = _priced(function, options, weight)
    expanded = _expanded(function, fixed=1)
    parameters = _arguments(expanded, fixed=1)

    async def resolve(root: Any, info: strawberry.Info, **arguments: Any) -> Any:  # noqa: ARG001 — Strawberry's calling convention.
        who(info.context)
        return await expanded(info.context, **arguments)

    noted = _noted(UseKind.QUERY, who, resolve)
    _sign(noted, parameters, returns)
    return strawberry.federation.field(resolver=noted, metadata={VISIBILITY: who, STALE_OK: stale_ok}, **options)


def subscription(function: Callable[..., Any], returns: Any, *, who: Visibility, **options: Any) -> Any:
    """Declare a root field of Subscription over an asynchronous generator `(context, **arguments)`."""

    async def resolve(root: Any, info: strawberry.Info, **arguments: Any) -> Any:  # noqa: ARG001 — see `query`.
        who(info.context)
        async for event in function(info.context, **arguments):
            yield event

    _sign(resolve, _arguments(function, fixed=1), AsyncGenerator[returns, None])
    return strawberry.subscription(resolver=resolve, metadata={VISIBILITY: who}, **options)


def feed(function: Callable[..., Awaitable[Feed]], returns: Any, *, who: Visibility, **options: Any) -> Any:
    """Declare a root field of Subscription over a resolver `(context, **arguments)` that says what is followed."""

    async def resolve(root: Any, info: strawberry.Info, **arguments: Any) -> Any:  # noqa: ARG001 — see `query`.
        who(info.context)
        given = {name: to_domain(value) for name, value in arguments.items()}
        return FeedStream(info.context, await function(info.context, **given))

    _sign(resolve, _arguments(function, fixed=1), AsyncGenerator[returns, None])
    return strawberry.subscription(resolver=resolve, metadata={VISIBILITY: who}, **options)


COMMON_ERRORS = (InvalidInput, NotFound, ConcurrentModification, TenantReadOnly, IdempotencyKeyReused)


def command(
    function: Callable[..., Awaitable[Any]],
    returns: Any,
    *,
    who: Visibility,
    errors: Sequence[type[DomainError]] = (),
    name: str | None = None,
    key_required: bool = False,
    **options: Any,
) -> Any:
    """Declare a mutation over a resolver `(context, command, idempotency_key)`.

    The command's dataclass becomes the input type; the answer is a union of `returns` and the typed errors, the common
    ones included. What is raised and stands in the union is an answer, everything else an error of the operation.
    """
    who = PUBLIC_CHANGE if who is PUBLIC else who
    refusals: tuple[type[DomainError], ...] = tuple(dict.fromkeys((*errors, *COMMON_ERRORS)))
    kind = get_type_hints(function)["command"]
    union = result_union(f"{name or kind.__name__}Result", returns, refusals)

    async def resolve(root: Any, info: strawberry.Info, input: Any, idempotency_key: str | None = None) -> Any:  # noqa: A002, ARG001 — GraphQL's conventional name.
        who(info.context)
        try:
            result = await function(info.context, to_domain(input, kind), idempotency_key)
        except refusals as refusal:
            # A bare exception would be taken for a failure of the field.
            return Typed(refusal, type(refusal).__name__)
        # A row of a read does not say what it stands for.
        return Typed(result, typename) if typename and reads_items(type(result)) else result

    typename = getattr(getattr(returns, "__strawberry_definition__", None), "name", None)
    key = ("idempotency_key", str, inspect.Parameter.empty) if key_required else ("idempotency_key", str | None, None)
    noted = _noted(UseKind.MUTATION, who, resolve)
    _sign(noted, [("input", argument_of(kind), inspect.Parameter.empty), key], union)
    return strawberry.federation.field(resolver=noted, metadata={VISIBILITY: who}, **options)


def action(
    function: Callable[..., Awaitable[Any]],
    returns: Any,
    *,
    who: Visibility,
    result: str,
    errors: Sequence[type[DomainError]] = (),
    **options: Any,
) -> Any:
    """Declare a mutation that has plain arguments instead of a command: a resolver `(context, **arguments)`."""
    who = PUBLIC_CHANGE if who is PUBLIC else who
    refusals: tuple[type[DomainError], ...] = tuple(dict.fromkeys((*errors, *COMMON_ERRORS)))

    async def resolve(root: Any, info: strawberry.Info, **arguments: Any) -> Any:  # noqa: ARG001 — see `query`.
        who(info.context)
        try:
            return await function(info.context, **{name: to_domain(value) for name, value in arguments.items()})
        except refusals as refusal:
            # A bare exception would be taken for a failure of the field.
            return Typed(refusal, type(refusal).__name__)

    noted = _noted(UseKind.MUTATION, who, resolve)
    _sign(noted, _arguments(function, fixed=1), result_union(result, returns, refusals))
    return strawberry.federation.field(resolver=noted, metadata={VISIBILITY: who}, **options)


@strawberry.interface(description="A refusal: `code` is for programs, `message` for people.")
class Error:
    code: str
    message: str


@cache
def error_type(error: type[DomainError]) -> type:
    """Make the GraphQL type of a domain error: its data beside code and message."""
    hints = get_type_hints(error)
    annotations = {name: hints[name] for name in error.__dataclass_fields__ if name not in {"code", "message"}}  # type: ignore[attr-defined]
    body = {"__annotations__": annotations, "__reads__": (error,), "__module__": __name__, "__doc__": error.__doc__}
    made = type(error.__name__, (Error,), body)
    return strawberry.federation.type(made, shareable=True, description=sentence_of(error))


def result_union(name: str, returns: Any, errors: Sequence[type[DomainError]]) -> Any:
    """Make the union of an answer and the refusals that may stand in its place."""
    members: Any = Union[(returns, *(error_type(error) for error in errors))]  # type: ignore[arg-type]  # mypy takes the class for unhashable.
    return Annotated[members, strawberry.union(name)]


@strawberry.federation.type(shareable=True, description="An exact amount of money.")
class Money:
    amount: DecimalNumber = strawberry.field(
        name="amount", description="In units of the currency, as an exact decimal."
    )
    amount_minor: BigInt = strawberry.field(description="In minor units of the currency, such as cents.")
    currency: str = strawberry.field(description="ISO 4217 code.")


@lru_cache(maxsize=4096)
def money(amount_minor: int, currency: str) -> Money:
    """Give an amount in minor units as the graph shows it."""
    # A page shows a hundred amounts: the decimal is written as text, which is what its scalar makes of it anyway.
    amount: Any = decimal_text(amount_minor, currency)
    return Money(amount=amount, amount_minor=BigInt(amount_minor), currency=currency)


def money_of(amount: Amount) -> Money:
    """Give an amount of the domain as the graph shows it."""
    return money(amount.amount_minor, amount.currency)


@strawberry.federation.type(shareable=True, description="Where a page stands in its list.")
class PageInfo:
    has_next_page: bool
    has_previous_page: bool
    start_cursor: str | None
    end_cursor: str | None


@strawberry.interface(description="An object with an id that is unique in the whole graph.")
class Node:
    id: UUID


@cache
def connection(node: type) -> type:
    """Make the Relay connection type of a node type; it reads a `Page`."""
    name = node.__name__
    edge = strawberry.federation.type(
        type(f"{name}Edge", (), {"__annotations__": {"node": node, "cursor": str}, "__module__": __name__}),
        shareable=True,
    )

    async def total_count(root: Any) -> int:
        return int(await root.count())

    body = {
        "__annotations__": {"edges": list[edge], "nodes": list[node], "page_info": PageInfo},  # type: ignore[valid-type]
        "__module__": __name__,
        "total_count": strawberry.field(resolver=total_count, description="Counted only when asked for."),
    }
    return strawberry.federation.type(type(f"{name}Connection", (), body), shareable=True)


CONFIG = StrawberryConfig(scalar_map=SCALARS)


def make_subgraph(
    *, query: type, mutation: type | None = None, subscription: type | None = None, types: Sequence[type] = ()
) -> Subgraph:
    """Make a context's subgraph."""
    return Subgraph(
        query=query,
        mutation=mutation,
        subscription=subscription,
        types=types,
        config=CONFIG,
        federation_version=FEDERATION,
    )


Argument = tuple[str, Any, Any]
_PAGE = ("first", "after", "last", "before")


def _arguments(function: Callable[..., Any], *, fixed: int) -> list[Argument]:
    hints = get_type_hints(function, include_extras=True)
    parameters = list(inspect.signature(function).parameters.values())[fixed:]
    return [(each.name, argument_of(hints[each.name]), each.default) for each in parameters]


def _expanded(function: Callable[..., Any], *, fixed: int) -> Callable[..., Any]:
    """Give the function with its `page: PageRequest` parameter, if it has one, spread into Relay's four arguments."""
    hints = get_type_hints(function, include_extras=True)
    paged = hints.get("page") is PageRequest
    others = [each for each in _arguments(function, fixed=fixed) if each[0] != "page"]

    async def expanded(*leading: Any, **arguments: Any) -> Any:
        converted = {name: to_domain(arguments[name], hints[name]) for name, _, _ in others if name in arguments}
        if paged:
            converted["page"] = PageRequest(**{name: arguments.get(name) for name in _PAGE})
        return await function(*leading, **converted)

    relay: list[Argument] = [(name, str | None if name in {"after", "before"} else int | None, None) for name in _PAGE]
    _sign(expanded, [*others, *(relay if paged else [])], None, leading=("context", "keys")[:fixed])
    expanded.__name__ = function.__name__
    return expanded


def _sign(resolve: Any, arguments: Sequence[Argument], returns: Any, leading: Sequence[str] = ("root", "info")) -> None:
    """Give a function the signature that GraphQL arguments are derived from."""
    kind = inspect.Parameter
    annotations: Mapping[str, Any] = {"root": Any, "info": strawberry.Info, "context": Any, "keys": Any, "parent": Any}
    parameters = [kind(name, kind.POSITIONAL_OR_KEYWORD, annotation=annotations[name]) for name in leading]
    # An argument that may be left out has no default in the schema: null and absent are then told apart by the caller.
    defaults = [strawberry.UNSET if default is None else default for _, _, default in arguments]
    parameters += [
        kind(name, kind.KEYWORD_ONLY, default=default, annotation=type_)
        for (name, type_, _), default in zip(arguments, defaults, strict=True)
    ]
    resolve.__signature__ = inspect.Signature(parameters, return_annotation=returns)
    resolve.__annotations__ = {each.name: each.annotation for each in parameters} | {"return": returns}
