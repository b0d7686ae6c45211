"""The second factor through the graph: turning it on, logging in with it, and what strangers cannot do."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from domain.kernel import Unauthenticated
from tests.schema.identity.factors import BEGIN, COMPLETE, ENABLE, App, rows_of, with_app

LOGIN = """mutation($email: String!, $password: String!, $device: String) {
  login(email: $email, password: $password, deviceToken: $device) {
    __typename
    ... on Authentication { accessToken refreshToken deviceToken withheldRoles }
    ... on SecondFactorRequired { challenge methods expiresAt } ... on Error { code } } }"""
DISABLE = """mutation($code: String, $recovery: String) { disableTwoFactor(code: $code, recoveryCode: $recovery) {
  __typename ... on TwoFactor { enabled recoveryCodes } ... on Error { code } } }"""
RENEW = """mutation($code: String) { renewRecoveryCodes(code: $code) {
  __typename ... on TwoFactor { recoveryCodes } ... on Error { code } } }"""


async def challenge_of(house: Any, **more: Any) -> dict[str, Any]:
    answer = await house.do(LOGIN, email="ann@example.com", password=house.PASSWORD, **more)
    assert answer["__typename"] == "SecondFactorRequired"
    return dict(answer)


class TestTurningItOn:
    async def test_takes_a_code_of_the_app_and_gives_recovery_codes(self, house: Any) -> None:
        entry = await house.member()
        begun = await house.do(BEGIN, entry["accessToken"])
        assert begun["otpauthUrl"].startswith("otpauth://totp/Shop:ann%40example.com?secret=" + begun["secret"])
        assert (await house.login())["__typename"] == "Authentication"
        app = App(begun["secret"], house)
        wrong = await house.do(ENABLE, entry["accessToken"], code="000000")
        assert wrong["__typename"] == "InvalidSecondFactor"
        made = await house.do(ENABLE, entry["accessToken"], code=app.code())
        assert made["enabled"] is True
        assert len(set(made["recoveryCodes"])) == 10
        again = await house.do(ENABLE, entry["accessToken"], code=app.code(1))
        assert again["code"] == "ALREADY_EXISTS"
        me = "{ me { authenticator { recoveryCodesLeft confirmedAt } } }"
        fresh = await house.do(house.REFRESH, given=entry["refreshToken"])
        assert (await house.do(me, fresh["accessToken"]))["authenticator"]["recoveryCodesLeft"] == 10

    async def test_is_for_who_has_just_logged_in(self, house: Any) -> None:
        entry = await house.member()
        house.clock.now += timedelta(minutes=15, seconds=1)
        token = (await house.do(house.REFRESH, given=entry["refreshToken"]))["accessToken"]
        assert (await house.do(BEGIN, token))["code"] == "FRESH_LOGIN_REQUIRED"
        assert await rows_of(house, "authenticator") == []

    async def test_keeps_no_secret_and_no_code_in_clear(self, house: Any) -> None:
        app, codes, _ = await with_app(house)
        kept = str(await rows_of(house, "authenticator")) + str(await rows_of(house, "recovery_code"))
        assert app.secret not in kept
        assert not any(code in kept or code.replace("-", "") in kept for code in codes)


class TestLoggingIn:
    async def test_takes_two_steps(self, house: Any) -> None:
        app, _, _ = await with_app(house)
        house.clock.now += timedelta(minutes=1)
        begun = await challenge_of(house)
        assert begun["methods"] == ["TOTP", "RECOVERY_CODE"]
        done = await house.do(COMPLETE, challenge=begun["challenge"], code=app.code())
        assert done["__typename"] == "Authentication"
        assert done["session"]["secondFactorAt"] is not None
        assert (await house.do(house.ME, done["accessToken"]))["email"] == "ann@example.com"
        again = await house.do(COMPLETE, challenge=begun["challenge"], code=app.code(1))
        assert again["code"] == "INVALID_CHALLENGE"

    async def test_leaves_each_step_in_the_log(self, house: Any) -> None:
        app, _, _ = await with_app(house)
        house.clock.now += timedelta(minutes=1)
        begun = await challenge_of(house)
        await house.do(COMPLETE, challenge=begun["challenge"], code="000000")
        done = await house.do(COMPLETE, challenge=begun["challenge"], code=app.code())
        log = await house.do("{ myLoginLog { nodes { succeeded reason } } }", done["accessToken"])
        assert [(each["succeeded"], each["reason"]) for each in log["nodes"]] == [
            (True, None),
            (False, "wrong_second_factor"),
            (False, "second_factor_required"),
            (True, None),
        ]

    async def test_refuses_a_code_for_the_second_time(self, house: Any) -> None:
        app, _, _ = await with_app(house)
        house.clock.now += timedelta(minutes=1)
        code = app.code()
        first, second = await challenge_of(house), await challenge_of(house)
        done = await house.do(COMPLETE, challenge=first["challenge"], code=code)
        assert done["__typename"] == "Authentication"
        before = await rows_of(house, "session")
        replayed = await house.do(COMPLETE, challenge=second["challenge"], code=code)
        assert replayed["code"] == "INVALID_SECOND_FACTOR"
        assert await rows_of(house, "session") == before

    @pytest.mark.parametrize(("steps", "accepted"), [(-2, False), (-1, True), (0, True), (1, True), (2, False)])
    async def test_bears_one_step_of_drift(self, house: Any, steps: int, accepted: bool) -> None:
        app, _, _ = await with_app(house)
        house.clock.now += timedelta(minutes=5)
        done = await house.do(COMPLETE, challenge=(await challenge_of(house))["challenge"], code=app.code(steps))
        assert (done["__typename"] == "Authentication") is accepted

    async def test_runs_out(self, house: Any) -> None:
        app, _, _ = await with_app(house)
        begun = await challenge_of(house)
        house.clock.now += timedelta(minutes=5)
        late = await house.do(COMPLETE, challenge=begun["challenge"], code=app.code())
        assert late["code"] == "INVALID_CHALLENGE"

    async def test_wants_one_proof(self, house: Any) -> None:
        await with_app(house)
        begun = await challenge_of(house)
        for proof in ({}, {"code": "1", "recovery": "2"}):
            assert (await house.do(COMPLETE, challenge=begun["challenge"], **proof))["code"] == "INVALID_INPUT"

    async def test_is_not_for_the_challenge_of_another_tenant(
        self, house: Any, make_house: Any, make_tenant: Any
    ) -> None:
        app, _, _ = await with_app(house)
        house.clock.now += timedelta(minutes=1)
        begun = await challenge_of(house)
        other = make_house(make_tenant())
        other.clock = house.clock
        assert (await other.do(COMPLETE, challenge=begun["challenge"], code=app.code()))["code"] == "INVALID_CHALLENGE"


class TestGuessing:
    async def test_is_stopped_after_five_and_the_password_does_not_help(self, house: Any) -> None:
        app, _, _ = await with_app(house)
        house.clock.now += timedelta(minutes=1)
        for _ in range(5):
            begun = await challenge_of(house)
            wrong = await house.do(COMPLETE, challenge=begun["challenge"], code="000000")
            assert wrong["code"] == "INVALID_SECOND_FACTOR"
        begun = await challenge_of(house)
        before = await rows_of(house, "session")
        locked = await house.do(COMPLETE, challenge=begun["challenge"], code=app.code())
        assert (locked["code"], locked["retryAfterSeconds"]) == ("TOO_MANY_ATTEMPTS", 900)
        assert await rows_of(house, "session") == before

    async def test_at_once_does_not_get_more_than_five_through(self, house: Any) -> None:
        await with_app(house)
        begun = await challenge_of(house)
        guesses = (house.do(COMPLETE, challenge=begun["challenge"], code=f"{number:06}") for number in range(12))
        answers = [each["__typename"] for each in await asyncio.gather(*guesses)]
        assert answers.count("InvalidSecondFactor") == 5
        assert answers.count("TooManyAttempts") == 7

    async def test_by_strangers_does_not_lock_a_known_device_out(self, house: Any) -> None:
        app, _, _ = await with_app(house)
        house.clock.now += timedelta(minutes=1)
        done = await house.do(COMPLETE, challenge=(await challenge_of(house))["challenge"], code=app.code())
        for _ in range(6):
            begun = await challenge_of(house)
            await house.do(COMPLETE, challenge=begun["challenge"], code="000000")
        house.clock.now += timedelta(minutes=1)
        begun = await challenge_of(house, device=done["deviceToken"])
        entered = await house.do(COMPLETE, challenge=begun["challenge"], code=app.code(), device=done["deviceToken"])
        assert entered["__typename"] == "Authentication"


class TestRecoveryCodes:
    async def test_are_good_once_however_they_are_typed(self, house: Any) -> None:
        _, codes, _ = await with_app(house)
        typed = codes[0].upper().replace("-", " ")
        first = await house.do(COMPLETE, challenge=(await challenge_of(house))["challenge"], recovery=typed)
        assert first["__typename"] == "Authentication"
        second = await house.do(COMPLETE, challenge=(await challenge_of(house))["challenge"], recovery=codes[0])
        assert second["code"] == "INVALID_SECOND_FACTOR"

    async def test_let_one_of_many_uses_at_once_in(self, house: Any) -> None:
        _, codes, _ = await with_app(house)
        challenges = [(await challenge_of(house))["challenge"] for _ in range(4)]
        uses = (house.do(COMPLETE, challenge=each, recovery=codes[0]) for each in challenges)
        answers = [each["__typename"] for each in await asyncio.gather(*uses)]
        assert sorted(answers) == ["Authentication", *["InvalidSecondFactor"] * 3]

    async def test_are_replaced_by_who_shows_a_factor(self, house: Any) -> None:
        app, codes, entry = await with_app(house)
        token = (await house.do(house.REFRESH, given=entry["refreshToken"]))["accessToken"]
        before = await rows_of(house, "recovery_code")
        assert (await house.do(RENEW, token, code="000000"))["code"] == "INVALID_SECOND_FACTOR"
        assert await rows_of(house, "recovery_code") == before
        fresh = await house.do(RENEW, token, code=app.code(1))
        assert not set(fresh["recoveryCodes"]) & set(codes)
        old = await house.do(COMPLETE, challenge=(await challenge_of(house))["challenge"], recovery=codes[0])
        assert old["code"] == "INVALID_SECOND_FACTOR"


class TestTurningItOff:
    async def test_takes_a_fresh_factor(self, house: Any) -> None:
        _, codes, entry = await with_app(house)
        token = (await house.do(house.REFRESH, given=entry["refreshToken"]))["accessToken"]
        before = await rows_of(house, "authenticator")
        assert (await house.do(DISABLE, token, code="000000"))["code"] == "INVALID_SECOND_FACTOR"
        assert await rows_of(house, "authenticator") == before
        off = await house.do(DISABLE, token, recovery=codes[3])
        assert off == {"__typename": "TwoFactor", "enabled": False, "recoveryCodes": []}
        assert (await house.login())["__typename"] == "Authentication"
        assert (await house.do(DISABLE, token, recovery=codes[4]))["code"] == "NOT_FOUND"


POLICY = """mutation($input: UpdateSignInPolicyInput!) { updateSignInPolicy(input: $input) {
  __typename ... on SignInPolicy { confirmEmail secondFactorRoles } ... on Error { code } } }"""


class TestARoleThatDemandsIt:
    async def test_is_withheld_until_one_is_shown(self, house: Any) -> None:
        admin = await house.member("admin@example.com", "admin")
        house.clock.now += timedelta(seconds=10)
        asked = await house.do(POLICY, admin["accessToken"], input={"secondFactorRoles": ["admin"]})
        assert asked == {"__typename": "SignInPolicy", "confirmEmail": False, "secondFactorRoles": ["admin"]}
        house.clock.now += timedelta(seconds=5)
        with pytest.raises(Unauthenticated, match="refresh"):
            await house.ask(house.ME, admin["accessToken"])
        entered = await house.do(LOGIN, email="admin@example.com", password=house.PASSWORD)
        house.clock.now += timedelta(seconds=10)
        assert entered["withheldRoles"] == ["admin"]
        assert (await house.ask("{ roles { name } }", entered["accessToken"])).codes == ["FORBIDDEN"]
        app = App((await house.do(BEGIN, entered["accessToken"]))["secret"], house)
        await house.do(ENABLE, entered["accessToken"], code=app.code())
        house.clock.now += timedelta(seconds=5)
        fresh = await house.do(house.REFRESH, given=entered["refreshToken"])
        assert (await house.ask("{ roles { name } }", fresh["accessToken"])).errors == []

    async def test_is_named_by_who_has_it_and_must_exist(self, house: Any) -> None:
        admin = await house.member("admin@example.com", "admin")
        for roles, code in ((["super_admin"], "FORBIDDEN"), (["emperor"], "NOT_FOUND"), ([""], "INVALID_INPUT")):
            refused = await house.do(POLICY, admin["accessToken"], input={"secondFactorRoles": roles})
            assert refused["code"] == code
        assert await rows_of(house, "sign_in_policy") == []
