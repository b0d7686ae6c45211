"""The guard at every door: attempts are counted before anything is compared, by account, by address and by both.

A device that its owner has logged in with before has a count of its own, so that no stranger's failures lock it out.
"""

import hashlib
import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Protocol
from uuid import UUID

from domain.identity.sessions import AccessPolicy, Client
from domain.kernel import DomainError, Work


@dataclass(eq=False)
class TooManyAttempts(DomainError):
    """Too many failed attempts on this account, or from this address; said of unknown accounts just the same."""

    retry_after_seconds: int
    template = "Too many attempts. Try again in {retry_after_seconds} seconds."


class Door(StrEnum):
    """Where guesses are made; the counts of one door say nothing at another."""

    PASSWORD = "password"  # noqa: S105 — a door, not a secret.
    CODE = "code"
    REQUEST = "request"
    SECOND_FACTOR = "second_factor"


@dataclass(frozen=True, kw_only=True)
class Count:
    """The failures counted for a subject, and until when it is locked."""

    failures: int
    locked_until: datetime | None


class LoginGuard(Protocol):
    """Counts failures atomically, per subject; a count runs out a lock's length after its first failure."""

    async def count(self, subject: str, limit: int, lock: timedelta, now: datetime) -> Count:
        """Add one to the count and give it; at the limit the subject is locked."""
        ...

    async def peek(self, subject: str, now: datetime) -> Count:
        """Give the count that holds now."""
        ...

    async def clear(self, subject: str) -> None:
        """Forget the counts of a subject and of all that its name is the beginning of."""
        ...


class DeviceTokens(Protocol):
    """Marks that a device keeps, to be known again for as long as its owner likes; each is good for one account."""

    def issue(self, tenant_id: UUID, account: str) -> str: ...

    def device_of(self, token: str, tenant_id: UUID, account: str) -> str | None:
        """Give the device that a token was issued to; None where it is not one for this account."""
        ...


def account_subject(email: str) -> str:
    """Name an account by a digest of its e-mail address: what strangers type is not kept in clear."""
    return f"account:{hashlib.sha256(email.encode()).hexdigest()}"


def address_subject(address: str) -> str:
    return f"address:{address}"


@dataclass(frozen=True, kw_only=True)
class Caller:
    """Who tries something on an account: from which address, and with which of its devices, if it is known."""

    account: str
    address: str
    device: str | None = None

    @classmethod
    def at(cls, email: str, client: Client, work: Work, devices: DeviceTokens) -> "Caller":
        account = account_subject(email)
        token = client.device_token
        device = devices.device_of(token, work.tenant_id, account) if token else None
        return cls(account=account, address=client.address, device=device)

    def limits(self, door: Door, policy: AccessPolicy) -> Mapping[str, int]:
        """Give the subjects that an attempt is counted for, the narrowest first, with what each may bear."""
        if self.device is not None:
            own = {f"{self.account}:{door}:by:{self.device}": policy.max_failures}
        else:
            # Who stands at the second door has the right password, and may guess among three codes in a million.
            most = policy.max_failures if door is Door.SECOND_FACTOR else policy.max_failures_per_account
            own = {f"{self.account}:{door}:at:{self.address}": policy.max_failures, f"{self.account}:{door}": most}
        if door is Door.REQUEST:
            # What is asked for is sent and costs, whoever it is sent to.
            return {f"{address_subject(self.address)}:{door}": policy.max_failures_per_address, **own}
        return own


async def admit(door: Door, caller: Caller, work: Work, guard: LoginGuard, policy: AccessPolicy) -> datetime | None:
    """Count an attempt before anything is compared; gives until when it is barred, or None where it may be made.

    However many come at once, only so many are let through. What is barred already is not counted for the account, else
    whoever goes on at one address would bar all others.
    """
    if caller.device is None:
        there = await guard.peek(address_subject(caller.address), work.now)
        if there.locked_until is not None:
            return there.locked_until
    for subject, limit in caller.limits(door, policy).items():
        counted = await guard.count(subject, limit, policy.lock, work.now)
        if counted.failures > limit:
            return counted.locked_until
    return None


async def note_failure(client: Client, work: Work, guard: LoginGuard, policy: AccessPolicy) -> None:
    """Count a failure for the network address, over all accounts and doors."""
    await guard.count(address_subject(client.address), policy.max_failures_per_address, policy.lock, work.now)


async def forgive(door: Door, caller: Caller, guard: LoginGuard) -> None:
    """Forget the failures at a door that whoever has passed it made, or others on the account."""
    own = f"{caller.account}:{door}"
    await guard.clear(own if caller.device is None else f"{own}:by:{caller.device}")


def refusal_until(locked_until: datetime, now: datetime) -> TooManyAttempts:
    """Say for how long nothing may be tried."""
    return TooManyAttempts(retry_after_seconds=max(1, math.ceil((locked_until - now).total_seconds())))
