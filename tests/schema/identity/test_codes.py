"""One-time codes, links and confirmed addresses through the graph."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import text

from domain.identity.sessions import AccessPolicy
from domain.kernel import Unauthenticated
from domain.processes import recovering
from tests.schema.identity.factors import hear, letters, rows_of, sent_secret, with_app

REQUEST = """mutation($email: String!, $purpose: OtpPurpose!, $contact: ContactKind) {
  requestOtp(email: $email, purpose: $purpose, contact: $contact) {
    __typename ... on OtpRequested { purpose expiresAt } ... on Error { code message } } }"""
LOGIN = """mutation($email: String!, $code: String!, $device: String) {
  loginWithOtp(email: $email, code: $code, deviceToken: $device) { __typename
    ... on Authentication { accessToken deviceToken user { email } } ... on Error { code message } } }"""
VERIFY = """mutation($email: String!, $code: String!, $purpose: OtpPurpose!) {
  verifyOtp(email: $email, code: $code, purpose: $purpose) {
    __typename ... on OtpVerified { purpose resetToken } ... on Error { code message } } }"""
VERIFY_EMAIL = """mutation($email: String!, $code: String!) { verifyEmail(email: $email, code: $code) {
  __typename ... on Error { code } } }"""
FORGOT = """mutation($email: String!) { requestPasswordReset(email: $email) {
  __typename ... on OtpRequested { purpose expiresAt } ... on Error { code } } }"""
RESET = """mutation($link: String!, $password: String!) { resetPassword(token: $link, newPassword: $password) {
  __typename ... on PasswordReset { email } ... on Error { code message } } }"""
ANN, BOB = "ann@example.com", "bob@example.com"


async def code_for(house: Any, purpose: str, email: str = ANN, **more: Any) -> str:
    asked = await house.do(REQUEST, email=email, purpose=purpose, **more)
    assert asked["__typename"] == "OtpRequested"
    return await sent_secret(house)


class TestLoggingInWithACode:
    async def test_opens_a_session_and_confirms_the_address(self, house: Any) -> None:
        await house.register()
        code = await code_for(house, "LOGIN")
        assert (len(code), code.isdigit()) == (6, True)
        entered = await house.do(LOGIN, email=ANN, code=f" {code[:3]} {code[3:]}")
        assert entered["user"] == {"email": ANN}
        me = await house.do("{ me { emailVerifiedAt phoneVerifiedAt } }", entered["accessToken"])
        assert me["emailVerifiedAt"] is not None
        assert me["phoneVerifiedAt"] is None
        assert (await house.do(LOGIN, email=ANN, code=code))["code"] == "INVALID_CODE"

    async def test_asks_for_the_second_factor_that_is_due(self, house: Any) -> None:
        await with_app(house)
        code = await code_for(house, "LOGIN")
        assert (await house.do(LOGIN, email=ANN, code=code))["__typename"] == "SecondFactorRequired"

    async def test_lets_one_of_many_uses_at_once_in(self, house: Any) -> None:
        await house.register()
        code = await code_for(house, "LOGIN")
        answers = await asyncio.gather(*(house.do(LOGIN, email=ANN, code=code) for _ in range(4)))
        assert sorted(each["__typename"] for each in answers) == ["Authentication", *["InvalidCode"] * 3]

    async def test_looks_at_five_codes_however_many_come_at_once(self, house: Any) -> None:
        await house.register()
        right = await code_for(house, "LOGIN")
        wrong = [f"{number:06}" for number in range(20) if f"{number:06}" != right][:12]
        answers = await asyncio.gather(*(house.do(LOGIN, email=ANN, code=each) for each in wrong))
        kinds = [each["__typename"] for each in answers]
        assert (kinds.count("InvalidCode"), kinds.count("TooManyAttempts")) == (5, 7)
        before = await rows_of(house, "session")
        assert (await house.do(LOGIN, email=ANN, code=right))["__typename"] == "TooManyAttempts"
        assert await rows_of(house, "session") == before

    async def test_by_a_known_device_works_when_strangers_have_failed(self, house: Any) -> None:
        await house.register()
        known = await house.do(LOGIN, email=ANN, code=await code_for(house, "LOGIN"))
        right = await code_for(house, "LOGIN")
        for _ in range(7):
            await house.do(LOGIN, email=ANN, code="x")
        entered = await house.do(LOGIN, email=ANN, code=right, device=known["deviceToken"])
        assert entered["__typename"] == "Authentication"

    async def test_takes_no_code_that_ran_out_was_replaced_or_is_for_something_else(self, house: Any) -> None:
        await house.register()
        first = await code_for(house, "LOGIN")
        second = await code_for(house, "LOGIN")
        if first != second:
            assert (await house.do(LOGIN, email=ANN, code=first))["code"] == "INVALID_CODE"
        other = await code_for(house, "VERIFICATION")
        if other != second:
            assert (await house.do(LOGIN, email=ANN, code=other))["code"] == "INVALID_CODE"
        house.clock.now += timedelta(minutes=10)
        assert (await house.do(LOGIN, email=ANN, code=second))["code"] == "INVALID_CODE"
        assert await rows_of(house, "session") == []

    async def test_leaves_one_live_code_of_many_that_are_asked_for_at_once(self, house: Any) -> None:
        await house.register()
        known = await house.do(LOGIN, email=ANN, code=await code_for(house, "LOGIN"))
        ask = REQUEST.replace("$contact: ContactKind", "$device: String").replace(
            "contact: $contact", "deviceToken: $device"
        )
        marks = [known["deviceToken"], None, None, None]
        given = {"email": ANN, "purpose": "LOGIN"}
        answers = await asyncio.gather(
            *(house.ask(ask, address=f"192.0.2.{number}", **given, device=mark) for number, mark in enumerate(marks))
        )
        assert {each.data["requestOtp"]["__typename"] for each in answers} == {"OtpRequested"}
        assert len(await rows_of(house, "one_time_code")) == 1
        entered = await house.do(LOGIN, email=ANN, code=await sent_secret(house))
        assert entered["__typename"] == "Authentication"

    async def test_is_not_for_another_tenant(self, house: Any, make_house: Any, make_tenant: Any) -> None:
        await house.register()
        other = make_house(make_tenant())
        await other.register()
        code = await code_for(house, "LOGIN")
        assert (await other.do(LOGIN, email=ANN, code=code))["code"] == "INVALID_CODE"

    async def test_leaves_no_code_in_the_log_or_in_clear(self, house: Any) -> None:
        await house.register()
        code = await code_for(house, "LOGIN")
        kept = str(await rows_of(house, "one_time_code"))
        async with house.database.session(house.tenant_id) as session:
            kept += str((await session.execute(text("SELECT data FROM platform.event_log"))).all())
            kept += str((await session.execute(text("SELECT data, link FROM notifications.notification"))).all())
        assert code not in kept


class TestNobodyLearnsWhoHasAnAccount:
    async def test_from_asking_for_a_code(self, house: Any) -> None:
        await house.register()
        for document in (REQUEST, FORGOT):
            known = await house.ask(document, email=ANN, purpose="LOGIN")
            unknown = await house.ask(document, email=BOB, purpose="LOGIN")
            assert known.data == unknown.data
            assert (known.reads, known.writes) == (unknown.reads, unknown.writes)
        assert {each["address"] for each in await letters(house)} == {ANN}

    async def test_from_typing_one(self, house: Any) -> None:
        await house.register()
        for email in (ANN, BOB):
            await house.do(REQUEST, email=email, purpose="LOGIN")
        await letters(house)
        for _ in range(7):
            known = await house.ask(LOGIN, email=ANN, code="x")
            unknown = await house.ask(LOGIN, email=BOB, code="x")
            assert known.data == unknown.data
            assert (known.reads, known.writes) == (unknown.reads, unknown.writes)
        assert known.data["loginWithOtp"]["__typename"] == "TooManyAttempts"

    async def test_from_asking_too_often(self, house: Any) -> None:
        await house.register()
        for _ in range(5):
            await house.do(REQUEST, email=ANN, purpose="LOGIN")
            await house.do(REQUEST, email=BOB, purpose="LOGIN")
        known = await house.do(REQUEST, email=ANN, purpose="LOGIN")
        unknown = await house.do(REQUEST, email=BOB, purpose="LOGIN")
        assert known == unknown
        assert known["__typename"] == "TooManyAttempts"


class TestPhones:
    ASK = "mutation { requestPhoneVerification { __typename ... on Error { code } } }"
    VERIFY = "mutation($code: String!) { verifyPhone(code: $code) { __typename ... on Error { code } } }"
    NUMBER = """mutation($given: String) { updateProfile(input: {phone: $given}) {
      __typename ... on User { phoneVerifiedAt } } }"""

    async def test_are_confirmed_by_their_owner_alone_and_open_accounts_only_then(self, house: Any) -> None:
        token = (await house.member())["accessToken"]
        await house.do(self.NUMBER, token, given="+1 416 555 0123")
        for purpose in ("VERIFICATION", "LOGIN"):
            await house.do(REQUEST, email=ANN, purpose=purpose, contact="PHONE")
        assert await letters(house) == []
        await house.do(self.ASK, token)
        (message,) = await letters(house)
        assert (message["channel"], message["address"]) == ("sms", "+14165550123")
        assert (await house.do(self.VERIFY, token, code=message["data"]["code"]))["__typename"] == "OtpVerified"
        code = await code_for(house, "LOGIN", contact="PHONE")
        assert (await house.do(LOGIN, email=ANN, code=code))["__typename"] == "Authentication"
        changed = await house.do(self.NUMBER, token, given="+1 416 555 0124")
        assert changed["phoneVerifiedAt"] is None


class TestPasswordReset:
    async def test_sets_the_password_ends_all_sessions_and_lifts_the_lock(self, house: Any) -> None:
        entry = await house.member()
        for _ in range(6):
            await house.login(password="wrong")
        assert (await house.login())["__typename"] == "TooManyAttempts"
        await house.do(FORGOT, email=ANN)
        token = await sent_secret(house)
        assert await house.do(RESET, link=token, password="battery staple") == {
            "__typename": "PasswordReset",
            "email": ANN,
        }
        house.clock.now += timedelta(seconds=5)
        with pytest.raises(Unauthenticated):
            await house.ask(house.ME, entry["accessToken"])
        assert (await house.login(password="battery staple"))["__typename"] == "Authentication"
        assert (await house.login())["__typename"] == "InvalidCredentials"

    async def test_happens_once_with_a_token_however_many_try(self, house: Any) -> None:
        await house.register()
        await house.do(FORGOT, email=ANN)
        token = await sent_secret(house)
        tries = (house.do(RESET, link=token, password=f"battery staple {number}") for number in range(4))
        answers = [each["__typename"] for each in await asyncio.gather(*tries)]
        assert sorted(answers) == [*["InvalidResetToken"] * 3, "PasswordReset"]

    async def test_keeps_the_token_when_the_password_will_not_do(self, house: Any) -> None:
        await house.register()
        await house.do(FORGOT, email=ANN)
        token = await sent_secret(house)
        before = await rows_of(house, "user")
        refused = await house.do(RESET, link=token, password="password1")
        assert refused["message"] == "Choose another password: it is one of the most common ones."
        assert await rows_of(house, "user") == before
        assert (await house.do(RESET, link=token, password="battery staple"))["__typename"] == "PasswordReset"

    async def test_takes_no_token_that_is_wrong_or_ran_out(self, house: Any) -> None:
        await house.register()
        await house.do(FORGOT, email=ANN)
        token = await sent_secret(house)
        before = await rows_of(house, "user")
        assert (await house.do(RESET, link="x" * 43, password="battery staple"))["code"] == "INVALID_RESET_TOKEN"
        house.clock.now += timedelta(hours=1)
        assert (await house.do(RESET, link=token, password="battery staple"))["code"] == "INVALID_RESET_TOKEN"
        assert await rows_of(house, "user") == before

    async def test_works_with_a_code_that_is_exchanged_for_a_token(self, house: Any) -> None:
        await house.register()
        code = await code_for(house, "PASSWORD_RESET")
        verified = await house.do(VERIFY, email=ANN, code=code, purpose="PASSWORD_RESET")
        reset = await house.do(RESET, link=verified["resetToken"], password="battery staple")
        assert reset["__typename"] == "PasswordReset"
        assert (await house.do(RESET, link=code, password="battery staple"))["code"] == "INVALID_RESET_TOKEN"

    async def test_still_asks_for_the_second_factor_of_a_confirmed_account(self, house: Any) -> None:
        await house.register()
        await house.do(VERIFY_EMAIL, email=ANN, code=await code_for(house, "VERIFICATION"))
        await with_app(house)
        await house.do(FORGOT, email=ANN)
        await house.do(RESET, link=await sent_secret(house), password="battery staple")
        assert (await house.login(password="battery staple"))["__typename"] == "SecondFactorRequired"

    @pytest.mark.parametrize("by_code", [False, True])
    async def test_throws_out_what_a_stranger_set_up_before_the_address_was_confirmed(
        self, house: Any, by_code: bool
    ) -> None:
        await with_app(house)
        barred = await house.do(LOGIN, email=ANN, code=await code_for(house, "LOGIN"))
        assert barred["__typename"] == "SecondFactorRequired"
        if by_code:
            code = await code_for(house, "PASSWORD_RESET")
            link = (await house.do(VERIFY, email=ANN, code=code, purpose="PASSWORD_RESET"))["resetToken"]
        else:
            await house.do(FORGOT, email=ANN)
            link = await sent_secret(house)
        await house.do(RESET, link=link, password="battery staple")
        assert (await house.login(password="battery staple"))["__typename"] == "Authentication"

    async def test_is_off_when_the_password_was_changed_meanwhile(self, house: Any) -> None:
        token = (await house.member())["accessToken"]
        await house.do(FORGOT, email=ANN)
        link = await sent_secret(house)
        change = """mutation($old: String!, $new: String!) { changePassword(currentPassword: $old, newPassword: $new) {
          __typename } }"""
        await house.do(change, token, old=house.PASSWORD, new="five horses")
        refused = await house.do(RESET, link=link, password="battery staple")
        assert refused["code"] == "INVALID_RESET_TOKEN"
        assert (await house.login(password="five horses"))["__typename"] == "Authentication"


class TestConfirmingBeforeTheFirstLogin:
    @pytest.fixture
    def strict(self, house: Any) -> Any:
        house.services[AccessPolicy] = AccessPolicy(confirm_email=True)
        return house

    async def test_sends_a_code_and_lets_nobody_in_before(self, strict: Any) -> None:
        await strict.register()
        await hear(strict, "user.registered", recovering.ask_to_confirm)
        assert (await strict.login())["__typename"] == "InvalidCredentials"
        confirmed = await strict.do(VERIFY_EMAIL, email=ANN, code=await sent_secret(strict))
        assert confirmed["__typename"] == "OtpVerified"
        assert (await strict.login())["__typename"] == "Authentication"

    async def test_leaves_no_way_to_find_out_who_has_an_account(self, strict: Any) -> None:
        await strict.register()
        answers = []
        for email in (ANN, BOB):
            registered = await strict.ask(strict.REGISTER, email=email, password="battery staple")
            entered = await strict.ask(strict.LOGIN, email=email, password="battery staple")
            told = registered.data["register"] | {"email": None}
            answers.append((told, entered.data, entered.writes, entered.reads))
        assert answers[0] == answers[1]
        assert answers[0][1]["login"]["__typename"] == "InvalidCredentials"

    async def test_sends_another_code_to_who_registers_again_but_not_two_at_a_time(self, strict: Any) -> None:
        for _ in range(2):
            await strict.register()
        await hear(strict, "user.registered", recovering.ask_to_confirm)
        await hear(strict, "identity.registration_repeated", recovering.ask_to_confirm)
        assert len(await letters(strict)) == 1
        strict.clock.now += timedelta(minutes=10)
        await hear(strict, "identity.registration_repeated", recovering.ask_to_confirm)
        assert len(await letters(strict)) == 2

    async def test_is_not_asked_for_unless_wanted(self, house: Any) -> None:
        await house.register()
        await hear(house, "user.registered", recovering.ask_to_confirm)
        assert await letters(house) == []
        assert (await house.login())["__typename"] == "Authentication"
