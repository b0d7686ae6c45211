"""Encryption of a whole archive with a passphrase, piece by piece, so that it can be written as a stream and read anywhere.

Each piece is AES-256-GCM under a key of this archive alone; its nonce is the piece's number and whether it is the last, so
that no piece can be left out, exchanged or cut off unnoticed.

Source: the STREAM construction of Hoang, Reyhanitabar, Rogaway, Vizár, "Online Authenticated-Encryption and its Nonce-Reuse
Misuse-Resistance" (CRYPTO 2015); RFC 7914 (scrypt).
"""

import io
import os
import secrets
from typing import BinaryIO

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from data.backup.errors import BackupError

MAGIC = b"agora sealed backup 1\n"
SALT_BYTES, TAG_BYTES = 16, 16
PIECE_BYTES = 256 * 1024
HEADER_BYTES = len(MAGIC) + SALT_BYTES
COST = 2**15  # 32 MB and a tenth of a second for each guess.


def sealed(raw: BinaryIO, passphrase: str) -> BinaryIO:
    """Give a stream whose bytes are written encrypted; closing it writes the last piece and leaves `raw` open."""
    return _Sealing(raw, passphrase)  # type: ignore[return-value]


def opened(raw: BinaryIO, passphrase: str | None) -> BinaryIO:
    """Give the stream as it was before sealing; one that was not sealed is given back as it is.

    Raises: BackupError where it is sealed and no passphrase, or another one, is given.
    """
    is_sealed = raw.read(len(MAGIC)) == MAGIC
    raw.seek(0)
    if not is_sealed:
        return raw
    if not passphrase:
        raise BackupError("The backup is encrypted; give its passphrase with --passphrase-file.")
    return io.BufferedReader(_Opening(raw, passphrase), PIECE_BYTES)


def _cipher(passphrase: str, salt: bytes) -> AESGCM:
    return AESGCM(Scrypt(salt=salt, length=32, n=COST, r=8, p=1).derive(passphrase.encode()))


def _nonce(number: int, *, last: bool) -> bytes:
    return number.to_bytes(11, "big") + bytes([last])


class _Sealing(io.RawIOBase):
    def __init__(self, raw: BinaryIO, passphrase: str) -> None:
        salt = secrets.token_bytes(SALT_BYTES)
        self._raw, self._header = raw, MAGIC + salt
        self._cipher = _cipher(passphrase, salt)
        self._held = bytearray()
        self._number = 0
        raw.write(self._header)

    def writable(self) -> bool:
        return True

    def write(self, content: bytes) -> int:  # type: ignore[override]
        self._held += content
        # The last piece is known as such only when nothing follows it.
        while len(self._held) > PIECE_BYTES:
            self._put(bytes(self._held[:PIECE_BYTES]), last=False)
            del self._held[:PIECE_BYTES]
        return len(content)

    def close(self) -> None:
        if not self.closed:
            self._put(bytes(self._held), last=True)
        super().close()

    def _put(self, piece: bytes, *, last: bool) -> None:
        self._raw.write(self._cipher.encrypt(_nonce(self._number, last=last), piece, self._header))
        self._number += 1


class _Opening(io.RawIOBase):
    def __init__(self, raw: BinaryIO, passphrase: str) -> None:
        self._raw = raw
        self._header = raw.read(HEADER_BYTES)
        self._cipher = _cipher(passphrase, self._header[len(MAGIC) :])
        stored = raw.seek(0, os.SEEK_END) - HEADER_BYTES
        self._pieces = max(1, -(-stored // (PIECE_BYTES + TAG_BYTES)))
        self._size = stored - self._pieces * TAG_BYTES
        self._at = 0
        self._known: tuple[int, bytes] = (-1, b"")
        self._piece(0)

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        self._at = offset + {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._size}[whence]
        return self._at

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        if self._at >= self._size:
            return 0
        number, start = divmod(self._at, PIECE_BYTES)
        found = self._piece(number)[start : start + len(buffer)]
        buffer[: len(found)] = found
        self._at += len(found)
        return len(found)

    def _piece(self, number: int) -> bytes:
        if self._known[0] != number:
            self._raw.seek(HEADER_BYTES + number * (PIECE_BYTES + TAG_BYTES))
            content = self._raw.read(PIECE_BYTES + TAG_BYTES)
            nonce = _nonce(number, last=number == self._pieces - 1)
            try:
                self._known = number, self._cipher.decrypt(nonce, content, self._header)
            except InvalidTag:
                raise BackupError("The passphrase is wrong, or the backup is damaged.") from None
        return self._known[1]
