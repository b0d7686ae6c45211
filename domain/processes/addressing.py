"""Whom messages go to: users of identity, spoken to in their language and by the clock of their tenant."""

from collections.abc import Collection
from uuid import UUID

from domain.identity.contacts import Contact, Contacts
from domain.kernel import Work
from domain.notifications import Addressee, Channel
from domain.tenancy import Tenants


async def addressees(user_ids: Collection[UUID], work: Work, contacts: Contacts, tenants: Tenants) -> list[Addressee]:
    """Give those of the users who can be reached, in the order of their ids."""
    known = await contacts.of(user_ids) if user_ids else {}
    locale, timezone = await tenant_defaults(work, tenants) if known else ("", "")
    return [_addressee(known[each], locale, timezone) for each in sorted(known)]


async def guest(email: str, work: Work, tenants: Tenants) -> Addressee:
    """Give somebody of whom nothing but an e-mail address is known."""
    locale, timezone = await tenant_defaults(work, tenants)
    return Addressee(
        user_id=None, name=email.partition("@")[0], locale=locale, timezone=timezone, reachable={Channel.EMAIL: email}
    )


async def tenant_defaults(work: Work, tenants: Tenants) -> tuple[str, str]:
    """Give the language and the time zone of the tenant."""
    tenant = await tenants.get(work.tenant_id)
    return (tenant.locale, tenant.timezone) if tenant else ("en", "UTC")


def _addressee(contact: Contact, locale: str, timezone: str) -> Addressee:
    person = str(contact.user_id)
    letters = {Channel.EMAIL: contact.email} if contact.has_email else {}
    reachable = {**letters, Channel.PUSH: person, Channel.IN_APP: person}
    if contact.phone:
        reachable[Channel.SMS] = contact.phone
    return Addressee(
        user_id=contact.user_id,
        name=contact.name,
        locale=contact.locale or locale,
        timezone=timezone,
        reachable=reachable,
    )
