"""A real Valkey cluster of three masters on loopback, for tests."""

import secrets
import signal
import socket
import subprocess
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Self

from redis import Redis
from redis.exceptions import RedisError

from data.embedded.binaries import valkey_program
from data.embedded.processes import engine_environment, launch, stop

SLOTS = 16_384
PATIENCE_SECONDS = 60.0


def free_port() -> int:
    """Give a port that was free a moment ago, and so was the one of its cluster bus, ten thousand above."""
    while True:
        with socket.socket() as probe, socket.socket() as bus:
            probe.bind(("127.0.0.1", 0))
            port: int = probe.getsockname()[1]
            if port + 10_000 < 65_536:
                try:
                    bus.bind(("127.0.0.1", port + 10_000))
                except OSError:
                    continue
                return port


class ValkeyCluster:
    """Three masters that share the slots; ends with the `with` block."""

    def __init__(self, home: Path) -> None:
        self._home = home
        self._password = secrets.token_urlsafe(16)
        self._stack = ExitStack()
        self._processes: list[subprocess.Popen[bytes]] = []
        self.nodes: list[Redis] = []

    @property
    def url(self) -> str:
        """The address as a setting has it: of one node."""
        port = self.nodes[0].connection_pool.connection_kwargs["port"]
        return f"redis+cluster://:{self._password}@127.0.0.1:{port}"

    def __enter__(self) -> Self:
        with self._stack:
            for number in range(3):
                self.nodes.append(self._start(number))
            share = -(-SLOTS // 3)
            for number, node in enumerate(self.nodes):
                last = min((number + 1) * share, SLOTS) - 1
                node.execute_command("CLUSTER", "ADDSLOTSRANGE", number * share, last)
            port = self.nodes[0].connection_pool.connection_kwargs["port"]
            for node in self.nodes[1:]:
                node.execute_command("CLUSTER", "MEET", "127.0.0.1", port)
            self.agreed()
            self._stack = self._stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def _start(self, number: int) -> Redis:
        folder, port = self._home / f"node{number}", free_port()
        folder.mkdir(parents=True)
        settings = {
            "bind": "127.0.0.1",
            "port": port,
            "cluster-enabled": "yes",
            "cluster-node-timeout": 5_000,
            "requirepass": self._password,
            "masterauth": self._password,
            "save": '""',
            "dir": folder,
        }
        (folder / "valkey.conf").write_text("\n".join(f"{name} {value}" for name, value in settings.items()))
        with (folder / "log").open("wb") as output:
            process = launch(
                [valkey_program(), folder / "valkey.conf"], environment=engine_environment(), output=output
            )
        self._processes.append(process)
        self._stack.callback(stop, process, [(signal.SIGTERM, 5.0)])
        node = Redis(port=port, password=self._password)
        self._stack.callback(node.close)
        self._wait(node.ping)
        return node

    def agreed(self) -> None:
        """Wait until every node takes the cluster for whole."""
        for node in self.nodes:
            self._wait(lambda node=node: _is_whole(node))  # type: ignore[misc]

    def owner_of(self, key: str) -> Redis:
        """Give the node that has the slot of a key."""
        slot = self.nodes[0].execute_command("CLUSTER", "KEYSLOT", key)
        for first, last, (_, port, *_more), *_ in self.nodes[0].execute_command("CLUSTER", "SLOTS"):
            if first <= slot <= last:
                return next(each for each in self.nodes if each.connection_pool.connection_kwargs["port"] == port)
        raise AssertionError(key)

    def move(self, key: str) -> None:
        """Move the slot of a key with all that is in it to another master, while everybody works on."""
        source = self.owner_of(key)
        target = next(each for each in self.nodes if each is not source)
        slot, name = source.execute_command("CLUSTER", "KEYSLOT", key), target.execute_command("CLUSTER", "MYID")
        source.execute_command("CLUSTER", "MIGRATESLOTS", "SLOTSRANGE", slot, slot, "NODE", name)
        self._wait(lambda: self.owner_of(key) is target)

    @staticmethod
    def _wait(done: Any) -> None:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while True:
            try:
                if done():
                    return
            except (RedisError, OSError):
                pass
            assert time.monotonic() < deadline
            time.sleep(0.02)


def _is_whole(node: Redis) -> bool:
    info = node.execute_command("CLUSTER", "INFO")
    text = info if isinstance(info, dict) else dict(line.split(":") for line in info.decode().split())
    return text["cluster_state"] == "ok" and text["cluster_known_nodes"] == "3"
