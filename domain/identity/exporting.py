"""Giving people what is held about them, as a file that programs can read."""

import io
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import orjson

from domain.identity.administration import subordinate
from domain.identity.privacy import DataExport, DataExports, ExportState, PersonalData, PrivacyPolicy
from domain.identity.roles import Roles
from domain.identity.text import clean
from domain.identity.users import Users
from domain.jobs import JobQueue, Jobs
from domain.kernel import NotFound, Work
from domain.objects import ObjectStore, object_key

MAKE = "identity.make_export"
EXPIRE = "identity.expire_export"
CONTENT_TYPE = "application/zip"

jobs = Jobs()


@dataclass(frozen=True, kw_only=True)
class RequestDataExport:
    """Ask for a copy of what is held about oneself."""


@dataclass(frozen=True, kw_only=True)
class ExportUserData:
    """Have a copy made for a user, who alone can fetch it."""

    user_id: UUID
    reason: str


def export_key(tenant_id: UUID, export_id: UUID) -> str:
    """Name the object that an export is."""
    return object_key(tenant_id, "identity", f"exports/{export_id.hex}")


async def request_data_export(
    command: RequestDataExport,  # noqa: ARG001 — a handler's first argument is its command.
    work: Work,
    exports: DataExports,
    queue: JobQueue,
) -> DataExport:
    return await _ask(DataExport.request(work.actor.require_user(), None, work), exports, queue)


async def export_user_data(
    command: ExportUserData, work: Work, users: Users, roles: Roles, exports: DataExports, queue: JobQueue
) -> DataExport:
    user = await subordinate(command.user_id, work.actor, users, roles)
    reason = clean("reason", command.reason, longest=500)
    return await _ask(DataExport.request(user.id, reason, work), exports, queue)


async def _ask(export: DataExport, exports: DataExports, queue: JobQueue) -> DataExport:
    exports.add(export)
    await queue.defer(MAKE, {"export_id": str(export.id)}, key=str(export.id))
    return export


@jobs.on(MAKE)
async def make_export(
    payload: Mapping[str, Any],
    work: Work,
    exports: DataExports,
    personal: PersonalData,
    store: ObjectStore,
    policy: PrivacyPolicy,
    queue: JobQueue,
) -> None:
    """Write the file, then say so; a repetition writes it again."""
    export = await _existing(payload, exports)
    if export.state is not ExportState.REQUESTED:
        return
    parts = {name: await personal.collect(name, export.user_id) for name in personal.contexts()}
    content = packed(parts, export.user_id, work.now)
    await store.put(export_key(work.tenant_id, export.id), content, content_type=CONTENT_TYPE)
    export.finish(len(content), policy.export_lifetime, work.now)
    await queue.defer(EXPIRE, {"export_id": str(export.id)}, at=export.expires_at, key=str(export.id))


@jobs.on(EXPIRE)
async def expire_export(payload: Mapping[str, Any], work: Work, exports: DataExports, store: ObjectStore) -> None:
    export = await _existing(payload, exports)
    await store.delete([export_key(work.tenant_id, export.id)])
    if export.state is ExportState.READY:
        export.expire()


async def _existing(payload: Mapping[str, Any], exports: DataExports) -> DataExport:
    export = await exports.lock(UUID(payload["export_id"]))
    if export is None:
        raise NotFound(kind="DataExport", id=str(payload["export_id"]))
    return export


def packed(parts: Mapping[str, Mapping[str, Any]], user_id: UUID, now: datetime) -> bytes:
    """Pack a file of JSON per context and an index of them into a ZIP."""
    packed_parts = {name: tables for name, tables in parts.items() if any(tables.values())}
    index = {
        "user_id": user_id,
        "made_at": now,
        "files": {
            f"{name}.json": {table: len(rows) for table, rows in tables.items()}
            for name, tables in packed_parts.items()
        },
    }
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("index.json", _json(index))
        for name, tables in packed_parts.items():
            archive.writestr(f"{name}.json", _json(tables))
    return written.getvalue()


def _json(value: Any) -> bytes:
    return orjson.dumps(value, default=str, option=orjson.OPT_INDENT_2)
