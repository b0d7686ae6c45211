"""What the root fields of live commerce are called with."""

from typing import Any

from tests.schema.keys import CAD, PRODUCT, SKU, USER, Fresh, Key, keyed, taking

SESSION, STUDIO, READY = Key("live_session"), Key("studio"), Key("ready_session")
SPAN = {"since": "2026-01-01T00:00:00Z", "until": "2026-01-02T00:00:00Z"}
ANNOUNCED = {"title": "Lamps, live", "scheduledFor": "2099-01-01T00:00:00Z"}

RECIPES: dict[str, dict[str, Any] | list[dict[str, Any]]] = {
    "liveSession": {"id": SESSION},
    "liveSessions": {"hostId": USER},
    "liveChat": {"sessionId": SESSION},
    "liveSessionReport": {"id": SESSION},
    "studioAvailability": SPAN,
    "createStudio": taking(name=Fresh("Room ")),
    "scheduleLiveSession": taking(**ANNOUNCED, studioId=STUDIO, skus=[SKU], hostId=USER),
    "startLiveSession": keyed(sessionId=READY),
    "goLive": taking(sessionId=SESSION),
    "pinProduct": taking(sessionId=SESSION, productId=PRODUCT),
    "startLiveFlashSale": taking(sessionId=SESSION, items=[{"sku": SKU, "price": CAD, "stockLimit": 1}]),
    "sendLiveChat": taking(sessionId=SESSION, body="hello"),
    "sendReaction": taking(sessionId=SESSION, kind="HEART"),
    "banLiveViewer": taking(sessionId=SESSION, userId=Key("reader")),
    "endLiveSession": taking(sessionId=READY),
    "cancelLiveSession": taking(sessionId=READY),
    "liveSessionUpdated": {"id": SESSION},
    "liveChatReceived": {"id": SESSION, "after": "0"},
    "pinnedProductChanged": {"id": SESSION},
    "liveFlashSale": {"id": SESSION},
    "liveReactions": {"id": SESSION},
}
