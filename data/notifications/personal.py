"""What notifications hold about people."""

from data.notifications.tables import (
    broadcast,
    broadcast_audit,
    broadcast_message,
    broadcast_segment,
    communication_preference,
    inbox,
    message_template,
    notification,
    policy,
    push_slot,
    push_subscription,
    recipient,
    template_version,
    unsubscribe_entry,
)
from data.personal import Category, erased, kept, neutral

# Before the letters go, for they know under which address the person was written to.
kept(
    unsubscribe_entry,
    "address IN (SELECT address FROM notifications.notification WHERE tenant_id = :tenant AND user_id = $1)",
    reason="an address that asked not to be written to stays on the list",
    address=Category.CONTACT,
)
erased(
    notification,
    address=Category.CONTACT,
    data=Category.BEHAVIOUR,
    subject=Category.BEHAVIOUR,
    text=Category.BEHAVIOUR,
    timezone=Category.LOCATION,
    locale=Category.BEHAVIOUR,
)
erased(communication_preference, choices=Category.BEHAVIOUR, quiet=Category.BEHAVIOUR)
erased(inbox)
erased(push_slot)
erased(push_subscription, endpoint=Category.DEVICE, p256dh=Category.SECRET, auth=Category.SECRET)
erased(recipient, locale=Category.BEHAVIOUR, roles=Category.IDENTITY)
kept(broadcast, "created_by = $1", reason="who wrote to everybody is evidence")
kept(broadcast_audit, "actor_id = $1", reason="who wrote to everybody is evidence")
neutral(broadcast, "name")
neutral(broadcast_audit, "data")
neutral(broadcast_message, "subject", "text")
neutral(broadcast_segment, "name")
neutral(message_template, "subject", "text")
neutral(notification, "hold_reason")
neutral(policy, "sender_name", "reply_to")
neutral(template_version, "subject", "text")
neutral(unsubscribe_entry, "reason")
