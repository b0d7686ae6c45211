"""`agora verify`: what is tried once a deployment is done, from outside and without leaving anything behind."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass

import httpx

REQUESTS, AT_ONCE = 100, 10
PATIENCE_SECONDS = 30.0
PRODUCTS = "{ products(first: 1) { nodes { id } } }"
ADMINISTRATION = "{ auditLog(first: 1) { nodes { id } } }"
LOGIN = (
    'mutation { login(email: "nobody@agora.invalid", password: "not a password") { __typename ... on Error { code } } }'
)
REFUSALS = {"UNAUTHENTICATED", "FORBIDDEN"}


@dataclass(frozen=True)
class Tried:
    """One line of the checklist."""

    what: str
    passed: bool
    detail: str


async def run(url: str, tenant: str | None) -> list[Tried]:
    """Go through the checklist at a server's address."""
    headers = {"x-agora-tenant": tenant} if tenant else {}
    async with httpx.AsyncClient(base_url=url, headers=headers, timeout=PATIENCE_SECONDS) as client:
        return [each async for each in _checks(client)]


async def _checks(client: httpx.AsyncClient) -> AsyncIterator[Tried]:
    for what, check in (
        ("the server lives", _lives),
        ("its parts do their work", _is_ready),
        ("products are listed", _lists_products),
        ("somebody unknown is not logged in", _refuses_a_stranger),
        ("administration wants a token", _refuses_administration),
        (f"{REQUESTS} requests, {AT_ONCE} at once, are answered", _bears_load),
    ):
        try:
            passed, detail = await check(client)
        except (httpx.HTTPError, KeyError, ValueError, TypeError) as error:
            passed, detail = False, repr(error)
        yield Tried(what, passed, detail)


Check = Callable[[httpx.AsyncClient], Awaitable[tuple[bool, str]]]


async def _lives(client: httpx.AsyncClient) -> tuple[bool, str]:
    answer = await client.get("/health/live")
    return answer.status_code == httpx.codes.OK, str(answer.status_code)


async def _is_ready(client: httpx.AsyncClient) -> tuple[bool, str]:
    report = (await client.get("/health/ready")).json()
    return report["status"] == "ok", ", ".join(f"{name} {part['status']}" for name, part in report["parts"].items())


async def _lists_products(client: httpx.AsyncClient) -> tuple[bool, str]:
    answer = (await _ask(client, PRODUCTS)).json()
    return not answer.get("errors"), str(answer.get("errors", ""))


async def _refuses_a_stranger(client: httpx.AsyncClient) -> tuple[bool, str]:
    found = (await _ask(client, LOGIN)).json()["data"]["login"]
    return found["__typename"] != "Authentication", found.get("code", found["__typename"])


async def _refuses_administration(client: httpx.AsyncClient) -> tuple[bool, str]:
    codes = {each["extensions"]["code"] for each in (await _ask(client, ADMINISTRATION)).json().get("errors", ())}
    return bool(codes) and codes <= REFUSALS, ", ".join(sorted(codes))


async def _bears_load(client: httpx.AsyncClient) -> tuple[bool, str]:
    lanes = asyncio.Semaphore(AT_ONCE)

    async def one() -> bool:
        async with lanes:
            return (await _ask(client, PRODUCTS)).status_code == httpx.codes.OK

    answered = sum(await asyncio.gather(*(one() for _ in range(REQUESTS))))
    return answered == REQUESTS, f"{answered} of {REQUESTS}"


async def _ask(client: httpx.AsyncClient, document: str) -> httpx.Response:
    return await client.post("/graphql", json={"query": document})
