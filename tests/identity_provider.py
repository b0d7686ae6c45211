"""A real OpenID provider on loopback, and a browser in which somebody logs in there."""

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urljoin, urlsplit

import httpx

from domain.identity.identity_providers import Connection

NODE_FOLDER = Path(__file__).parent / "node"
CLIENT_ID, CLIENT_SECRET = "agora", "not told to anybody"
BACK = "http://127.0.0.1:9/back"
OLDEST_NODE = 20
SCOPES = ("openid", "email", "profile", "groups")
ANN = {"email": "ann@acme.example", "email_verified": True, "given_name": "Ann", "family_name": "Acre"}


def missing() -> str | None:
    """Say what is missing to run the provider."""
    if not shutil.which("node"):
        return "Node is not installed: the OpenID provider cannot run"
    version = subprocess.run(["node", "--version"], capture_output=True, text=True, check=True).stdout
    if int(version.strip().lstrip("v").split(".")[0]) < OLDEST_NODE:
        return f"Node {version.strip()} is too old for the OpenID provider, which wants {OLDEST_NODE} or newer"
    if not (NODE_FOLDER / "node_modules" / "oidc-provider").exists():
        return "run npm ci in tests/node"
    return None


@dataclass
class Provider:
    """A provider that runs; `people` log in there by the names that are their keys, with any password."""

    issuer: str
    people: dict[str, dict[str, Any]] = field(default_factory=dict)

    def tell(self, **wanted: Any) -> None:
        """Have it behave in a certain way."""
        httpx.post(f"{self.issuer}/control", json=wanted, timeout=30).raise_for_status()

    def calm(self, **people: dict[str, Any]) -> None:
        """Have it behave, with these people."""
        self.tell(accounts=people, tamper=None, down=[], wait=None, huge=None)

    def connection(self, provider: str = "acme", **more: Any) -> Connection:
        return Connection(
            provider=provider,
            title="Acme",
            issuer=self.issuer,
            client_id=CLIENT_ID,
            secret=CLIENT_SECRET,
            scopes=SCOPES,
            **more,
        )


@contextmanager
def provider_running(*redirect_uris: str) -> Iterator[Provider]:
    """Run a provider to which browsers may come back at these addresses."""
    command = ["node", str(NODE_FOLDER / "oidc_provider.mjs"), *redirect_uris]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        assert process.stdout is not None
        try:
            yield Provider(json.loads(process.stdout.readline())["issuer"])
        finally:
            process.terminate()


async def come_back(authorization_url: str, person: str, back: str = BACK) -> dict[str, str]:
    """Log in at the provider as a browser would, and give the parameters that it comes back with."""
    async with httpx.AsyncClient(timeout=30, trust_env=False) as browser:
        answer = await browser.get(authorization_url)
        for _ in range(12):
            if answer.is_redirect:
                target = urljoin(str(answer.url), answer.headers["location"])
                if target.startswith(back):
                    return dict(parse_qsl(urlsplit(target).query))
                answer = await browser.get(target)
                continue
            form = re.search(r'<form[^>]*action="([^"]+)"', answer.text)
            prompt = re.search(r'name="prompt" value="(\w+)"', answer.text)
            assert form, answer.text
            assert prompt, answer.text
            filled = {"prompt": prompt[1], "login": person, "password": "any"}
            answer = await browser.post(urljoin(str(answer.url), form[1]), data=filled)
    raise AssertionError("the browser never came back")
