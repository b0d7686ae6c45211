"""Passwords that guessers try first: a bundled list of the most common ones, and a file of breached ones."""

import mmap
from ast import literal_eval
from functools import lru_cache
from hashlib import sha1, sha256
from importlib.util import find_spec
from pathlib import Path

DIGEST_LETTERS = 40
COMMON_BYTES = 8
LONGEST_LINE = 64
_PASSWORDS = '"passwords": '


class BreachedPasswords:
    """A file of SHA-1 digests in hexadecimal, in order, each with a count or without: as Have I Been Pwned gives it.

    It is searched where it lies, 36 looks for a billion lines, and never loaded.
    """

    def __init__(self, path: Path) -> None:
        with path.open("rb") as file:
            self._lines = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)

    def __contains__(self, password: object) -> bool:
        wanted = sha1(str(password).encode(), usedforsecurity=False).hexdigest().upper().encode()
        first, beyond = 0, len(self._lines)
        while first < beyond:
            start = self._start_of_line((first + beyond) // 2)
            found = self._lines[start : start + DIGEST_LETTERS].upper()
            if found == wanted:
                return True
            if found < wanted:
                first = self._start_after(start)
            else:
                beyond = start
        return False

    def _start_of_line(self, position: int) -> int:
        return self._lines.rfind(b"\n", 0, position) + 1

    def _start_after(self, position: int) -> int:
        end = self._lines.find(b"\n", position, position + LONGEST_LINE)
        return len(self._lines) if end < 0 else end + 1


class CommonPasswords:
    """The 30,000 passwords that zxcvbn knows, as short digests in order; its lists themselves are not kept in memory."""

    def __contains__(self, password: object) -> bool:
        wanted = _short(str(password).lower())
        digests = _common()
        first, beyond = 0, len(digests) // COMMON_BYTES
        while first < beyond:
            middle = (first + beyond) // 2
            found = digests[middle * COMMON_BYTES : (middle + 1) * COMMON_BYTES]
            if found == wanted:
                return True
            first, beyond = (middle + 1, beyond) if found < wanted else (first, middle)
        return False


class KnownPasswords:
    """The domain's `PasswordScreen`."""

    def __init__(self, breached: Path | None = None) -> None:
        self._common = CommonPasswords()
        self._breached = BreachedPasswords(breached) if breached else None

    def reason_against(self, password: str) -> str | None:
        if password in self._common:
            return "it is one of the most common ones"
        if self._breached is not None and password in self._breached:
            return "it was found in a data breach"
        return None


@lru_cache(1)
def _common() -> bytes:
    # Importing the module would keep ten megabytes of lists and dictionaries; one of its lines is all that is wanted.
    package = find_spec("zxcvbn")
    folder = Path(str(package.origin)).parent if package else Path()
    with (folder / "frequency_lists.py").open(encoding="utf-8") as lists:
        line = next(each for each in lists if each.strip().startswith(_PASSWORDS))
    passwords: str = literal_eval(line.strip().removeprefix(_PASSWORDS).partition(".split")[0])
    return b"".join(sorted(map(_short, passwords.split(","))))


def _short(password: str) -> bytes:
    return sha256(password.encode("utf-8", "surrogatepass")).digest()[:COMMON_BYTES]
