"""Identity: users, sessions and access.

`users` (the aggregate), `profile`, `addresses`, `roles`; `sessions` and `login` (the door); `self_service` and
`administration` (who changes what); `identity_providers`, `external`, `single_sign_on` and `social_login` (other people's
doors); `passwords`, `text` (rules); `events`.
"""

from domain.identity.administration import subscriptions

__all__ = ["subscriptions"]
