"""How often somebody may say that he types, over all processes."""

from uuid import UUID

from redis.asyncio import Redis

WINDOW_SECONDS = 5
SIGNALS_PER_WINDOW = 10


class RedisTypingPace:
    """Counts signals in windows of five seconds; implements the domain's `TypingPace`."""

    def __init__(self, redis: Redis, namespace: str = "agora") -> None:
        self._redis = redis
        self._prefix = f"{{{namespace}}}:typing:"

    async def admit(self, tenant_id: UUID, user_id: UUID) -> bool:
        """Count a signal; says whether it is one of those that are allowed."""
        key = f"{self._prefix}{tenant_id}:{user_id}"
        async with self._redis.pipeline() as pipe:
            pipe.incr(key)
            pipe.expire(key, WINDOW_SECONDS, nx=True)
            counted, _ = await pipe.execute()
        return int(counted) <= SIGNALS_PER_WINDOW
