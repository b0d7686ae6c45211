"""Rate limits in cost units or operations: token buckets in Valkey, charged before execution, with the overcharge given back."""

import math
import time
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import structlog
from redis.asyncio import Redis
from redis.exceptions import RedisError

from server.edge.executor import Bucket
from server.edge.refusal import TransportRefusal

log = structlog.get_logger("agora.edge")

REMEMBERED_CREDITS = 10_000


class RateLimited(TransportRefusal):
    """A bucket has not enough left; `retry_after_seconds` is when it will have."""

    status = 429

    def __init__(self, retry_after_seconds: float, bucket: str) -> None:
        self.retry_after_seconds = max(1, math.ceil(retry_after_seconds))
        super().__init__(
            f"The rate limit is reached; try again in {self.retry_after_seconds} s.",
            retryAfterSeconds=self.retry_after_seconds,
            bucket=bucket,
        )

    @property
    def headers(self) -> Mapping[str, str]:
        return {"retry-after": str(self.retry_after_seconds)}


class RateLimiter(Protocol):
    """Charges an operation's cost to all of its buckets, or to none."""

    async def charge(self, buckets: Sequence[Bucket], cost: float) -> None:
        """Take the cost from every bucket.

        Raises: RateLimited.
        """
        ...

    def refund(self, buckets: Sequence[Bucket], amount: float) -> None:
        """Give back what an operation was charged too much."""
        ...


class NoRateLimiter:
    async def charge(self, buckets: Sequence[Bucket], cost: float) -> None:
        """Charge nothing."""

    def refund(self, buckets: Sequence[Bucket], amount: float) -> None:
        """Give back nothing."""


CHARGE = """
local time = redis.call('TIME')
local now = time[1] + time[2] / 1000000
local levels = {}
for i, key in ipairs(KEYS) do
  local cost, capacity, refill = tonumber(ARGV[3*i-2]), tonumber(ARGV[3*i-1]), tonumber(ARGV[3*i])
  local state = redis.call('HMGET', key, 'level', 'at')
  local level = capacity
  if state[1] then
    level = math.min(capacity, tonumber(state[1]) + math.max(0, now - tonumber(state[2])) * refill)
  end
  local needed = math.min(cost, capacity)
  if level < needed then
    return {i, tostring((needed - level) / refill)}
  end
  levels[i] = math.min(capacity, level - needed)
end
for i, key in ipairs(KEYS) do
  local capacity, refill = tonumber(ARGV[3*i-1]), tonumber(ARGV[3*i])
  redis.call('HSET', key, 'level', tostring(levels[i]), 'at', tostring(now))
  redis.call('PEXPIRE', key, math.ceil(1000 * capacity / refill) + 1000)
end
return {0, '0'}
"""
"""Charges all buckets or none, in one round trip and by the server's clock.

A cost above a bucket's capacity needs a full bucket, else it could never be admitted.
"""


class ValkeyRateLimiter:
    """Token buckets shared by all processes.

    A refund waits here and lowers the next charge of the same bucket, so an operation costs one round trip, not two;
    one that waits longer than its bucket needs to fill is worth nothing and forgotten. When Valkey does not answer,
    operations are admitted: an outage of the limiter must not be one of the shop.
    """

    def __init__(self, redis: Redis, prefix: str = "agora:rate:") -> None:
        self._script: Any = redis.register_script(CHARGE)
        self._prefix = prefix
        self._credits: OrderedDict[str, tuple[float, float]] = OrderedDict()

    async def charge(self, buckets: Sequence[Bucket], cost: float) -> None:
        """Take the cost from every bucket.

        Raises: RateLimited.
        """
        if not buckets:
            return
        credit = {bucket.key: self._take_credit(bucket.key) for bucket in buckets}
        arguments: list[float] = []
        for bucket in buckets:
            charged = 1 if bucket.counted else cost - credit[bucket.key]
            arguments += [charged, bucket.capacity, bucket.refill_per_second]
        try:
            refused, wait = await self._script(keys=self._keys(buckets), args=arguments)
        except RedisError as error:
            log.warning("rate limiter unreachable, operation admitted", error=str(error))
            return
        if refused:
            self._restore(buckets, credit)
            raise RateLimited(float(wait), buckets[int(refused) - 1].key.partition(":")[0])

    def _keys(self, buckets: Sequence[Bucket]) -> list[str]:
        """Give the keys of buckets that are charged together: the last one, the tenant's, says in which slot they lie."""
        return [f"{self._prefix}{{{buckets[-1].key}}}:{each.key}" for each in buckets]

    def refund(self, buckets: Sequence[Bucket], amount: float) -> None:
        """Keep the amount for the next charge of these buckets."""
        weighed = [bucket for bucket in buckets if not bucket.counted]
        if amount > 0:
            self._restore(weighed, dict.fromkeys((bucket.key for bucket in weighed), amount))

    def _restore(self, buckets: Sequence[Bucket], credit: Mapping[str, float]) -> None:
        now = time.monotonic()
        for bucket in buckets:
            if amount := credit[bucket.key]:
                waiting = self._take_credit(bucket.key) + amount
                self._credits[bucket.key] = (waiting, now + bucket.capacity / bucket.refill_per_second)
        while len(self._credits) > REMEMBERED_CREDITS:
            self._credits.popitem(last=False)

    def _take_credit(self, key: str) -> float:
        amount, ends = self._credits.pop(key, (0.0, math.inf))
        return amount if time.monotonic() < ends else 0.0
