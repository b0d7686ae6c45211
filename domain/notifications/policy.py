"""What a tenant has settled about its messages."""

from dataclasses import dataclass
from typing import Protocol
from uuid import UUID

from email_validator import EmailNotValidError, validate_email

from domain.kernel import UNCHANGED, Aggregate, Event, InvalidInput, Unchanged, Work, event

PUSHES_A_MINUTE = 3
MOST_PUSHES_A_MINUTE = 9
LONGEST_NAME = 100


@event("notifications.policy_changed")
@dataclass(frozen=True, kw_only=True)
class NotificationPolicyChanged(Event):
    push_per_minute_limit: int
    sender_name: str | None


@dataclass(frozen=True, kw_only=True)
class UpdateNotificationPolicy:
    """Change in whose name messages go out, and how many pushes a person gets in a minute before the rest is put together."""

    push_per_minute_limit: int | Unchanged = UNCHANGED
    sender_name: str | Unchanged | None = UNCHANGED
    reply_to: str | Unchanged | None = UNCHANGED
    expected_version: int | None = None


@dataclass(eq=False, kw_only=True)
class NotificationPolicy(Aggregate):
    """One tenant's rules; without a row of its own a tenant has these defaults.

    Source: policy parameter `push_per_minute_limit`; nobody gets ten pushes in one minute.
    """

    push_per_minute_limit: int = PUSHES_A_MINUTE
    sender_name: str | None = None
    reply_to: str | None = None

    def change(self, command: UpdateNotificationPolicy) -> None:
        """Settle something anew.

        Raises: InvalidInput, ConcurrentModification.
        """
        self.expect_version(command.expected_version)
        limit, name, reply_to = command.push_per_minute_limit, command.sender_name, command.reply_to
        if not isinstance(limit, Unchanged) and not (limit and 1 <= limit <= MOST_PUSHES_A_MINUTE):
            raise InvalidInput(field="pushPerMinuteLimit", reason=f"it lies between 1 and {MOST_PUSHES_A_MINUTE}")
        name = name if isinstance(name, Unchanged) else _name(name)
        reply_to = reply_to if isinstance(reply_to, Unchanged) else _address(reply_to)
        self.push_per_minute_limit = self.push_per_minute_limit if isinstance(limit, Unchanged) else limit
        self.sender_name = self.sender_name if isinstance(name, Unchanged) else name
        self.reply_to = self.reply_to if isinstance(reply_to, Unchanged) else reply_to
        changed = NotificationPolicyChanged(
            push_per_minute_limit=self.push_per_minute_limit, sender_name=self.sender_name
        )
        self.record(changed)


def _name(value: str | None) -> str | None:
    text = (value or "").strip()
    if len(text) > LONGEST_NAME or not text.isprintable():
        raise InvalidInput(field="senderName", reason=f"it is one line of at most {LONGEST_NAME} characters")
    return text or None


def _address(value: str | None) -> str | None:
    if not value:
        return None
    try:
        return validate_email(value.strip(), check_deliverability=False, test_environment=True).normalized
    except EmailNotValidError as error:
        raise InvalidInput(field="replyTo", reason="it is not an e-mail address") from error


class NotificationPolicies(Protocol):
    """The tenant's policy; one that was never changed is made of the defaults."""

    async def current(self, tenant_id: UUID) -> NotificationPolicy: ...

    async def lock_or_create(self, tenant_id: UUID) -> NotificationPolicy: ...


async def update_notification_policy(
    command: UpdateNotificationPolicy, work: Work, policies: NotificationPolicies
) -> NotificationPolicy:
    policy = await policies.lock_or_create(work.tenant_id)
    policy.change(command)
    return policy
