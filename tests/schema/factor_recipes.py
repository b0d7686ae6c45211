"""What the root fields of second factors, codes and devices are called with."""

from typing import Any

from tests.schema.keys import Key, taking

NO_CREDENTIAL: dict[str, Any] = {"id": "none"}
STRONG = "a long enough password"

RECIPES: dict[str, dict[str, Any] | list[dict[str, Any]]] = {
    "completeLogin": {"challenge": "x" * 43, "code": "000000"},
    "enableTwoFactor": {"code": "000000"},
    "disableTwoFactor": {"code": "000000"},
    "renewRecoveryCodes": {"code": "000000"},
    "addPasskey": {"challenge": "x" * 43, "credential": NO_CREDENTIAL, "name": "Phone"},
    "loginWithPasskey": {"challenge": "x" * 43, "credential": NO_CREDENTIAL},
    "renamePasskey": taking(id=Key("passkey"), name="Phone"),
    "deletePasskey": taking(id=Key("passkey")),
    "renameSession": taking(id=Key("session"), deviceName="Phone"),
    "updateSignInPolicy": taking(secondFactorRoles=[Key("role")]),
    "requestOtp": {"email": Key("email"), "purpose": "LOGIN"},
    "verifyOtp": {"email": Key("email"), "code": "000000", "purpose": "VERIFICATION"},
    "loginWithOtp": {"email": Key("email"), "code": "000000"},
    "verifyEmail": {"email": Key("email"), "code": "000000"},
    "verifyPhone": {"code": "000000"},
    "requestPasswordReset": {"email": Key("email")},
    "resetPassword": {"token": Key("reset_token"), "newPassword": STRONG},
}

_TYPED = "what a person types: it is compared with what their own account was sent or shown, and finds nothing"
NOT_OWNED = {
    f"{name}.code": _TYPED
    for name in (
        "completeLogin", "enableTwoFactor", "disableTwoFactor", "renewRecoveryCodes", "verifyOtp", "loginWithOtp",
        "verifyEmail", "verifyPhone",
    )
}  # fmt: skip
