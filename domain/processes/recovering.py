"""Sending one-time codes and links: made here, when they go out, and sealed until they are handed over."""

from uuid import UUID

from domain.identity.codes import OneTimeCode, OneTimeCodes, OtpPurpose, RequestCode
from domain.identity.contacts import Contacts
from domain.identity.factors import Secrets
from domain.identity.guarding import account_subject
from domain.identity.sessions import AccessPolicy
from domain.identity.sign_in_policy import SignInPolicies, asked_of
from domain.identity.users import ContactKind, User, Users
from domain.kernel import Envelope, Subscriptions, Work
from domain.notifications import (
    KINDS,
    Addressee,
    Channel,
    Notifications,
    message_to,
    place_of,
)
from domain.processes.addressing import addressees
from domain.tenancy import Tenants

CHANNELS = {ContactKind.EMAIL: Channel.EMAIL, ContactKind.PHONE: Channel.SMS}

subscriptions = Subscriptions("notifications")


@subscriptions.on("identity.code_requested")
async def send_code(
    envelope: Envelope,
    work: Work,
    codes: OneTimeCodes,
    users: Users,
    vault: Secrets,
    contacts: Contacts,
    tenants: Tenants,
    notifications: Notifications,
) -> None:
    """Make the code that was asked for and send it; one that another has taken the place of is not made."""
    code = await codes.get(envelope.aggregate_id)
    if code is None or code.user_id is None:
        return
    user = await users.get(code.user_id)
    people = await addressees([user.id], work, contacts, tenants)
    channel = CHANNELS[code.contact]
    if not people or channel not in people[0].reachable or not _may_be_sent(code, user):
        return
    clear = code.make(vault, work.now)
    if clear is not None:
        await _send(code, clear, people[0], channel, str(envelope.event_id), work, vault, notifications)


def _may_be_sent(code: OneTimeCode, user: User) -> bool:
    """Say whether the way is one that proves anything: a number opens no account before it was confirmed."""
    unproven = code.contact is ContactKind.PHONE and user.phone_verified_at is None
    return not unproven or code.purpose is OtpPurpose.VERIFICATION


async def _send(
    code: OneTimeCode,
    clear: str,
    person: Addressee,
    channel: Channel,
    occasion: str,
    work: Work,
    vault: Secrets,
    notifications: Notifications,
) -> None:
    # Whoever asked for a code wants it, whatever they want else, and in no other place than the one that it proves.
    kind = KINDS["password_reset" if code.by_link else "one_time_code"]
    (secret,) = kind.sealed
    about = {
        secret: vault.encrypt(clear, place_of(work.tenant_id, kind.code)),
        "minutes": round((code.expires_at - code.requested_at).total_seconds() / 60),
    }
    await notifications.queue([message_to(person, channel, kind, occasion, about, work)])


@subscriptions.on("user.registered", "identity.registration_repeated")
async def ask_to_confirm(
    envelope: Envelope,
    work: Work,
    users: Users,
    codes: OneTimeCodes,
    policies: SignInPolicies,
    policy: AccessPolicy,
) -> None:
    """Have whoever registered confirm the address, where that is asked for; who has a code already gets no other."""
    asked = await asked_of(work, policies, confirm_email=policy.confirm_email)
    if not asked.confirm_email:
        return
    user = await users.get(UUID(str(envelope.data["user_id"])))
    live = await codes.find(account_subject(user.email), OtpPurpose.VERIFICATION)
    if user.email_verified_at is None and (live is None or work.now >= live.expires_at):
        wanted = RequestCode(email=user.email, purpose=OtpPurpose.VERIFICATION)
        await codes.replace(OneTimeCode.ask(wanted, user.id, work, policy))
