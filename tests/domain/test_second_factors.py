"""The rules of second factors, one-time codes and the guard, without any engine."""

import hashlib
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pyotp
import pytest

from domain.identity.codes import MAX_CODE_ATTEMPTS, OneTimeCode, OtpPurpose, RequestCode
from domain.identity.factors import (
    RECOVERY_CODES,
    Authenticator,
    Challenge,
    ChallengePurpose,
    Enrolled,
    SecondFactorMethod,
    otpauth_url,
)
from domain.identity.guarding import Caller, Count, Door, account_subject, admit, forgive, refusal_until
from domain.identity.passkeys import InvalidPasskey, NewCredential, Passkey, origin_of
from domain.identity.passwords import WeakPassword, accept_password
from domain.identity.profile import Profile
from domain.identity.proving import Proof
from domain.identity.sessions import AccessPolicy, Client, FreshLoginRequired, Session, hash_token, sign_in
from domain.identity.sign_in_policy import SignInPolicy
from domain.identity.users import ContactKind, User
from domain.kernel import SYSTEM, InvalidInput, Work, uuid7

NOW = datetime(2026, 3, 14, 15, 9, 26, tzinfo=UTC)
TENANT = uuid7()
WORK = Work(tenant_id=TENANT, actor=SYSTEM, now=NOW, correlation_id="test")
POLICY = AccessPolicy()
ANN = "ann@example.com"


class PlainVault:
    """Seals by writing the place in front, so that tests see what is bound to what."""

    def encrypt(self, text: str, place: str) -> str:
        return f"{place}|{text}"

    def decrypt(self, sealed: str, place: str) -> str:
        assert sealed.startswith(f"{place}|")
        return sealed.removeprefix(f"{place}|")

    def rotate(self, sealed: str, place: str) -> str:
        return sealed

    def digest(self, text: str, place: str) -> bytes:
        return hashlib.sha256(f"{place}|{text}".encode()).digest()


VAULT = PlainVault()


def an_app(now: datetime = NOW) -> tuple[pyotp.TOTP, Authenticator, list[str]]:
    secret, made = Authenticator.blank(uuid7(), VAULT, WORK)
    codes = made.confirm(VAULT, now)
    made.release_events()
    return pyotp.TOTP(secret), made, codes


def names_of(aggregate: Any) -> list[str]:
    return [recorded.event.name for recorded in aggregate.release_events()]


class TestAuthenticator:
    @pytest.mark.parametrize(("steps", "good"), [(-2, False), (-1, True), (0, True), (1, True), (2, False)])
    def test_accepts_a_code_of_this_step_and_its_neighbours(self, steps: int, good: bool) -> None:
        app, made, _ = an_app()
        assert made.accept(app.at(NOW + timedelta(seconds=30 * steps)), VAULT, NOW) is good

    def test_accepts_nothing_older_than_what_it_has_accepted(self) -> None:
        app, made, _ = an_app()
        assert made.accept(app.at(NOW), VAULT, NOW)
        assert not made.accept(app.at(NOW), VAULT, NOW)
        assert not made.accept(app.at(NOW - timedelta(seconds=30)), VAULT, NOW)
        assert made.accept(app.at(NOW + timedelta(seconds=30)), VAULT, NOW)

    @pytest.mark.parametrize("typed", ["", "12345", "1234567", "abcdef", "\N{ARABIC-INDIC DIGIT ONE}" * 6])
    def test_refuses_what_is_no_code(self, typed: str) -> None:
        assert not an_app()[1].accept(typed, VAULT, NOW)

    def test_takes_a_code_with_blanks_in_it(self) -> None:
        app, made, _ = an_app()
        code = app.at(NOW)
        assert made.accept(f"{code[:3]} {code[3:]}", VAULT, NOW)

    def test_gives_recovery_codes_that_are_good_once(self) -> None:
        _, made, codes = an_app()
        assert (len(set(codes)), made.codes_left) == (RECOVERY_CODES, RECOVERY_CODES)
        assert made.redeem(codes[4].upper(), VAULT, NOW)
        assert not made.redeem(codes[4], VAULT, NOW)
        assert made.codes_left == RECOVERY_CODES - 1
        assert names_of(made) == ["identity.recovery_code_used"]

    def test_forgets_the_old_recovery_codes_when_it_gets_new_ones(self) -> None:
        _, made, codes = an_app()
        fresh = made.renew_codes(VAULT)
        assert not made.redeem(codes[0], VAULT, NOW)
        assert made.redeem(fresh[0], VAULT, NOW)

    def test_says_in_a_url_what_apps_read(self) -> None:
        assert otpauth_url("ABCDEFGHABCDEFGHABCDEFGHABCDEFGH", ANN, "Harbour") == (
            "otpauth://totp/Harbour:ann%40example.com?secret=ABCDEFGHABCDEFGHABCDEFGHABCDEFGH&issuer=Harbour"
        )


class TestEnrolled:
    def test_names_what_can_be_shown(self) -> None:
        method = SecondFactorMethod
        assert Enrolled().methods == ()
        assert Enrolled(totp=True).methods == (method.TOTP,)
        assert Enrolled(totp=True, recovery_codes=1, passkeys=[b"1"]).methods == tuple(method)


class TestProof:
    @pytest.mark.parametrize("wrong", [{}, {"code": "1", "recovery_code": "2"}, {"code": "1", "passkey": {}}])
    def test_is_one_thing(self, wrong: dict[str, Any]) -> None:
        with pytest.raises(InvalidInput):
            Proof(**wrong)


class TestChallenge:
    def test_keeps_the_hash_of_its_token(self) -> None:
        token, made = Challenge.put(ChallengePurpose.SECOND_FACTOR, uuid7(), timedelta(minutes=5), WORK)
        assert made.token_hash == hash_token(token)
        assert made.expires_at == NOW + timedelta(minutes=5)
        assert len(made.nonce) == 32


def a_code(user_id: UUID | None = None, **more: Any) -> OneTimeCode:
    return OneTimeCode.ask(RequestCode(email=ANN, purpose=OtpPurpose.LOGIN, **more), user_id or uuid7(), WORK, POLICY)


class TestOneTimeCode:
    def test_is_six_digits_good_for_ten_minutes(self) -> None:
        code = a_code()
        clear = code.make(VAULT, NOW)
        assert clear is not None
        assert (len(clear), clear.isdigit()) == (6, True)
        assert not code.accept(clear, VAULT, NOW + timedelta(minutes=10))
        assert code.accept(clear, VAULT, NOW + timedelta(minutes=9, seconds=59))

    def test_is_made_once_and_for_nobody_never(self) -> None:
        code = a_code()
        assert code.make(VAULT, NOW) is not None
        assert code.make(VAULT, NOW) is None
        assert a_code().make(VAULT, NOW + timedelta(minutes=10)) is None
        nobodys = OneTimeCode.ask(RequestCode(email=ANN, purpose=OtpPurpose.LOGIN), None, WORK, POLICY)
        assert nobodys.make(VAULT, NOW) is None

    def test_bears_five_attempts_of_strangers_and_five_of_known_devices(self) -> None:
        code = a_code()
        clear = code.make(VAULT, NOW) or ""
        for _ in range(MAX_CODE_ATTEMPTS):
            assert not code.accept("x", VAULT, NOW)
        assert not code.accept(clear, VAULT, NOW)
        assert code.accept(clear, VAULT, NOW, known_device=True)
        assert (code.attempts, code.device_attempts) == (MAX_CODE_ATTEMPTS, 1)

    def test_fits_nothing_before_it_was_made(self) -> None:
        assert not a_code().accept("", VAULT, NOW)

    def test_says_nothing_but_whose_it_is_and_what_for(self) -> None:
        code, user_id = a_code(uuid7()), uuid7()
        (recorded,) = a_code(user_id).release_events()
        assert vars(recorded.event) == {"user_id": user_id, "purpose": "login"}
        assert code.account == account_subject(ANN)

    def test_by_link_is_long_and_good_for_an_hour(self) -> None:
        code = a_code(by_link=True)
        assert code.expires_at == NOW + timedelta(hours=1)
        assert len(code.make(VAULT, NOW) or "") == 43


class FakeGuard(dict[str, int]):
    """Counts in a dictionary."""

    async def count(self, subject: str, limit: int, lock: timedelta, now: datetime) -> Count:
        self[subject] = self.get(subject, 0) + 1
        return Count(failures=self[subject], locked_until=now + lock if self[subject] >= limit else None)

    async def peek(self, subject: str, now: datetime) -> Count:
        most = POLICY.max_failures_per_address
        return Count(
            failures=self.get(subject, 0), locked_until=now + POLICY.lock if self.get(subject, 0) >= most else None
        )

    async def clear(self, subject: str) -> None:
        for each in [each for each in self if each.startswith(subject)]:
            del self[each]


def caller(address: str = "192.0.2.7", device: str | None = None) -> Caller:
    return Caller(account=account_subject(ANN), address=address, device=device)


class TestTheGuard:
    async def through(self, guard: FakeGuard, times: int, who: Caller, door: Door = Door.PASSWORD) -> int:
        return sum([await admit(door, who, WORK, guard, POLICY) is None for _ in range(times)])

    async def test_bears_five_attempts_from_one_address_and_twenty_from_all(self) -> None:
        guard = FakeGuard()
        assert await self.through(guard, 50, caller()) == 5
        assert [await self.through(guard, 9, caller(f"198.51.100.{each}")) for each in range(4)] == [5, 5, 5, 0]

    async def test_bears_five_of_each_known_device_whatever_others_did(self) -> None:
        guard = FakeGuard()
        for number in range(6):
            await self.through(guard, 9, caller(f"198.51.100.{number}"))
        assert await self.through(guard, 9, caller(device="a")) == 5
        assert await self.through(guard, 9, caller(device="b")) == 5

    async def test_bears_five_second_factors_from_everywhere(self) -> None:
        guard = FakeGuard()
        assert await self.through(guard, 3, caller(), Door.SECOND_FACTOR) == 3
        assert await self.through(guard, 9, caller("198.51.100.1"), Door.SECOND_FACTOR) == 2

    async def test_turns_an_address_away_that_failed_at_many_accounts_but_no_known_device(self) -> None:
        guard = FakeGuard({"address:192.0.2.7": 50})
        assert await self.through(guard, 1, caller()) == 0
        assert guard == {"address:192.0.2.7": 50}
        assert await self.through(guard, 1, caller(device="a")) == 1

    async def test_counts_each_door_by_itself_and_forgets_what_was_passed(self) -> None:
        guard = FakeGuard()
        await self.through(guard, 9, caller(), Door.CODE)
        await self.through(guard, 9, caller(), Door.PASSWORD)
        await forgive(Door.PASSWORD, caller(), guard)
        assert await self.through(guard, 9, caller(), Door.PASSWORD) == 5
        assert await self.through(guard, 9, caller(), Door.CODE) == 0

    async def test_bears_fifty_letters_asked_for_at_one_address(self) -> None:
        guard = FakeGuard()
        asked = [
            await admit(Door.REQUEST, replace(caller(), account=f"account:{number}"), WORK, guard, POLICY) is None
            for number in range(60)
        ]
        assert sum(asked) == 50

    def test_says_how_long_to_wait(self) -> None:
        assert refusal_until(NOW + timedelta(seconds=1.5), NOW).retry_after_seconds == 2
        assert refusal_until(NOW, NOW).retry_after_seconds == 1


def a_user() -> User:
    user = User.register(ANN, "hash", Profile(phone="+14165550123"), WORK)
    user.release_events()
    return user


class FakeSessions:
    """Forgets the tokens that it is to keep."""

    def keep(self, token: Any) -> None:
        del token


class TestSession:
    def test_lets_only_who_came_just_now_change_what_keeps_others_out(self) -> None:
        session = Session.open(a_user(), Client(), POLICY.refresh_lifetime, NOW)
        session.require_fresh(POLICY.fresh, NOW + timedelta(minutes=15))
        with pytest.raises(FreshLoginRequired):
            session.require_fresh(POLICY.fresh, NOW + timedelta(minutes=15, seconds=1))
        session.prove(NOW + timedelta(minutes=10))
        session.require_fresh(POLICY.fresh, NOW + timedelta(minutes=25))

    @pytest.mark.parametrize(("shown", "roles"), [(False, {"buyer"}), (True, {"admin", "buyer"})])
    async def test_has_the_roles_that_demand_a_second_factor_with_one_alone(self, shown: bool, roles: set[str]) -> None:
        user = a_user()
        user.assign("admin", None, WORK)
        session = Session.open(user, Client(), POLICY.refresh_lifetime, NOW, second_factor=shown)
        entry: Any = await sign_in(
            user,
            session,
            FakeSessions(),
            None,
            POLICY.refresh_lifetime,
            NOW,
            demanding=["admin", "finance"],  # type: ignore[arg-type]
        )
        assert entry.principal.roles == roles
        assert entry.principal.may("identity.manage") is shown
        assert entry.withheld_roles == (frozenset() if shown else {"admin"})

    async def test_acts_in_no_store_by_a_withheld_role(self) -> None:
        user, store = a_user(), uuid7()
        user.assign("store_manager", store, WORK)
        session = Session.open(user, Client(), POLICY.refresh_lifetime, NOW)
        entry: Any = await sign_in(
            user,
            session,
            FakeSessions(),
            None,
            POLICY.refresh_lifetime,
            NOW,
            demanding=["store_manager"],  # type: ignore[arg-type]
        )
        assert entry.principal.store_ids == frozenset()


class TestSignInPolicy:
    def test_changes_what_is_mentioned(self) -> None:
        policy = SignInPolicy(tenant_id=TENANT, confirm_email=True)
        policy.change(roles=["admin", "admin"], confirm_email=policy.confirm_email)
        assert (policy.confirm_email, policy.second_factor_roles) == (True, ["admin"])
        assert policy.demanding(["admin", "buyer"]) == {"admin"}


class TestVerify:
    def test_says_once_that_an_address_was_confirmed(self) -> None:
        user = a_user()
        user.verify(ContactKind.EMAIL, NOW)
        user.verify(ContactKind.EMAIL, NOW + timedelta(days=1))
        assert user.email_verified_at == NOW
        assert names_of(user) == ["identity.user_verified"]

    def test_holds_for_the_number_that_was_confirmed_and_no_other(self) -> None:
        user = a_user()
        user.verify(ContactKind.PHONE, NOW)
        user.update_profile(Profile(phone="+1 416 555 0123"), NOW)
        assert user.phone_verified_at == NOW
        user.update_profile(Profile(phone="+14165550124"), NOW)
        assert user.phone_verified_at is None


class TestPasskey:
    def test_is_named_used_and_renamed(self) -> None:
        made = NewCredential(credential_id=b"1", public_key=b"2", sign_count=0, transports=["usb", "internal"])
        passkey = Passkey.add(uuid7(), "shop.test", " Phone ", made, WORK)
        assert (passkey.name, passkey.transports) == ("Phone", ["internal", "usb"])
        passkey.use(7, NOW)
        passkey.rename("Key")
        assert (passkey.sign_count, passkey.last_used_at, passkey.name) == (7, NOW, "Key")
        assert names_of(passkey) == ["identity.passkey_added", "identity.passkey_renamed"]

    @pytest.mark.parametrize("wrong", [{}, {"response": None}, {"response": {"clientDataJSON": "é"}}])
    def test_needs_an_answer_that_says_where_it_was_given(self, wrong: Any) -> None:
        with pytest.raises(InvalidPasskey):
            origin_of(wrong)


class Screen:
    """Knows one password."""

    def reason_against(self, password: str) -> str | None:
        return "it is known" if password == "five horses" else None


class TestAcceptPassword:
    def test_refuses_what_guessers_try_in_the_form_that_is_kept(self) -> None:
        with pytest.raises(WeakPassword, match="it is known"):
            accept_password("\ufb01ve horses", ANN, Screen())
        assert accept_password("six horses", ANN, Screen()) == "six horses"
