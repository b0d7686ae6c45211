"""Templates of tenants, rendered by Jinja in a sandbox of ours: they are read, not trusted.

A template may show values, choose, and go through the lists that it is given. It calls nothing, computes nothing, reads
no attribute of any object, and goes through lists within lists no deeper than twice; what it writes is bounded.
"""

from collections.abc import Mapping
from decimal import Decimal
from functools import cache, lru_cache
from typing import Any

from domain.money import decimal_text
from domain.notifications import Content, Frame, InvalidTemplate, Source

LONGEST_OUTPUT = 200_000
DEEPEST_LOOP = 2
MOST_ROUNDS = 10_000
MOST_ITEMS = 200
_FILTERS = frozenset(
    {"capitalize", "default", "e", "escape", "first", "join", "last", "length", "lower", "money", "title", "trim", "truncate", "upper"}
)  # fmt: skip
_SPECIAL = frozenset({"self", "super", "caller", "varargs", "kwargs", "_locale"})
_TESTS = frozenset({"defined", "none", "string", "number"})
_NODES = frozenset(
    {
        "Template", "Output", "TemplateData", "Name", "Const", "If", "For", "Filter", "Test", "Compare", "Operand",
        "And", "Or", "Not", "CondExpr", "Concat", "Getattr", "Getitem", "Keyword",
    }
)  # fmt: skip
_LAYOUT = """<!doctype html>
<html lang="{{ locale }}"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>{{ subject }}</title></head>
<body style="margin:0;background:#f3f4f1;font-family:system-ui,-apple-system,'Segoe UI',sans-serif;color:#1d2620">
<table role="presentation" width="100%" cellpadding="0" cellspacing="0"><tr><td align="center" style="padding:32px 12px">
<table role="presentation" width="100%" cellpadding="0" cellspacing="0" style="max-width:560px;background:#fff;border-radius:12px">
<tr><td style="padding:28px 32px 0;font-size:14px;font-weight:600;color:#2f6b4f">{{ shop }}</td></tr>
<tr><td style="padding:12px 32px 0;font-size:22px;font-weight:650;line-height:1.3">{{ subject }}</td></tr>
<tr><td style="padding:8px 32px 24px;font-size:16px;line-height:1.55">
{% for paragraph in paragraphs %}<p style="margin:12px 0;white-space:pre-line">{{ paragraph }}</p>
{% endfor %}{% if link %}<p style="margin:24px 0 8px"><a href="{{ link }}" style="display:inline-block;padding:12px 22px;
border-radius:8px;background:#2f6b4f;color:#fff;text-decoration:none;font-weight:600">{{ open }}</a></p>{% endif %}
</td></tr></table>
{% if unsubscribe_url %}<p style="font-size:12px;color:#68736c">
<a href="{{ unsubscribe_url }}" style="color:#68736c">{{ leave }}</a></p>{% endif %}
</td></tr></table></body></html>
"""
_WORDS = {
    "en": ("Open", "Unsubscribe"),
    "fr": ("Ouvrir", "Se désabonner"),
    "ru": ("Открыть", "Отписаться"),
}


class JinjaTemplates:
    """Implements the domain's `TemplateEngine`; the library is loaded with the first template."""

    def check(self, source: Source) -> None:
        for part, text in _parts(source):
            _checked(part, text, source.variables)

    def render(self, source: Source, values: Mapping[str, Any], locale: str, frame: Frame | None = None) -> Content:
        subject, text, html = (
            None if written is None else _rendered(part, written, source.variables, values, locale)
            for part, written in (("subject", source.subject), ("text", source.text), ("html", source.html))
        )
        # A subject is one line: a line break in a header would begin another header.
        content = Content(subject=" ".join((subject or "").split())[:500], text=(text or "").strip(), html=html)
        if frame is None or html is not None:
            return content
        return Content(subject=content.subject, text=content.text, html=_laid_out(content, locale, frame))


def _parts(source: Source) -> list[tuple[str, str]]:
    written = [("subject", source.subject), ("text", source.text), ("html", source.html)]
    return [(part, text) for part, text in written if text is not None]


@cache
def _environment(*, escapes: bool) -> Any:
    # The library weighs more than a server that renders nothing should carry.
    from jinja2 import StrictUndefined, pass_context  # noqa: PLC0415
    from jinja2.exceptions import SecurityError  # noqa: PLC0415
    from jinja2.sandbox import ImmutableSandboxedEnvironment  # noqa: PLC0415

    class Sandbox(ImmutableSandboxedEnvironment):
        """Gives what mappings hold, and nothing of what objects are."""

        def getattr(self, obj: Any, attribute: str) -> Any:
            if type(obj).__name__ == "LoopContext" and attribute in {"index", "first", "last", "length"}:
                return getattr(obj, attribute)
            return self.getitem(obj, attribute)

        def getitem(self, obj: Any, argument: Any) -> Any:
            if not isinstance(obj, Mapping | list | tuple):
                raise SecurityError(f"{argument} is not to be read")
            try:
                return obj[argument]
            except (LookupError, TypeError):
                return self.undefined(obj=obj, name=str(argument))

    made = Sandbox(autoescape=escapes, undefined=StrictUndefined, cache_size=0, auto_reload=False)
    made.globals.clear()
    made.filters = {name: made.filters[name] for name in _FILTERS - {"money"}}
    made.tests = {name: made.tests[name] for name in _TESTS} | {"eq": made.tests["eq"]}
    made.filters["money"] = pass_context(_money)
    return made


def _money(context: Any, amount: Any) -> str:
    """Write an amount as readers of the language do."""
    from babel import Locale, UnknownLocaleError  # noqa: PLC0415 — see above.
    from babel.numbers import format_currency  # noqa: PLC0415 — see above.

    currency = str(amount["currency"])
    number = Decimal(decimal_text(int(amount["amount_minor"]), currency))
    try:
        locale = Locale.parse(context.get("_locale", "en"), sep="-")
    except (UnknownLocaleError, ValueError):
        locale = Locale("en")
    return str(format_currency(number, currency, locale=locale))


def _checked(part: str, text: str, variables: tuple[str, ...]) -> None:
    from jinja2 import TemplateError, meta  # noqa: PLC0415 — see above.

    environment = _environment(escapes=part == "html")
    try:
        tree = environment.parse(text)
        environment.compile(tree)
        undeclared = meta.find_undeclared_variables(tree) - set(variables) - {"loop"}
    except (TemplateError, RecursionError) as error:
        raise InvalidTemplate(part=part, reason=str(error) or "it is nested too deeply") from error
    if undeclared:
        raise InvalidTemplate(part=part, reason=f"nothing says what {', '.join(sorted(undeclared))} is")
    _examine(part, tree, depth=0)


def _examine(part: str, node: Any, depth: int) -> None:
    """Refuse whatever a template has no use for."""
    kind = type(node).__name__
    if kind not in _NODES:
        raise InvalidTemplate(part=part, reason=f"{kind} is not allowed in templates")
    if kind == "Name" and node.name in _SPECIAL:
        raise InvalidTemplate(part=part, reason=f"{node.name} is not to be read")
    if kind == "Filter" and node.name not in _FILTERS:
        raise InvalidTemplate(part=part, reason=f"there is no filter {node.name}")
    if kind == "Test" and node.name not in _TESTS:
        raise InvalidTemplate(part=part, reason=f"there is no test {node.name}")
    if kind == "Getattr" and node.attr.startswith("_"):
        raise InvalidTemplate(part=part, reason=f"{node.attr} is not to be read")
    if kind == "For":
        depth += 1
        if depth > DEEPEST_LOOP or node.recursive:
            raise InvalidTemplate(part=part, reason=f"lists are gone through {DEEPEST_LOOP} deep at most")
        if type(node.iter).__name__ not in {"Name", "Getattr", "Getitem"}:
            raise InvalidTemplate(part=part, reason="only lists that it is given are gone through")
    for child in node.iter_child_nodes():
        _examine(part, child, depth)


@lru_cache(maxsize=256)
def _compiled(part: str, text: str, variables: tuple[str, ...]) -> Any:
    # Looked at again: what is kept may have been written under other rules.
    _checked(part, text, variables)
    return _environment(escapes=part == "html").from_string(text)


def _rendered(part: str, text: str, variables: tuple[str, ...], values: Mapping[str, Any], locale: str) -> str:
    from jinja2 import TemplateError  # noqa: PLC0415 — see above.

    template, written, size, rounds = _compiled(part, text, variables), [], 0, 0
    given = {name: values[name] for name in variables if name in values}
    if any(isinstance(value, list | tuple) and len(value) > MOST_ITEMS for value in given.values()):
        raise InvalidTemplate(part=part, reason=f"a list has more than {MOST_ITEMS} entries")
    try:
        for piece in template.generate({**given, "_locale": locale}):
            size, rounds = size + len(piece), rounds + 1
            if size > LONGEST_OUTPUT or rounds > MOST_ROUNDS:
                raise InvalidTemplate(part=part, reason="it goes on for too long")
            written.append(piece)
    except (TemplateError, TypeError, ValueError, KeyError, ArithmeticError) as error:
        raise InvalidTemplate(part=part, reason=str(error) or type(error).__name__) from error
    return "".join(written)


def _laid_out(content: Content, locale: str, frame: Frame) -> str:
    """Put a plain layout around a text."""
    opening, leaving = _WORDS.get(locale.partition("-")[0], _WORDS["en"])
    paragraphs = [each for each in content.text.split("\n\n") if each.strip()]
    return str(
        _layout().render(
            locale=locale,
            subject=content.subject,
            shop=frame.shop,
            paragraphs=paragraphs,
            link=frame.link,
            unsubscribe_url=frame.unsubscribe_url,
            open=opening,
            leave=leaving,
        )
    )


@cache
def _layout() -> Any:
    return _environment(escapes=True).from_string(_LAYOUT)
