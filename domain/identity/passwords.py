"""What a password may be, and the port that keeps it."""

import unicodedata
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Protocol

from domain.kernel import DomainError, InvalidInput

MIN_PASSWORD = 8
MAX_PASSWORD = 128


@dataclass(eq=False)
class WeakPassword(DomainError):
    """The new password does not do."""

    reason: str
    template = "Choose another password: {reason}."


class PasswordHasher(Protocol):
    """Keeps passwords as hashes. Hashing is slow on purpose, so it runs aside, and only so many at a time."""

    async def hash(self, password: str) -> str:
        """Hash a normalised password.

        Raises: Unavailable when too many wait already.
        """
        ...

    async def verify(self, password_hash: str | None, password: str) -> bool:
        """Compare; without a hash a decoy is compared with, which takes as long and never fits.

        Raises: Unavailable when too many wait already.
        """
        ...

    def is_outdated(self, password_hash: str) -> bool:
        """Say whether the hash was made with other parameters than today's."""
        ...

    def in_turn(self, subject: str) -> AbstractAsyncContextManager[None]:
        """Let the attempts on one account pass one after another, so that a burst of right ones never looks wrong."""
        ...


class PasswordScreen(Protocol):
    """The passwords that are tried first by whoever guesses."""

    def reason_against(self, password: str) -> str | None:
        """Say why a normalised password will not do, in words that fit behind "choose another password"."""
        ...


def normalise_password(password: str) -> str:
    """Give the form that is hashed, the same from every keyboard.

    Raises: InvalidInput for what could never be a password here; the length is checked first, as hashing costs.
    Source: NIST SP 800-63B §3.1.1.2, NFKC.
    """
    if len(password) > MAX_PASSWORD:
        raise InvalidInput(field="password", reason=f"it is longer than {MAX_PASSWORD} characters")
    if any(unicodedata.category(each) in {"Cc", "Cs"} for each in password):
        raise InvalidInput(field="password", reason="it holds control characters")
    return unicodedata.normalize("NFKC", password)


def accept_password(password: str, email: str, screen: PasswordScreen | None = None) -> str:
    """Normalise a new password and hold it to the rules.

    Raises: WeakPassword, InvalidInput.
    Source: NIST SP 800-63B: length counts, rules of composition do not, and what is known to be used is refused.
    """
    normal = normalise_password(password)
    if len(normal) < MIN_PASSWORD:
        raise WeakPassword(reason=f"it needs at least {MIN_PASSWORD} characters")
    if len(set(normal)) == 1:
        raise WeakPassword(reason="it is one character over and over")
    if normal.casefold() in {email.casefold(), email.partition("@")[0].casefold()}:
        raise WeakPassword(reason="it is your e-mail address")
    reason = screen.reason_against(normal) if screen else None
    if reason is not None:
        raise WeakPassword(reason=reason)
    return normal
