"""Erasing people, context by context; each step is one transaction, which asks for the next."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from domain.identity.administration import subordinate
from domain.identity.guarding import LoginGuard, account_subject
from domain.identity.login import InvalidCredentials
from domain.identity.privacy import Erasure, ErasureHindered, Erasures, ErasureState, PersonalData, PrivacyPolicy
from domain.identity.roles import Roles
from domain.identity.sessions import SessionEnding, Sessions
from domain.identity.text import clean
from domain.identity.users import Users, UserStatus
from domain.jobs import JobQueue, Jobs
from domain.kernel import AlreadyExists, NotFound, Work
from domain.objects import ObjectStore

ERASE = "identity.erase"

jobs = Jobs()


@dataclass(frozen=True, kw_only=True)
class RequestErasure:
    """Ask to be erased; the hash that the password was checked against comes along."""

    password_hash: str


@dataclass(frozen=True, kw_only=True)
class EraseUser:
    """Have a user erased who asked for it by other ways."""

    user_id: UUID
    reason: str


@dataclass(frozen=True, kw_only=True)
class CancelErasure:
    """Take back a request that has not begun."""

    id: UUID


async def request_erasure(
    command: RequestErasure,
    work: Work,
    users: Users,
    guard: LoginGuard,
    erasures: Erasures,
    personal: PersonalData,
    policy: PrivacyPolicy,
    queue: JobQueue,
) -> Erasure:
    """Ask for one's own erasure.

    Raises: InvalidCredentials when the password was changed meanwhile; ErasureHindered, AlreadyExists.
    """
    user = await users.get(work.actor.require_user())
    if user.password_hash != command.password_hash:
        raise InvalidCredentials
    await guard.clear(account_subject(user.email))
    return await _ask(user.id, None, work, erasures, personal, policy, queue)


async def erase_user(
    command: EraseUser,
    work: Work,
    users: Users,
    roles: Roles,
    erasures: Erasures,
    personal: PersonalData,
    policy: PrivacyPolicy,
    queue: JobQueue,
) -> Erasure:
    user = await subordinate(command.user_id, work.actor, users, roles)
    reason = clean("reason", command.reason, longest=500)
    return await _ask(user.id, reason, work, erasures, personal, policy, queue)


async def cancel_erasure(command: CancelErasure, work: Work, erasures: Erasures, queue: JobQueue) -> Erasure:
    erasure = await erasures.lock(command.id)
    if erasure is None:
        raise NotFound(kind="Erasure", id=str(command.id))
    erasure.require_touchable(work.actor)
    erasure.cancel()
    await queue.cancel(ERASE, str(erasure.id))
    return erasure


async def _ask(
    user_id: UUID,
    reason: str | None,
    work: Work,
    erasures: Erasures,
    personal: PersonalData,
    policy: PrivacyPolicy,
    queue: JobQueue,
) -> Erasure:
    if await erasures.pending(user_id) is not None:
        raise AlreadyExists(kind="Erasure", value="of this person")
    if hindrances := await personal.legal_holds(user_id):
        raise ErasureHindered(reasons=hindrances)
    erasure = Erasure.request(user_id, reason, policy.grace, work)
    erasures.add(erasure)
    await _later(erasure, queue)
    return erasure


async def _later(erasure: Erasure, queue: JobQueue) -> None:
    at = erasure.due_at if erasure.state is ErasureState.SCHEDULED else None
    await queue.defer(ERASE, {"erasure_id": str(erasure.id)}, at=at, key=str(erasure.id))


@jobs.on(ERASE)
async def advance_erasure(
    payload: Mapping[str, Any],
    work: Work,
    erasures: Erasures,
    users: Users,
    sessions: Sessions,
    personal: PersonalData,
    store: ObjectStore,
    policy: PrivacyPolicy,
    queue: JobQueue,
) -> None:
    """Take the next step of an erasure: look for hindrances and close the account, or a context, or the keys."""
    erasure = await erasures.lock(UUID(payload["erasure_id"]))
    if erasure is None or erasure.state in {ErasureState.CANCELLED, ErasureState.COMPLETED}:
        return
    if erasure.state is ErasureState.SCHEDULED:
        await _begin(erasure, work, users, sessions, personal, policy)
    elif left := [each for each in personal.contexts() if each not in erasure.done]:
        await _let_go(left[0], erasure, personal, store)
    else:
        erasure.complete(await personal.shred(erasure.user_id), work.now)
        return
    await _later(erasure, queue)


async def _begin(
    erasure: Erasure, work: Work, users: Users, sessions: Sessions, personal: PersonalData, policy: PrivacyPolicy
) -> None:
    """Close the account, so that nothing new comes while the old goes; wait where something binds the person."""
    if hindrances := await personal.legal_holds(erasure.user_id):
        erasure.postpone(hindrances, policy.hindered_pause, work.now)
        return
    user = await users.get(erasure.user_id)
    if user.status is not UserStatus.DEACTIVATED:
        user.deactivate(None)
    await sessions.end_all(user.id, SessionEnding.ACCOUNT_CLOSED, work.now)
    erasure.begin()


async def _let_go(context: str, erasure: Erasure, personal: PersonalData, store: ObjectStore) -> None:
    """Have one context let go; its files first, for their names go with its rows."""
    gone = await personal.files(context, erasure.user_id)
    await store.delete(gone)
    erasure.note(context, await personal.erase(context, erasure.user_id), len(gone))
