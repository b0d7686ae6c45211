"""Seals, marks of devices and lists of known passwords."""

from hashlib import sha1
from pathlib import Path
from random import Random

import pytest

from data.encryption import SecretUnreadable
from domain.kernel import uuid7
from server.identity.keys import KeyedSecrets, SignedDeviceTokens
from server.identity.known_passwords import BreachedPasswords, KnownPasswords


def digest_of(password: str) -> str:
    return sha1(password.encode(), usedforsecurity=False).hexdigest().upper()


@pytest.fixture
def breached(tmp_path: Path) -> Path:
    path = tmp_path / "breached.txt"
    lines = sorted(f"{digest_of(f'horse {number}')}:{number + 1}" for number in range(0, 2000, 2))
    path.write_text("\r\n".join(lines) + "\r\n")
    return path


class TestBreachedPasswords:
    def test_are_found_wherever_they_stand(self, breached: Path) -> None:
        known = BreachedPasswords(breached)
        assert all((f"horse {number}" in known) == (number % 2 == 0) for number in range(2000))

    @pytest.mark.parametrize("count", [1, 2, 3, 10])
    def test_are_found_in_small_files_without_counts_or_last_line_end(self, tmp_path: Path, count: int) -> None:
        path, random = tmp_path / "few.txt", Random(count)
        words = [f"word {random.random()}" for _ in range(count)]
        path.write_text("\n".join(sorted(map(digest_of, words))).lower())
        known = BreachedPasswords(path)
        assert all(each in known for each in words)
        assert "another" not in known


class TestKnownPasswords:
    @pytest.mark.parametrize("common", ["password", "PASSWORD1", "letmein1", "12345678", "iloveyou"])
    def test_are_those_that_everybody_has(self, common: str) -> None:
        assert KnownPasswords().reason_against(common) == "it is one of the most common ones"

    def test_are_those_of_the_operators_file(self, breached: Path) -> None:
        screen = KnownPasswords(breached)
        assert screen.reason_against("horse 1998") == "it was found in a data breach"
        assert screen.reason_against("horse 1999") is None


class TestKeyedSecrets:
    def test_open_and_fit_in_their_place_alone(self) -> None:
        vault = KeyedSecrets(b"c" * 32, b"d" * 32)
        sealed = vault.encrypt("secret", "here")
        assert vault.decrypt(sealed, "here") == "secret"
        with pytest.raises(SecretUnreadable):
            vault.decrypt(sealed, "there")
        assert vault.digest("1", "here") != vault.digest("1", "there")
        assert vault.digest("1", "here") != KeyedSecrets(b"c" * 32, b"e" * 32).digest("1", "here")


class TestSignedDeviceTokens:
    def test_are_good_for_one_account_of_one_tenant(self) -> None:
        marks, tenant_id = SignedDeviceTokens(b"e" * 32), uuid7()
        token = marks.issue(tenant_id, "account:a")
        device = marks.device_of(token, tenant_id, "account:a")
        assert device is not None
        assert marks.device_of(token, tenant_id, "account:b") is None
        assert marks.device_of(token, uuid7(), "account:a") is None
        assert marks.device_of(f"{device}.x", tenant_id, "account:a") is None
        assert SignedDeviceTokens(b"f" * 32).device_of(token, tenant_id, "account:a") is None
        assert marks.issue(tenant_id, "account:a") != token
