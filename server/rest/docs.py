"""A plain page that lists the operations of the REST API; it needs no script and loads nothing."""

import hashlib
from base64 import b64encode
from collections.abc import Iterator, Mapping
from html import escape
from typing import Any

import orjson

from server.rest.routes import OPENAPI_PATH

STYLE = """
:root { color-scheme: light dark; --line: color-mix(in srgb, currentColor 18%, transparent); }
* { box-sizing: border-box; }
body { font: 15px/1.5 system-ui, sans-serif; margin: 0 auto; max-width: 62rem; padding: 1.5rem 1rem 6rem; }
h1 { margin-bottom: .25rem; } h2 { margin-top: 2.5rem; text-transform: capitalize; }
nav a { margin-right: .75rem; text-transform: capitalize; }
details { border: 1px solid var(--line); border-radius: .4rem; margin: .4rem 0; }
summary { cursor: pointer; display: flex; flex-wrap: wrap; gap: .25rem .75rem; padding: .5rem .75rem; }
summary code { overflow-wrap: anywhere; } summary span { opacity: .75; }
.body { border-top: 1px solid var(--line); overflow-x: auto; padding: .25rem .75rem .75rem; }
.method { border-radius: .25rem; color: #fff; font: 700 .8rem/1.6 ui-monospace, monospace; text-align: center; width: 4.2rem; }
.get { background: #1f6f43; } .post { background: #1d4f91; } .put { background: #8a5a00; }
.patch { background: #6b3fa0; } .delete { background: #a3262a; }
table { border-collapse: collapse; width: 100%; } h3 { font-size: 1rem; margin: 1rem 0 .25rem; }
th, td { border-bottom: 1px solid var(--line); padding: .3rem .5rem .3rem 0; text-align: left; vertical-align: top; }
th { font-weight: 600; } code, pre { font: .87rem/1.5 ui-monospace, monospace; }
p, td { overflow-wrap: anywhere; } td:first-child { overflow-wrap: normal; }
pre { background: color-mix(in srgb, currentColor 7%, transparent); border-radius: .3rem; overflow-x: auto; padding: .75rem; }
"""
_STYLE_HASH = b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()
PAGE_HEADERS = {
    "content-security-policy": (
        f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; img-src data:; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cache-control": "no-cache",
}

Described = Mapping[str, Any]


def docs_page(api: Described) -> str:
    """Write the page for a description."""
    tags = [each["name"] for each in api["tags"]]
    links = "".join(f'<a href="#{tag}">{escape(tag)}</a>' for tag in [*tags, "schemas"])
    introduction = "".join(f"<p>{_prose(each)}</p>" for each in api["info"]["description"].split("\n\n"))
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{escape(api["info"]["title"])}</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1"><link rel="icon" href="data:,">'
        f"<style>{STYLE}</style></head><body><h1>{escape(api['info']['title'])}</h1>{introduction}"
        f'<p>For programs: <a href="{OPENAPI_PATH}">{OPENAPI_PATH}</a></p><nav>{links}</nav>'
        f"{''.join(_tag(api, tag) for tag in tags)}{_schemas(api)}</body></html>"
    )


def _tag(api: Described, tag: str) -> str:
    operations = [
        _operation(api, method, path, each)
        for path, methods in api["paths"].items()
        for method, each in methods.items()
        if tag in each["tags"]
    ]
    return f'<h2 id="{tag}">{escape(tag)}</h2>{"".join(operations)}'


def _operation(api: Described, method: str, path: str, operation: Described) -> str:
    return (
        f'<details id="{operation["operationId"]}"><summary><b class="method {method}">{method.upper()}</b>'
        f"<code>{escape(path)}</code><span>{escape(operation['summary'])}</span></summary>"
        f'<div class="body"><p>{_prose(operation["description"])}</p>{"".join(_parts(api, operation))}</div></details>'
    )


def _parts(api: Described, operation: Described) -> Iterator[str]:
    rows = [_parameter(_resolved(api, each)) for each in operation["parameters"]]
    yield f"<h3>Parameters</h3><table><tr><th>Name<th>In<th>Type<th></tr>{''.join(rows)}</table>"
    if body := operation.get("requestBody"):
        yield f"<h3>Body</h3>{_content(body)}"
    yield "<h3>Responses</h3><table><tr><th>Status<th>Body<th></tr>"
    for status, each in operation["responses"].items():
        response = _resolved(api, each)
        yield f"<tr><td>{status}<td>{_content(response)}<td>{_prose(response['description'])}</tr>"
    yield "</table>"


def _parameter(each: Described) -> str:
    needed = "<b>required</b> " if each["required"] else ""
    return (
        f"<tr><td><code>{escape(each['name'])}</code><td>{each['in']}<td>{_type(each['schema'])}"
        f"<td>{needed}{_prose(each.get('description', ''))}</tr>"
    )


def _content(described: Described) -> str:
    return ", ".join(_type(each["schema"]) for each in described.get("content", {}).values())


def _prose(text: str) -> str:
    """Write a text, with what stands between backticks as code."""
    parts = escape(text).split("`")
    return "".join(f"<code>{each}</code>" if place % 2 else each for place, each in enumerate(parts))


def _resolved(api: Described, each: Described) -> Described:
    found: Any = each
    if "$ref" in each:
        found = api
        for part in each["$ref"].removeprefix("#/").split("/"):
            found = found[part]
    return found  # type: ignore[no-any-return]


def _type(schema: Described) -> str:
    """Name a type in a line; what has a name is linked."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return f'<a href="#schema-{name}"><code>{name}</code></a>'
    if "anyOf" in schema:
        return " or ".join(_type(each) for each in schema["anyOf"])
    kinds = schema.get("type", "any")
    named = " or ".join(kinds) if isinstance(kinds, list) else kinds
    if "items" in schema:
        return f"{named} of {_type(schema['items'])}"
    if "properties" in schema:
        inner = ", ".join(f"{name}: {_type(each)}" for name, each in schema["properties"].items())
        return f"{{ {inner} }}"
    form = f" ({schema['format']})" if "format" in schema else ""
    default = f", {schema['default']} by default" if "default" in schema else ""
    return escape(f"{named}{form}{default}")


def _schemas(api: Described) -> str:
    parts = []
    for name, schema in api["components"]["schemas"].items():
        description = _prose(schema.get("description", ""))
        parts.append(f'<h3 id="schema-{name}"><code>{name}</code></h3><p>{description}</p>{_schema(schema)}')
    return f'<h2 id="schemas">Schemas</h2>{"".join(parts)}'


def _schema(schema: Described) -> str:
    if "properties" not in schema:
        return f"<pre>{escape(orjson.dumps(schema.get('enum', schema)).decode())}</pre>"
    needed = set(schema.get("required", ()))
    rows = [
        f"<tr><td><code>{escape(name)}</code>{'' if name in needed else '?'}<td>{_type(each)}"
        f"<td>{_prose(each.get('description', ''))}</tr>"
        for name, each in schema["properties"].items()
    ]
    return f"<table><tr><th>Field<th>Type<th></tr>{''.join(rows)}</table>"
