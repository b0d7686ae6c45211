"""Which tenant a request is about: by the X-Agora-Tenant header, by its token, or by the host name."""

import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from uuid import UUID

from domain.kernel import NOBODY, InvalidInput, NotFound, Principal, Unauthenticated, Unavailable
from domain.localization import LanguageReads, negotiate
from domain.tenancy import PLATFORM_PERMISSION, Platform, TenantReads, rules

HEADER = "x-agora-tenant"
TTL_SECONDS = 5.0
MOST_ENTRIES = 4_096
Name = tuple[str, str]


@dataclass(frozen=True, kw_only=True)
class ResolvedTenant:
    """What a request needs to know of its tenant; `languages` has the default first.

    Whether the tenant may be changed is not said here: the database decides it in every transaction, without a cache.
    """

    id: UUID
    code: str
    currency: str
    locale: str
    timezone: str
    languages: tuple[str, ...]

    def language_for(self, accept_language: str | None) -> str:
        """Choose the language for a caller."""
        default = self.languages[0] if self.languages else self.locale
        return negotiate(accept_language, self.languages or (default,), default)


class TenantResolver:
    """Finds tenants for requests that do not have one yet, with the platform's eyes, and remembers them for seconds."""

    def __init__(
        self,
        platform: Platform,
        *,
        ttl_seconds: float = TTL_SECONDS,
        clock: Callable[[], float] = time.monotonic,
        size: int = MOST_ENTRIES,
    ) -> None:
        self._platform = platform
        self._ttl_seconds = ttl_seconds
        self._clock = clock
        self._size = size
        self._known: OrderedDict[Name, tuple[float, ResolvedTenant | None]] = OrderedDict()

    async def resolve(
        self, *, host: str | None = None, code: str | None = None, principal: Principal = NOBODY
    ) -> ResolvedTenant | None:
        """Give the tenant that the header's `code` names, else that of the token, else that of the `Host` header.

        A token is good in its own tenant only, unless its holder runs the platform.
        Raises: NotFound for a code that no tenant has; Unauthenticated for a token of another tenant.
        """
        found = await self._asked_for(host, code, principal)
        own = principal.tenant_id
        if found is not None and own not in {None, found.id} and not principal.may(PLATFORM_PERMISSION):
            raise Unauthenticated(reason="the token was issued for another tenant")
        return found

    def forget(self) -> None:
        """Drop everything remembered."""
        self._known.clear()

    async def _asked_for(self, host: str | None, code: str | None, principal: Principal) -> ResolvedTenant | None:
        if code:
            named = await self._find(("code", code.strip().lower()))
            if named is None:
                raise NotFound(kind="Tenant", id=code)
            return named
        if principal.tenant_id is not None:
            return await self._find(("id", str(principal.tenant_id)))
        name = _host_name(host)
        return await self._find(("host", name)) if name else None

    async def _find(self, name: Name) -> ResolvedTenant | None:
        now = self._clock()
        known = self._known.get(name)
        if known is not None and known[0] > now:
            return known[1]
        try:
            found = await self._load(*name)
        except Unavailable:
            if known is None:
                raise
            # While the database is away, what does not need it goes on with what was known.
            return known[1]
        self._known[name] = (now + self._ttl_seconds, found)
        self._known.move_to_end(name)
        # Anybody can invent host names, so what is remembered of them has an end.
        while len(self._known) > self._size:
            self._known.popitem(last=False)
        return found

    async def _load(self, kind: str, value: str) -> ResolvedTenant | None:
        reads = self._platform.read(TenantReads)
        if kind == "id":
            (row,) = await reads.by_id([UUID(value)])
        elif kind == "code":
            (row,) = await reads.by_code([value]) if "\x00" not in value else (None,)
        else:
            (row,) = await reads.by_host([value])
        if row is None:
            return None
        (languages,) = await self._platform.read(LanguageReads).of_tenants([row.id])
        return ResolvedTenant(
            id=row.id,
            code=row.code,
            currency=row.currency,
            locale=row.locale,
            timezone=row.timezone,
            languages=tuple(each.code for each in languages),
        )


def _host_name(header: str | None) -> str | None:
    """Give the name in a Host header without its port; None for what is no host name."""
    if not header:
        return None
    name = header if header.endswith("]") else header.rpartition(":")[0] or header
    try:
        return rules.host("host", name)
    except InvalidInput:
        return None
