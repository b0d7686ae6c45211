"""Second factors in a marketplace: a passkey of its administrator, and a link that sets a password."""

from datetime import UTC, datetime
from typing import Any

from domain.identity.codes import OneTimeCode, OneTimeCodes, OtpPurpose, RequestCode
from domain.identity.factors import Secrets
from domain.identity.passkeys import RelyingParties
from domain.identity.sessions import AccessPolicy
from domain.identity.users import Users
from domain.kernel import Work
from tests.schema.identity.factors import SoftKey


async def make_link(command: RequestCode, work: Work, users: Users, codes: OneTimeCodes, vault: Secrets) -> str:
    """Make a link at once, as whoever sends it would."""
    owner = await users.credentials(command.email)
    assert owner is not None
    code = OneTimeCode.ask(command, owner.user_id, work, AccessPolicy())
    await codes.replace(code)
    return str(code.make(vault, work.now))


async def secured_in(market: Any) -> None:
    """Give the administrator of a marketplace a passkey and a link, and remember their keys."""
    begun = await market.do("beginPasskey")
    party = await market.services.by_port[RelyingParties].at(market.tenant_id, None)
    credential = SoftKey(rp_id=party.id, origin=party.origins[0]).make(begun["options"])
    made = await market.do("addPasskey", challenge=begun["challenge"], credential=credential, name="Phone")
    command = RequestCode(email=market.keys["email"], purpose=OtpPurpose.PASSWORD_RESET, by_link=True)
    work = Work(tenant_id=market.tenant_id, actor=market.admin, now=datetime.now(UTC), correlation_id="marketplace")
    token = await market.services.transactions.run(make_link, command, work)
    market.keys |= {"passkey": made["id"], "reset_token": token}
