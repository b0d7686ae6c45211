"""What the root fields around logging in by providers are called with."""

from typing import Any

from tests.schema.keys import Key, taking

OWN = Key("own_provider")
BACK = "http://127.0.0.1/back"
# Telegram is asked nothing on the way, so that no call waits for anybody.
RETURN = {
    "provider": "telegram",
    "code": "nobody signed this",
    "state": Key("login_state"),
    "binding": Key("login_binding"),
}
SETTINGS = {"title": "Acme", "issuer": "https://id.example", "clientId": "agora"}

RECIPES: dict[str, dict[str, Any] | list[dict[str, Any]]] = {
    "beginSocialLogin": [{"provider": "telegram", "redirectUri": BACK}, {"provider": OWN, "redirectUri": BACK}],
    "socialLogin": RETURN,
    "linkSocialIdentity": RETURN,
    "unlinkSocialIdentity": taking(id=Key("external_identity")),
    "configureSingleSignOn": [
        taking(name="further", clientSecret="not told", **SETTINGS),
        taking(name="further", clientSecret="not told", roles=[{"group": "desk", "role": Key("role")}], **SETTINGS),
    ],
    "removeSingleSignOn": taking(provider=OWN),
}

# Paths that look as if they named something of a tenant, and do not.
NOT_OWNED = {
    f"{field}.code": "the provider's own word; nothing is looked up by it"
    for field in ("socialLogin", "linkSocialIdentity")
}
