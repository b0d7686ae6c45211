"""Secrets sealed or digested with keys of the installation, and the marks by which a device is known again."""

import base64
import hmac
import secrets
from hashlib import sha256
from uuid import UUID

from data.encryption import AesCipher

DEVICE_BYTES = 16


class KeyedSecrets(AesCipher):
    """The domain's `Secrets`: what is sealed opens with the key of encrypted settings, what is digested has a key of its own."""

    def __init__(self, cipher_key: bytes, digest_key: bytes) -> None:
        super().__init__([cipher_key])
        self._digest_key = digest_key

    def digest(self, text: str, place: str) -> bytes:
        """Digest a secret that is too short for a plain hash: without the key nobody finds it by trying."""
        return hmac.digest(self._digest_key, f"{place}\n{text}".encode("utf-8", "surrogatepass"), sha256)


class SignedDeviceTokens:
    """The domain's `DeviceTokens`: a random name and a signature that binds it to an account.

    Source: OWASP, Slow Down Online Guessing Attacks with Device Cookies.
    """

    def __init__(self, key: bytes) -> None:
        self._key = key

    def issue(self, tenant_id: UUID, account: str) -> str:
        name = secrets.token_hex(DEVICE_BYTES)
        return f"{name}.{self._signature(name, tenant_id, account)}"

    def device_of(self, token: str, tenant_id: UUID, account: str) -> str | None:
        name, _, signature = token.partition(".")
        good = hmac.compare_digest(
            signature.encode("utf-8", "surrogatepass"), self._signature(name, tenant_id, account).encode()
        )
        return name if good else None

    def _signature(self, name: str, tenant_id: UUID, account: str) -> str:
        text = f"{tenant_id}\n{account}\n{name}".encode("utf-8", "surrogatepass")
        return base64.urlsafe_b64encode(hmac.digest(self._key, text, sha256)).rstrip(b"=").decode()
