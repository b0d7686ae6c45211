"""Identity: users, sessions and access.

`users` (the aggregate), `profile`, `addresses`, `roles`; `login`, `codes` and `answering` (the doors), `entering` (what is
behind all of them), `guarding` (who may try), `attempts`, `sessions`, `devices`; `factors`, `passkeys`, `proving` and
`enrolling` (second factors); `identity_providers`, `external`, `single_sign_on` and `social_login` (other people's doors);
`recovery`, `sign_in_policy`; `self_service` and `administration` (who changes what); `passwords`, `text` (rules); `events`.
"""

from domain.identity.administration import subscriptions

__all__ = ["subscriptions"]
