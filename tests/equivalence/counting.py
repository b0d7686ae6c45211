"""How often each subgraph is asked, read off the figures of the groups."""

import asyncio
import re
from collections import Counter

import httpx

from tests.equivalence.worlds import Worlds

REQUESTS = re.compile(
    r'^agora_http_requests_total\{method="POST",route="subgraph_(\w+)",status="(\d+)"\} ([\d.]+)$', re.MULTILINE
)


async def requests(worlds: Worlds) -> Counter[str]:
    """Give how many requests each subgraph of the world in parts has answered so far."""
    client: httpx.AsyncClient = worlds.parts.caller.client
    pages = await asyncio.gather(*(client.get(f"{address}/metrics") for address in worlds.groups.values()))
    counted: Counter[str] = Counter()
    for page in pages:
        for context, _, number in REQUESTS.findall(page.text):
            counted[context] += int(float(number))
    return counted
