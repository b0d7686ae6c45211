"""What is said in a marketplace, and what the operations of messaging are called with."""

from dataclasses import replace
from typing import Any
from uuid import UUID

from domain.kernel import uuid7
from tests.schema.keys import PRODUCT, STORE, Fresh, Key, taking

CONVERSATION, MESSAGE, READER = Key("conversation"), Key("message"), Key("reader")
_UP_TO = {"conversationId": CONVERSATION, "upTo": MESSAGE}
_SAID = {"clientId": Fresh("word"), "body": "A lamp?"}

RECIPES: dict[str, dict[str, Any] | list[dict[str, Any]]] = {
    "conversation": {"id": CONVERSATION},
    "messages": {"conversationId": CONVERSATION},
    "startConversation": [
        taking(productId=PRODUCT),
        taking(orderId=Key("order"), storeId=STORE),
        taking(orderId=Key("order"), support=True),
    ],
    "sendMessage": [
        taking(conversationId=CONVERSATION, **_SAID),
        taking(conversationId=CONVERSATION, **_SAID, attachmentIds=[Key("attachment")]),
    ],
    "markMessagesDelivered": taking(**_UP_TO),
    "markMessagesRead": taking(**_UP_TO),
    "archiveConversation": taking(id=CONVERSATION),
    "closeConversation": taking(id=CONVERSATION),
    "reportMessage": taking(id=MESSAGE, reason="It is rude."),
    "moderateMessage": taking(id=MESSAGE, decision="BLOCK"),
    "blockParticipant": taking(conversationId=CONVERSATION, userId=READER),
    "unblockParticipant": taking(conversationId=CONVERSATION, userId=READER),
    "setTyping": taking(conversationId=CONVERSATION),
    "requestAttachmentUpload": taking(conversationId=CONVERSATION, name="lamp.png"),
    "messageReceived": {"conversationId": CONVERSATION},
    "messageStatusChanged": {"conversationId": CONVERSATION},
    "typing": {"conversationId": CONVERSATION},
    "presence": {"userId": READER},
}


async def talked_in(market: Any) -> None:
    """Let the reader ask the seller of the lamp, with a file that is asked for and not sent."""
    reader = replace(market.admin, user_id=UUID(market.keys["reader"]), permissions=frozenset())
    started = await market.make("startConversation", reader, productId=market.keys["product"])
    said = {"conversationId": started["id"], "clientId": uuid7().hex}
    asked = await market.make("sendMessage", reader, **said, body="Does it shine?")
    await market.make("sendMessage", **said, body="It does.")
    upload = await market.make("requestAttachmentUpload", conversationId=started["id"], name="lamp.png")
    market.keys |= {
        "conversation": started["id"],
        "message": asked["id"],
        "attachment": upload["attachmentId"],
    }
