"""The context of one operation: who asks, in which tenant, and the ways to read and to change."""

import asyncio
import re
from collections.abc import Awaitable, Callable, Collection, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field, fields, is_dataclass, replace
from datetime import UTC, datetime
from inspect import signature
from typing import Any, Concatenate, ParamSpec, Protocol, TypeVar, cast, get_type_hints
from uuid import UUID

from aiodataloader import DataLoader

from domain.auditing import AuditTrail, PrivilegedUse, UseKind, UseOutcome
from domain.codec import fingerprint
from domain.kernel import NOBODY, InvalidInput, Principal, Transactions, Work, uuid7
from domain.topics import TopicEvent, TopicHub

C = TypeVar("C")
K = TypeVar("K")
R = TypeVar("R")
T = TypeVar("T")
P = ParamSpec("P")

Bulk = Callable[..., Awaitable[Sequence[Any]]]
MOST_IDS = 20
_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)


class OperationReads(Protocol):
    """One operation's reads: a snapshot of the database in one tenant."""

    def port(self, port: type[T]) -> T: ...

    async def close(self) -> None: ...


async def _still_good() -> None:
    """Let a context without credentials go on."""


def _nobody() -> AbstractAsyncContextManager["Context"]:
    raise RuntimeError("nothing is shared here")


def _unrevoked() -> int:
    """Count how often credentials were revoked: where there are none, never."""
    return 0


def _valid() -> None:
    """Let a context without credentials go on, without waiting for what is known of them."""


@dataclass(eq=False, kw_only=True)
class Context:
    """What every resolver gets. Loaders and reads live as long as the operation, never longer."""

    reads: OperationReads
    transactions: Transactions
    services: Mapping[type, Any] = field(default_factory=dict)
    principal: Principal = NOBODY
    tenant_id: UUID | None = None
    locale: str = "en"
    address: str = ""
    user_agent: str | None = None
    correlation_id: str = field(default_factory=lambda: str(uuid7()))
    recheck: Callable[[], Awaitable[None]] = field(default=_still_good, repr=False)
    require_valid: Callable[[], None] = field(default=_valid, repr=False)
    revocations: Callable[[], int] = field(default=_unrevoked, repr=False)
    as_nobody: Callable[[], AbstractAsyncContextManager["Context"]] = field(default=_nobody, repr=False)
    now: Callable[[], datetime] = field(default=lambda: datetime.now(UTC))
    _loaders: dict[tuple[Bulk, tuple[tuple[str, Any], ...]], DataLoader[Any, Any]] = field(
        default_factory=dict, repr=False
    )

    def read(self, port: type[T]) -> T:
        """Give the implementation of a read port, bound to this operation's snapshot."""
        return self.reads.port(port)

    def service(self, port: type[T]) -> T:
        """Give a process-wide service, such as the search engine, by the port that the domain declares."""
        return cast("T", self.services[port])

    async def load(self, bulk: Bulk, key: Any, **arguments: Any) -> Any:
        """Load one value through a bulk function; loads that are awaited together become one call."""
        slot = (bulk, tuple(sorted(arguments.items())))
        loader = self._loaders.get(slot)
        if loader is None:

            async def batch(keys: list[Any]) -> list[Any]:
                return list(await bulk(self, keys, **arguments))

            loader = self._loaders[slot] = DataLoader(batch)
        # Whoever stops waiting must not cancel the load for the others.
        return await asyncio.shield(loader.load(key))

    async def transact(
        self,
        handler: Callable[Concatenate[C, P], Awaitable[R]],
        command: C,
        *,
        idempotency_key: str | None = None,
    ) -> R:
        """Run a command in one transaction; whatever is read afterwards sees what it did.

        Raises: DomainError.
        """
        result = await self.transactions.run(handler, command, self.work(), idempotency_key=idempotency_key)
        await self.forget()
        return result

    async def forget(self) -> None:
        """Drop what was read so far, so that later reads see the present."""
        self._loaders.clear()
        await self.reads.close()

    def work(self) -> Work:
        """Say who asks for a change, in which tenant and when.

        Raises: InvalidInput when the request names no tenant.
        """
        return Work(
            tenant_id=self.require_tenant(),
            actor=self.principal,
            now=self.now(),
            correlation_id=self.correlation_id,
        )

    async def note_use(
        self, kind: UseKind, operation: str, permission: str, outcome: UseOutcome, code: str | None, arguments: Any
    ) -> None:
        """Note in the audit trail what a holder of a permission did, or what somebody tried who does not hold it."""
        trail: AuditTrail | None = self.services.get(AuditTrail)
        who, tenant_id = self.principal, self.tenant_id or self.principal.tenant_id
        if trail is None or who.user_id is None or tenant_id is None:
            return
        given = plain(arguments)
        await trail.note(
            PrivilegedUse(
                tenant_id=tenant_id,
                at=self.now(),
                kind=kind,
                operation=operation,
                permission=permission,
                outcome=outcome,
                code=code,
                actor_id=who.user_id,
                impersonator_id=who.impersonator_id,
                session_id=who.session_id,
                address=self.address,
                correlation_id=self.correlation_id,
                ids=dict(ids_in(given)),
                digest=fingerprint(given).hex(),
            )
        )

    def require_tenant(self) -> UUID:
        """Give the tenant that the request is about.

        Raises: InvalidInput.
        """
        if self.tenant_id is None:
            raise InvalidInput(field="tenant", reason="the request names no tenant, by host, header or token")
        return self.tenant_id

    def acting_as(self, principal: Principal) -> "Context":
        """Give the same operation in somebody else's name, as when a login succeeds."""
        return replace(self, principal=principal, _loaders={})


def plain(value: Any) -> Any:
    """Give arguments as JSON values, without what was left out."""
    if is_dataclass(value) and not isinstance(value, type):
        value = {each.name: getattr(value, each.name, None) for each in fields(value)}
    if isinstance(value, Mapping):
        return {str(name): plain(each) for name, each in value.items() if type(each).__name__ != "UnsetType"}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(each) for each in value]
    return value if value is None or isinstance(value, bool | int | float) else str(value)


def ids_in(value: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """Give the ids among arguments, by where they stand; what else was given stays out of the trail."""
    if isinstance(value, Mapping):
        for name, each in value.items():
            yield from ids_in(each, f"{path}.{name}" if path else name)
    elif isinstance(value, list):
        for place, each in enumerate(value[:MOST_IDS]):
            yield from ids_in(each, f"{path}.{place}")
    elif isinstance(value, str) and _ID.fullmatch(value):
        yield path, value


Values = Callable[["Context", Sequence[TopicEvent]], Awaitable[Sequence[Any]]]


@dataclass(frozen=True, kw_only=True)
class Feed:
    """What a subscriber follows, and how its events become what he is shown; he was found to be allowed to.

    `topics` are durable, `signals` are not. `values` gives a value per event, or None for what is not to be shown.
    `opening` gives what is shown at once, before anything happens. `after` is the cursor of the last event that the
    subscriber knows. A `shared` feed shows everybody the same: it is made once for all, as for somebody who is not logged
    in. `allows` is asked for each subscriber at each event, or only at those named `allows_at`; its refusal ends the
    subscription. `while_open` are the
    places in which the subscriber counts as present. Of what comes within `interval_seconds` the latest is shown; that is
    for signals, of which none is missed. A feed that is not shared ends with a value that is `last`.
    """

    values: Values
    topics: Sequence[str] = ()
    signals: Sequence[str] = ()
    after: str | None = None
    opening: Callable[["Context"], Awaitable[Sequence[Any]]] | None = None
    shared: bool = False
    allows: Callable[[TopicEvent], None] | None = None
    allows_at: Collection[str] | None = None
    while_open: Sequence[tuple[str, str]] = ()
    interval_seconds: float = 0.0
    last: Callable[[Any], bool] | None = None


def state_feed(
    topic: str,
    load: Callable[["Context"], Awaitable[Any]],
    shown: Callable[[str, Any], Any],
    after: str | None = None,
    *,
    last: Callable[[Any], bool] | None = None,
) -> Feed:
    """Follow how one thing stands: `shown(cursor, thing)` at first, and after what happened to it.

    Of events that come together the last is shown, for the thing is read when they have come.
    """

    async def opening(context: Context) -> Sequence[Any]:
        cursor = str(context.service(TopicHub).position)
        return [] if after else [shown(cursor, await load(context))]

    async def values(context: Context, events: Sequence[TopicEvent]) -> Sequence[Any]:
        return [*[None] * (len(events) - 1), shown(events[-1].cursor, await load(context))]

    return Feed(topics=[topic], values=values, opening=opening, after=after, last=last)


def transacts(handler: Callable[Concatenate[C, P], Awaitable[R]]) -> Callable[..., Awaitable[R]]:
    """Make the resolver of a command that needs nothing but its handler: `(context, command, idempotency_key)`."""

    async def resolve(context: Context, command: C, idempotency_key: str | None = None) -> R:
        return await context.transact(handler, command, idempotency_key=idempotency_key)

    hints = get_type_hints(handler)
    command = next(iter(signature(handler).parameters))
    resolve.__annotations__ = {"context": Context, "command": hints[command], "idempotency_key": str | None}
    resolve.__name__ = resolve.__qualname__ = handler.__name__
    resolve.__module__ = handler.__module__
    return resolve
