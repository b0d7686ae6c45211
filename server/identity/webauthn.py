"""Passkeys by way of py_webauthn, which is loaded with the first of them: most shops never see one."""

import json
from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from domain.identity.passkeys import Assertion, InvalidPasskey, NewCredential, Passkey, RelyingParty

TIMEOUT_MS = 300_000


class WebAuthn:
    """The domain's `PasskeyChecks`."""

    def creation_options(
        self, party: RelyingParty, user_id: UUID, email: str, nonce: bytes, known: Sequence[bytes]
    ) -> Mapping[str, Any]:
        import webauthn  # noqa: PLC0415 — see above.
        from webauthn.helpers import structs  # noqa: PLC0415

        options = webauthn.generate_registration_options(
            rp_id=party.id,
            rp_name=party.name,
            user_id=user_id.bytes,
            user_name=email,
            challenge=nonce,
            timeout=TIMEOUT_MS,
            authenticator_selection=structs.AuthenticatorSelectionCriteria(
                resident_key=structs.ResidentKeyRequirement.REQUIRED,
                user_verification=structs.UserVerificationRequirement.REQUIRED,
            ),
            exclude_credentials=[structs.PublicKeyCredentialDescriptor(id=each) for each in known],
        )
        return _as_json(webauthn.options_to_json(options))

    def request_options(self, party: RelyingParty, nonce: bytes, known: Sequence[bytes]) -> Mapping[str, Any]:
        import webauthn  # noqa: PLC0415 — see above.
        from webauthn.helpers import structs  # noqa: PLC0415

        options = webauthn.generate_authentication_options(
            rp_id=party.id,
            challenge=nonce,
            timeout=TIMEOUT_MS,
            allow_credentials=[structs.PublicKeyCredentialDescriptor(id=each) for each in known],
            user_verification=structs.UserVerificationRequirement.REQUIRED,
        )
        return _as_json(webauthn.options_to_json(options))

    def new_credential(self, party: RelyingParty, nonce: bytes, credential: Mapping[str, Any]) -> NewCredential:
        import webauthn  # noqa: PLC0415 — see above.
        from webauthn.helpers import exceptions, parse_registration_credential_json  # noqa: PLC0415

        try:
            parsed = parse_registration_credential_json(dict(credential))
            checked = webauthn.verify_registration_response(
                credential=parsed,
                expected_challenge=nonce,
                expected_rp_id=party.id,
                expected_origin=list(party.origins),
                require_user_verification=True,
            )
        except (exceptions.WebAuthnException, ValueError, TypeError, KeyError, AttributeError) as error:
            raise InvalidPasskey from error
        return NewCredential(
            credential_id=checked.credential_id,
            public_key=checked.credential_public_key,
            sign_count=checked.sign_count,
            transports=[str(each.value) for each in parsed.response.transports or ()],
            backed_up=checked.credential_backed_up,
        )

    def assertion(self, credential: Mapping[str, Any]) -> Assertion:
        from webauthn.helpers import exceptions, parse_authentication_credential_json  # noqa: PLC0415 — see above.

        try:
            parsed = parse_authentication_credential_json(dict(credential))
        except (exceptions.WebAuthnException, ValueError, TypeError, KeyError, AttributeError) as error:
            raise InvalidPasskey from error
        return Assertion(credential_id=parsed.raw_id, user_handle=parsed.response.user_handle, credential=credential)

    def sign_count(self, party: RelyingParty, nonce: bytes, assertion: Assertion, passkey: Passkey) -> int:
        import webauthn  # noqa: PLC0415 — see above.
        from webauthn.helpers import exceptions  # noqa: PLC0415

        try:
            checked = webauthn.verify_authentication_response(
                credential=dict(assertion.credential),
                expected_challenge=nonce,
                expected_rp_id=party.id,
                expected_origin=list(party.origins),
                credential_public_key=passkey.public_key,
                credential_current_sign_count=passkey.sign_count,
                require_user_verification=True,
            )
        except (exceptions.WebAuthnException, ValueError, TypeError, KeyError, AttributeError) as error:
            raise InvalidPasskey from error
        return int(checked.new_sign_count)


def _as_json(text: str) -> Mapping[str, Any]:
    made: Mapping[str, Any] = json.loads(text)
    return made
