"""What identity keeps only for a while."""

from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, Table, or_

from data.identity.factor_tables import challenge, one_time_code
from data.identity.sign_on import social_login
from data.identity.tables import login_attempt, login_guard, refresh_token, session

# As long as an access token made before the end of its session could at the very most be good.
ENDED_SESSIONS_KEPT = timedelta(days=30)
LOGIN_LOG_KEPT = timedelta(days=180)
# Longer than any proof is taken for fresh: for as long must its second use be noticed.
SOCIAL_LOGINS_KEPT = timedelta(days=1)


def expired(now: datetime) -> tuple[tuple[Table, ColumnElement[bool]], ...]:
    """Give the tables with the condition that their rows have served their time.

    Used refresh tokens stay until they run out, for as long must their second use be noticed.
    """
    return (
        (login_guard, login_guard.c.counted_until < now),
        (challenge, challenge.c.expires_at < now),
        (one_time_code, one_time_code.c.expires_at < now),
        (refresh_token, refresh_token.c.expires_at < now),
        (
            session,
            or_(
                session.c.expires_at < now - ENDED_SESSIONS_KEPT,
                session.c.revoked_at < now - ENDED_SESSIONS_KEPT,
            ),
        ),
        (
            social_login,
            or_(
                social_login.c.expires_at < now - SOCIAL_LOGINS_KEPT,
                (social_login.c.expires_at < now) & social_login.c.proof.is_(None),
            ),
        ),
        (login_attempt, login_attempt.c.attempted_at < now - LOGIN_LOG_KEPT),
    )
