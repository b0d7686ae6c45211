"""Where conversations and messages stand, and the ways between."""

from enum import StrEnum

from domain.kernel import Transitions


class ConversationType(StrEnum):
    """Whom a buyer talks to: a seller, or the tenant's support."""

    DIRECT = "direct"
    SUPPORT = "support"


class ConversationState(StrEnum):
    """Whether a conversation goes on."""

    OPEN = "open"
    ARCHIVED = "archived"
    CLOSED = "closed"


class Side(StrEnum):
    """Who speaks: the buyer, or somebody for the store or the support."""

    BUYER = "buyer"
    STAFF = "staff"


class MessageState(StrEnum):
    """How far a message has come on its way to the other side."""

    SENT = "sent"
    DELIVERED = "delivered"
    READ = "read"
    BLOCKED = "blocked"


class Moderation(StrEnum):
    """What is thought of a message: held ones are seen by their sender and by moderators, blocked ones alike."""

    CLEAR = "clear"
    HELD = "held"
    REPORTED = "reported"
    APPROVED = "approved"
    BLOCKED = "blocked"


class Decision(StrEnum):
    """What a moderator says about a message."""

    APPROVE = "approve"
    BLOCK = "block"


UNSEEN = frozenset({Moderation.HELD, Moderation.BLOCKED})

# A message to an archived conversation opens it again.
CONVERSATION_STATES = Transitions(
    "Conversation",
    ConversationState.OPEN,
    {
        ConversationState.OPEN: {ConversationState.ARCHIVED, ConversationState.CLOSED},
        ConversationState.ARCHIVED: {ConversationState.OPEN, ConversationState.CLOSED},
        ConversationState.CLOSED: set(),
    },
)

MESSAGE_STATES = Transitions(
    "Message",
    MessageState.SENT,
    {
        MessageState.SENT: {MessageState.DELIVERED, MessageState.READ, MessageState.BLOCKED},
        MessageState.DELIVERED: {MessageState.READ, MessageState.BLOCKED},
        MessageState.READ: {MessageState.BLOCKED},
        MessageState.BLOCKED: set(),
    },
)

MODERATION = Transitions(
    "Message",
    Moderation.CLEAR,
    {
        Moderation.CLEAR: {Moderation.HELD, Moderation.REPORTED, Moderation.BLOCKED},
        Moderation.HELD: {Moderation.APPROVED, Moderation.BLOCKED},
        Moderation.REPORTED: {Moderation.APPROVED, Moderation.BLOCKED},
        Moderation.APPROVED: {Moderation.BLOCKED},
        Moderation.BLOCKED: set(),
    },
)
