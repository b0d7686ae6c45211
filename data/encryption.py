"""Authenticated encryption of secrets at rest: AES-256-GCM, bound to the place that a secret belongs to."""

import base64
import binascii
import hashlib
import os
from collections.abc import Sequence

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

FORMAT = "v1"
KEY_BYTES = 32
NONCE_BYTES = 12


class SecretUnreadable(Exception):
    """A ciphertext was altered, was moved to another place, or none of the keys opens it."""


class AesCipher:
    """Implements the domain's `Cipher`; encrypts with the first key and decrypts with any of them.

    A ciphertext reads `v1.<key id>.<nonce and sealed text, base64url>`. To rotate the key, put the new one in front,
    let `rotate` rewrite what is stored, then drop the old one.
    Source: NIST SP 800-38D, 96-bit random nonces (fewer than 2^32 texts per key).
    """

    def __init__(self, keys: Sequence[bytes]) -> None:
        if not keys or any(len(key) != KEY_BYTES for key in keys):
            raise ValueError(f"at least one key of {KEY_BYTES} bytes is needed")
        self._current = _key_id(keys[0])
        self._keys = {_key_id(key): AESGCM(key) for key in keys}

    def encrypt(self, text: str, place: str) -> str:
        """Seal a text."""
        nonce = os.urandom(NONCE_BYTES)
        sealed = self._keys[self._current].encrypt(nonce, text.encode(), place.encode())
        return f"{FORMAT}.{self._current}.{base64.urlsafe_b64encode(nonce + sealed).decode()}"

    def decrypt(self, sealed: str, place: str) -> str:
        """Open what `encrypt` sealed for the same place.

        Raises: SecretUnreadable.
        """
        try:
            version, key_id, body = sealed.split(".")
            raw = base64.b64decode(body, altchars=b"-_", validate=True)
            if version != FORMAT:
                raise SecretUnreadable(f"the format {version} is not known")
            opened = self._keys[key_id].decrypt(raw[:NONCE_BYTES], raw[NONCE_BYTES:], place.encode())
        except (ValueError, KeyError, binascii.Error, InvalidTag) as error:
            raise SecretUnreadable("the secret was altered, was moved, or its key is gone") from error
        return opened.decode()

    def is_current(self, sealed: str) -> bool:
        """Say whether a text was sealed with the first key."""
        return sealed.startswith(f"{FORMAT}.{self._current}.")

    def rotate(self, sealed: str, place: str) -> str:
        """Seal a text anew with the first key.

        Raises: SecretUnreadable.
        """
        return sealed if self.is_current(sealed) else self.encrypt(self.decrypt(sealed, place), place)


def _key_id(key: bytes) -> str:
    # Derived keys are uniformly random, so eight digits of a digest name one and tell nothing about it.
    return hashlib.sha256(b"agora key id" + key).hexdigest()[:8]
