"""Templates that tenants write: what they may do, and what they may not."""

from typing import Any

import pytest

from domain.notifications import KINDS, Channel, Frame, InvalidTemplate, Source, example_of, own_source
from domain.notifications.texts import languages
from server.notifications.templating import LONGEST_OUTPUT, JinjaTemplates

ENGINE = JinjaTemplates()


def source(text: str, *variables: str, **more: Any) -> Source:
    return Source(subject="s", text=text, variables=variables, **more)


class TestOurOwnTexts:
    @pytest.mark.parametrize("code", KINDS)
    @pytest.mark.parametrize("locale", languages())
    def test_are_filled_in_with_what_their_kind_knows(self, code: str, locale: str) -> None:
        for channel in KINDS[code].channels:
            written = own_source(code, channel, locale)
            assert written is not None
            ENGINE.check(written)
            content = ENGINE.render(written, example_of(code), locale, Frame(shop="Harbour"))
            assert content.subject
            assert content.text
            assert "{{" not in f"{content.subject}{content.text}"

    def test_show_amounts_as_their_readers_do(self) -> None:
        shown = {}
        for locale in ("en", "fr", "ru", "en-CA", "xx"):
            written = own_source("order_paid", Channel.IN_APP, "en")
            assert written is not None
            shown[locale] = ENGINE.render(written, example_of("order_paid"), locale).text
        assert shown["en"] == shown["xx"] == "Your payment of CA$45.99 has arrived."
        assert shown["en-CA"] == "Your payment of $45.99 has arrived."
        assert "45,99" in shown["fr"]
        assert "45,99" in shown["ru"]


class TestCheck:
    @pytest.mark.parametrize(
        "text",
        [
            "{{ x.__class__ }}",
            "{{ x['__class__'].mro() }}",
            "{{ x|attr('__class__') }}",
            "{{ ''.__class__.__mro__ }}",
            "{{ cycler.__init__.__globals__ }}",
            "{{ range(10 ** 9) }}",
            "{% for i in range(999999999) %}x{% endfor %}",
            "{{ 'x' * 999999999 }}",
            "{% for a in x %}{% for b in x %}{% for c in x %}.{% endfor %}{% endfor %}{% endfor %}",
            "{% for a in x recursive %}{{ loop(x) }}{% endfor %}",
            "{% for a in x|list %}.{% endfor %}",
            "{% include '/etc/passwd' %}",
            "{% import 'x' as y %}",
            "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}",
            "{% set y = x %}{{ y }}",
            "{{ x|pprint }}",
            "{{ x|format(1) }}",
            "{{ x }",
            "{% for a in x %}",
            "{{ lipsum }}",
            "{{ self }}",
            "{{ y }}",
            "{{ x is sameas x }}",
            "{{ [1, 2] }}",
            "{{ '%999999999s'|format(x) }}",
            "(" * 3 + "{{ " + "(" * 3000 + "x" + ")" * 3000 + " }}",
        ],
    )
    def test_refuses_what_a_message_has_no_use_for(self, text: str) -> None:
        with pytest.raises(InvalidTemplate):
            ENGINE.check(source(text, "x"))

    @pytest.mark.parametrize(
        "text",
        [
            "{{ x|upper|default('none') }}",
            "{% if x == 1 and not x is none %}one{% else %}many{% endif %}",
            "{% for line in x %}{{ loop.index }}. {{ line.name }}{% if not loop.last %}, {% endif %}{% endfor %}",
            "{{ 'a' if x else 'b' }}{{ x ~ '!' }}",
        ],
    )
    def test_lets_messages_show_choose_and_list(self, text: str) -> None:
        ENGINE.check(source(text, "x"))


class TestRender:
    def test_gives_nothing_of_what_objects_are(self) -> None:
        class Secret:
            password = "hunter2"

        with pytest.raises(InvalidTemplate):
            ENGINE.render(source("{{ x.password }}", "x"), {"x": Secret()}, "en")

    def test_refuses_what_nobody_gave(self) -> None:
        with pytest.raises(InvalidTemplate):
            ENGINE.render(source("{{ x }}", "x"), {}, "en")

    def test_ends_what_goes_on_for_too_long(self) -> None:
        text = "{% for a in x %}{% for b in x %}" + "y" * 100 + "{% endfor %}{% endfor %}"
        with pytest.raises(InvalidTemplate, match="too long"):
            ENGINE.render(source(text, "x"), {"x": list(range(100))}, "en")
        with pytest.raises(InvalidTemplate, match="entries"):
            ENGINE.render(source(text, "x"), {"x": list(range(10_000))}, "en")
        assert LONGEST_OUTPUT < 100 * 100 * 100

    def test_escapes_in_html_and_nowhere_else(self) -> None:
        written = source("{{ x }}", "x", html="<p>{{ x }}</p>")
        content = ENGINE.render(written, {"x": "<script>&"}, "en")
        assert (content.text, content.html) == ("<script>&", "<p>&lt;script&gt;&amp;</p>")
        plain = ENGINE.render(source("{{ x }}", "x"), {"x": "<script>&"}, "en", Frame(shop="<Shop>"))
        assert plain.html is not None
        assert "<script>" not in plain.html
        assert "&lt;Shop&gt;" in plain.html

    def test_keeps_a_subject_on_one_line(self) -> None:
        written = Source(subject="Hi {{ x }}", text="", variables=("x",))
        assert ENGINE.render(written, {"x": "a\r\nBcc: everybody"}, "en").subject == "Hi a Bcc: everybody"
