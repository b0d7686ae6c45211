"""What messaging holds about people."""

from data.messaging.tables import attachment, block, conversation, correspondent, inbox_entry, message, report
from data.personal import Category, blanked, erased, files, kept

_OTHERS = "the conversation is the other party's as well"

files(
    "messaging",
    """SELECT replace(tenant_id::text, '-', '') || '/messaging/' || replace(id::text, '-', '') || suffix AS key
    FROM messaging.attachment, unnest(ARRAY['', '.thumbnail']) AS suffix WHERE uploader_id = $1""",
)
blanked(
    attachment,
    "uploader_id = $1",
    {"name": (Category.WORDS, "'[erased]'")},
    reason=_OTHERS,
)
blanked(
    message,
    "sender_id = $1",
    {"body": (Category.WORDS, "'[erased]'"), "attachments": (Category.WORDS, "'[]'")},
    reason=_OTHERS,
)
blanked(
    report,
    "reporter_id = $1",
    {"reason": (Category.WORDS, "'[erased]'")},
    reason="what was reported has to be decided",
)
kept(conversation, "buyer_id = $1 OR seller_id = $1 OR $1 = ANY(staff_ids)", reason=_OTHERS)
erased(correspondent, recent=Category.BEHAVIOUR)
erased(inbox_entry, read_position=Category.BEHAVIOUR)
erased(block, "blocker_id = $1 OR blocked_id = $1")
