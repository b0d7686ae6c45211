"""What people ask about what is held of them."""

from datetime import datetime
from uuid import UUID

import strawberry

from domain.identity import privacy as domain
from domain.identity.guarding import TooManyAttempts
from domain.identity.login import InvalidCredentials
from domain.kernel import AlreadyExists, Forbidden, InvalidStateTransition, Unavailable
from resolvers.identity import privacy
from schema.inputs import enum_of
from schema.kernel import AUTHENTICATED, action, command, computed, connection, in_person, in_session, permission, query
from schema.scalars import JSON, BigInt

PRIVACY = permission(domain.PRIVACY)

enum_of(domain.ExportState)
enum_of(domain.ErasureState)


@strawberry.type(description="A copy of what is held about a person: JSON by context, in a ZIP.")
class DataExport:
    __reads__ = (domain.DataExport,)

    id: UUID
    state: domain.ExportState
    size_bytes: BigInt | None
    requested_at: datetime
    ready_at: datetime | None
    expires_at: datetime | None
    link = computed(
        privacy.link_to, str | None, description="Where to fetch it within minutes; only the person is told."
    )


@strawberry.type(description="The erasure of a person; until it is due it can be taken back.")
class Erasure:
    __reads__ = (domain.Erasure,)

    id: UUID
    user_id: UUID
    state: domain.ErasureState
    requested_at: datetime
    due_at: datetime
    completed_at: datetime | None
    done: JSON = strawberry.field(description="The contexts that have let go, with how many rows that touched.")


@strawberry.type
class PrivacyQuery:
    """What people can ask about what is held of them."""

    my_data_exports = query(privacy.my_data_exports, list[DataExport], who=AUTHENTICATED)
    my_erasure = query(privacy.my_erasure, Erasure | None, who=AUTHENTICATED)
    erasures = query(privacy.erasures, connection(Erasure), who=PRIVACY)


@strawberry.type
class PrivacyMutation:
    """What people can do about what is held of them."""

    request_data_export = action(
        privacy.request_data_export,
        DataExport,
        who=in_session(in_person(AUTHENTICATED)),
        result="RequestDataExportResult",
    )
    request_erasure = action(
        privacy.request_erasure,
        Erasure,
        who=in_session(in_person(AUTHENTICATED)),
        result="RequestErasureResult",
        errors=[InvalidCredentials, TooManyAttempts, Unavailable, AlreadyExists, domain.ErasureHindered],
    )
    cancel_erasure = command(
        privacy.cancel_erasure, Erasure, who=in_session(in_person(AUTHENTICATED)), errors=[InvalidStateTransition]
    )
    export_user_data = command(
        privacy.export_user_data, DataExport, who=in_session(in_person(PRIVACY)), errors=[Forbidden]
    )
    erase_user = command(
        privacy.erase_user,
        Erasure,
        who=in_session(in_person(PRIVACY)),
        errors=[Forbidden, AlreadyExists, domain.ErasureHindered],
    )
