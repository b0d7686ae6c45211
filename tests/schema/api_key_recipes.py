"""What the root fields about API keys are called with."""

from typing import Any

from tests.schema.keys import STORE, USER, Fresh, Key

API_KEY = Key("api_key")

RECIPES: dict[str, dict[str, Any] | list[dict[str, Any]]] = {
    "apiKeys": {"userId": USER},
    "createApiKey": {"name": Fresh("word"), "scopes": ["catalog.write"], "storeIds": [STORE]},
    "rotateApiKey": {"id": API_KEY},
    "revokeApiKey": {"id": API_KEY},
}
