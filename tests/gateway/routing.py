"""Requests as a federation router sends them."""

from collections.abc import Generator

import httpx

from server.router import HEADER, RouterTrust


class AsRouter(httpx.Auth):
    """Proves every request with the router's key."""

    requires_request_body = True

    def __init__(self, key: str) -> None:
        self._trust = RouterTrust(key)

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response]:
        headers = {name.lower(): value for name, value in request.headers.items()}
        request.headers[HEADER] = self._trust.prove(request.method, request.url.path, headers, request.content)
        yield request
