"""The clients of the realtime benchmark, in a process of their own: they subscribe, talk, and note when what arrives.

Run as a program it reads an `Audience` as JSON from its input and prints a `Heard` as JSON.
"""

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from itertools import count
from typing import Any

import orjson
import uvloop

from benchmarks._sockets import Client, Plan, Tally, open_client, stamp

STAMP = "@STAMP@"
SETTLE_SECONDS = 3.0
RAMP = 48


@dataclass(frozen=True)
class Crowd:
    """Clients that subscribe to one document; each is who it is, and has its own variables."""

    name: str
    document: str
    inits: Sequence[dict[str, Any]]
    variables: Sequence[dict[str, Any]]


@dataclass(frozen=True)
class Talk:
    """A mutation that is sent so often a second, in turn by the clients of a crowd that have variables for it.

    `@STAMP@` in the variables becomes the time of sending, `@NOW@` the date and time, `@NUMBER@` a number that never comes
    twice.
    """

    name: str
    crowd: str
    document: str
    variables: Sequence[dict[str, Any] | None]
    per_second: float


@dataclass(frozen=True)
class Audience:
    """Everybody, and for how long they talk."""

    port: int
    crowds: Sequence[Crowd]
    talks: Sequence[Talk]
    seconds: float


@dataclass
class Heard:
    """What came of it: per crowd the frames and their milliseconds since sending, and what went wrong."""

    opened: int = 0
    opening_seconds: float = 0.0
    seconds: float = 0.0
    frames: dict[str, int] = field(default_factory=dict)
    milliseconds: dict[str, list[float]] = field(default_factory=dict)
    sent: dict[str, int] = field(default_factory=dict)
    refused: list[str] = field(default_factory=list)
    lost: int = 0
    client_cpu_seconds: float = 0.0


def gather(audience: Audience) -> "subprocess.Popen[bytes]":
    """Start the clients; they say `open` on a line when all of them follow, and begin to talk at a line of ours."""
    started = subprocess.Popen(
        [sys.executable, __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=os.environ | {"PYTHONPATH": "."}
    )
    assert started.stdin
    started.stdin.write(orjson.dumps(asdict(audience)) + b"\n")
    started.stdin.flush()
    return started


class Party:
    """All clients of an audience at work."""

    def __init__(self, audience: Audience) -> None:
        self._audience = audience
        self._tallies = {crowd.name: Tally() for crowd in audience.crowds}
        self._clients: dict[str, list[Client]] = {}
        self._answers = Tally()
        self._numbers = count()
        self.heard = Heard()

    async def open(self) -> None:
        """Let everybody come in, some at a time."""
        began, gate = time.perf_counter(), asyncio.Semaphore(RAMP)

        async def one(plan: Plan) -> Client:
            async with gate:
                return await open_client(self._audience.port, plan)

        for crowd in self._audience.crowds:
            tally = self._tallies[crowd.name]
            plans = [
                Plan(init, crowd.document, variables, tally, self._hear(tally))
                for init, variables in zip(crowd.inits, crowd.variables, strict=True)
            ]
            self._clients[crowd.name] = list(await asyncio.gather(*(one(plan) for plan in plans)))
        self.heard.opened = sum(map(len, self._clients.values()))
        self.heard.opening_seconds = time.perf_counter() - began
        await asyncio.sleep(SETTLE_SECONDS)

    def _hear(self, tally: Tally) -> Any:
        def hear(text: bytes) -> None:
            if text.startswith(b'{"id":"m'):
                self._answered(text)
            else:
                tally.count(text)

        return hear

    def _answered(self, text: bytes) -> None:
        if (b'"code"' in text or b'"errors"' in text) and len(self.heard.refused) < 20:
            self.heard.refused.append(text[:300].decode())

    async def talk(self) -> None:
        """Talk for as long as was agreed, then listen for a while."""
        for tally in self._tallies.values():
            tally.frames, tally.milliseconds = 0, []
        cpu, began = time.process_time(), time.perf_counter()
        await asyncio.gather(*(self._speak(talk, began) for talk in self._audience.talks))
        self.heard.seconds = time.perf_counter() - began
        self.heard.client_cpu_seconds = time.process_time() - cpu
        await asyncio.sleep(SETTLE_SECONDS)
        for name, tally in self._tallies.items():
            self.heard.frames[name] = tally.frames
            self.heard.milliseconds[name] = tally.milliseconds
            self.heard.refused += [each[:300].decode() for each in tally.errors[:20]]
        self.heard.lost = sum(each.lost.done() for clients in self._clients.values() for each in clients)

    async def _speak(self, talk: Talk, began: float) -> None:
        clients = self._clients[talk.crowd]
        speakers = [
            (client, orjson.dumps(variables).decode())
            for client, variables in zip(clients, talk.variables, strict=False)
            if variables is not None
        ]
        total = int(talk.per_second * self._audience.seconds)
        for number in range(total):
            pause = began + number / talk.per_second - time.perf_counter()
            if pause > 0:
                await asyncio.sleep(pause)
            client, template = speakers[number % len(speakers)]
            written = template.replace(STAMP, stamp()).replace("@NOW@", datetime.now(UTC).isoformat())
            variables = orjson.loads(written.replace("@NUMBER@", f"{next(self._numbers)}-{os.getpid()}"))
            client.subscribe(f"m{next(self._numbers)}", talk.document, variables)
        self.heard.sent[talk.name] = total


async def main() -> None:
    """Run an audience as the parent says."""
    raw = orjson.loads(sys.stdin.buffer.readline())
    audience = Audience(
        raw["port"], [Crowd(**each) for each in raw["crowds"]], [Talk(**each) for each in raw["talks"]], raw["seconds"]
    )
    party = Party(audience)
    await party.open()
    print("open", flush=True)
    await asyncio.to_thread(sys.stdin.buffer.readline)
    await party.talk()
    sys.stdout.buffer.write(orjson.dumps(asdict(party.heard)) + b"\n")


if __name__ == "__main__":
    uvloop.run(main())
