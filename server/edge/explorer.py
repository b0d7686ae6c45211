"""The GraphiQL page, served with all its assets from this process: it works offline and asks no CDN."""

import html
from pathlib import Path

import orjson
from starlette.middleware.gzip import GZipMiddleware
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp

from server.edge.settings import EdgeSettings

STATIC_FOLDER = Path(__file__).parent / "static"
STATIC_PATH = "/static/explorer"

PAGE_HEADERS = {
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; font-src 'self' data:; "
        "img-src 'self' data:; connect-src 'self' ws: wss:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cache-control": "no-cache",
}

_SCRIPTS = (
    "react.production.min.js",
    "react-dom.production.min.js",
    "graphiql.min.js",
    "graphql-ws.min.js",
    "explorer.js",
)
_STYLES = ("graphiql.min.css", "explorer.css")


def explorer_page(settings: EdgeSettings) -> bytes:
    """Write the page, with the example operations in tabs of their own."""
    examples = [
        {"query": f"# {example.title}\n{example.query}", "variables": example.variables}
        for example in settings.examples
    ]
    state = orjson.dumps({"path": settings.path, "examples": examples}).decode().replace("</", "<\\/")
    styles = "".join(f'<link rel="stylesheet" href="{STATIC_PATH}/{name}">' for name in _STYLES)
    scripts = "".join(f'<script src="{STATIC_PATH}/{name}"></script>' for name in _SCRIPTS)
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{html.escape(settings.title)}</title>'
        f'<link rel="icon" href="data:,">{styles}</head>'
        f'<body><div id="graphiql"></div><script type="application/json" id="explorer">{state}</script>{scripts}</body></html>'
    ).encode()


def static_files() -> ASGIApp:
    return GZipMiddleware(StaticFiles(directory=STATIC_FOLDER), minimum_size=10_000, compresslevel=6)
