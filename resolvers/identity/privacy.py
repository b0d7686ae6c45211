"""What people ask about what is held of them, and what those in charge of privacy ask for them."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from domain.identity import erasing, exporting
from domain.identity.privacy import DataExport, Erasure, ExportState, ExportTickets, PrivacyReads
from domain.paging import Page, PageRequest
from resolvers.identity.door import checked_again
from resolvers.kernel import Context, transacts

export_user_data = transacts(exporting.export_user_data)
erase_user = transacts(erasing.erase_user)
cancel_erasure = transacts(erasing.cancel_erasure)


async def request_data_export(context: Context) -> DataExport:
    """Have a copy made of what is held about whoever asks."""
    return await context.transact(exporting.request_data_export, exporting.RequestDataExport())


async def request_erasure(context: Context, password: str) -> Erasure:
    """Ask to be erased; the password proves that it is the person, and not just a session left open."""
    async with checked_again(context, password) as credentials:
        command = erasing.RequestErasure(password_hash=credentials.password_hash)
        return await context.transact(erasing.request_erasure, command)


async def my_data_exports(context: Context) -> Sequence[Any]:
    return await context.read(PrivacyReads).exports(context.principal.require_user())


async def my_erasure(context: Context) -> Any | None:
    return await context.read(PrivacyReads).erasure(context.principal.require_user())


async def erasures(context: Context, page: PageRequest) -> Page[Any]:
    return await context.read(PrivacyReads).erasures(page)


def link_to(export: Any, context: Context) -> str | None:
    """Give where the person, and nobody else, can fetch an export for a while."""
    caller = context.principal
    if export.state != ExportState.READY or export.user_id != caller.user_id or caller.impersonator_id:
        return None
    return context.service(ExportTickets).issue(export)


def person_of(erasure: Any, _context: Context) -> UUID:
    return UUID(str(erasure.user_id))
