"""What messages say: texts of our own, and those that a tenant writes over them, by channel and language."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol
from uuid import UUID

from domain.kernel import Aggregate, DomainError, Event, InvalidInput, Work, event, uuid7
from domain.notifications.channels import Channel
from domain.notifications.kinds import EVERYWHERE, KINDS
from domain.notifications.texts import DEFAULT_LOCALE, built_in

MOST_VARIABLES = 50
LONGEST_SUBJECT = 500
LONGEST_TEXT = 20_000
LONGEST_HTML = 100_000
_CODE = re.compile(r"[a-z][a-z0-9_]{1,63}")
_LOCALE = re.compile(r"[a-z]{2,3}(-[A-Za-z0-9]{2,8})*")


@dataclass(eq=False)
class InvalidTemplate(DomainError):
    """A template that cannot be read, reaches for what it may not have, or has no end."""

    part: str
    reason: str
    template = "The {part} of the template: {reason}."


@event("notifications.template_changed")
@dataclass(frozen=True, kw_only=True)
class TemplateChanged(Event):
    code: str
    channel: Channel
    locale: str


@dataclass(frozen=True, kw_only=True)
class Source:
    """A template as it is written; without HTML a letter gets a plain layout around its text."""

    subject: str
    text: str
    html: str | None = None
    variables: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Content:
    """What a template became."""

    subject: str
    text: str
    html: str | None = None


@dataclass(frozen=True, kw_only=True)
class Frame:
    """What the layout of a letter shows around its text."""

    shop: str
    link: str | None = None
    unsubscribe_url: str | None = None


class TemplateEngine(Protocol):
    """Reads templates; what they may do is bounded, for tenants write them."""

    def check(self, source: Source) -> None:
        """Refuse a template that could not be rendered, or speaks of what it does not declare.

        Raises: InvalidTemplate.
        """
        ...

    def render(self, source: Source, values: Mapping[str, Any], locale: str, frame: Frame | None = None) -> Content:
        """Fill in a template.

        Raises: InvalidTemplate.
        """
        ...


def chain(*locales: str) -> list[str]:
    """Give the languages to look for, each with what it falls back to: `fr-CA`, `fr`, and at last our own."""
    found: list[str] = []
    for locale in (*locales, DEFAULT_LOCALE):
        parts = locale.split("-")
        found += ["-".join(parts[:size]) for size in range(len(parts), 0, -1)]
    return list(dict.fromkeys(found))


@dataclass(eq=False, kw_only=True)
class MessageTemplate(Aggregate):
    """A tenant's own text of a kind, for one channel in one language; its versions are kept."""

    code: str
    channel: Channel
    locale: str
    subject: str = ""
    text: str = ""
    html: str | None = None
    variables: list[str] = field(default_factory=list)
    changed_at: datetime | None = None

    @property
    def source(self) -> Source:
        return Source(subject=self.subject, text=self.text, html=self.html, variables=tuple(self.variables))

    def write(self, source: Source, now: datetime) -> "TemplateVersion":
        """Take over a text that was checked, and give the version that it became."""
        self.subject, self.text, self.html = source.subject, source.text, source.html
        self.variables, self.changed_at = list(source.variables), now
        self.record(TemplateChanged(code=self.code, channel=self.channel, locale=self.locale))
        return TemplateVersion(
            tenant_id=self.tenant_id,
            template_id=self.id,
            number=self.version,
            subject=self.subject,
            text=self.text,
            html=self.html,
            written_at=now,
        )


@dataclass(eq=False, kw_only=True)
class TemplateVersion:
    """A text as it was once."""

    id: UUID = field(default_factory=uuid7)
    tenant_id: UUID
    template_id: UUID
    number: int
    subject: str
    text: str
    html: str | None
    written_at: datetime


class MessageTemplates(Protocol):
    """A tenant's own texts."""

    async def candidates(self, code: str, channel: Channel, locales: Sequence[str]) -> Sequence[MessageTemplate]: ...

    async def lock_or_create(self, blank: MessageTemplate) -> MessageTemplate: ...

    def keep(self, version: TemplateVersion) -> None: ...


async def source_of(code: str, channel: Channel, locales: Sequence[str], templates: MessageTemplates) -> Source | None:
    """Give the text for the first language that has one: the tenant's, else our own."""
    order = chain(*locales)
    written = {each.locale: each for each in await templates.candidates(code, channel, order)}
    for locale in order:
        if locale in written:
            return written[locale].source
        if (ours := own_source(code, channel, locale)) is not None:
            return ours
    return None


def own_source(code: str, channel: Channel, locale: str) -> Source | None:
    """Give our own text of a kind for a channel."""
    text, kind = built_in(code, locale), KINDS.get(code)
    if text is None or kind is None:
        return None
    body = text.text if channel is Channel.EMAIL else text.short
    return Source(subject=text.subject, text=body, variables=kind.variables)


@dataclass(frozen=True, kw_only=True)
class UpsertTemplate:
    """Write the text of a kind, for one channel in one language.

    The texts of our own kinds may speak of what these know; a kind of one's own declares its `variables`.
    """

    code: str
    channel: Channel
    locale: str
    subject: str
    text: str
    html: str | None = None
    variables: Sequence[str] = ()
    expected_version: int | None = None

    def source(self) -> Source:
        """Give what was written, held to a shape.

        Raises: InvalidInput.
        """
        if not _CODE.fullmatch(self.code):
            raise InvalidInput(field="code", reason="it is written in small letters, digits and underscores")
        if not _LOCALE.fullmatch(self.locale) or len(self.locale) > 35:
            raise InvalidInput(field="locale", reason="it is not a language tag such as en or fr-CA")
        if self.html is not None and self.channel is not Channel.EMAIL:
            raise InvalidInput(field="html", reason="only letters have HTML")
        longest = (("subject", LONGEST_SUBJECT), ("text", LONGEST_TEXT), ("html", LONGEST_HTML))
        for name, most in longest:
            if len(getattr(self, name) or "") > most or "\0" in (getattr(self, name) or ""):
                raise InvalidInput(field=name, reason=f"it has at most {most:,} characters, without a NUL")
        return Source(subject=self.subject, text=self.text, html=self.html, variables=self._variables())

    def _variables(self) -> tuple[str, ...]:
        kind = KINDS.get(self.code)
        if kind is not None:
            if not set(self.variables) <= set(kind.variables):
                raise InvalidInput(field="variables", reason=f"{self.code} knows {', '.join(kind.variables)}")
            return kind.variables
        if len(self.variables) > MOST_VARIABLES or not all(_CODE.fullmatch(each) for each in self.variables):
            raise InvalidInput(field="variables", reason=f"there are at most {MOST_VARIABLES}, in small letters")
        return tuple(sorted({*EVERYWHERE, *self.variables}))


async def upsert_template(
    command: UpsertTemplate, work: Work, templates: MessageTemplates, engine: TemplateEngine
) -> MessageTemplate:
    """Write a text; nothing is kept of one that could not be rendered.

    Raises: InvalidInput, InvalidTemplate, ConcurrentModification.
    """
    source = command.source()
    engine.check(source)
    blank = MessageTemplate(tenant_id=work.tenant_id, code=command.code, channel=command.channel, locale=command.locale)
    template = await templates.lock_or_create(blank)
    template.expect_version(command.expected_version)
    templates.keep(template.write(source, work.now))
    return template


def example_of(code: str) -> Mapping[str, Any]:
    """Give values for the variables of a kind, for previews."""
    kind = KINDS.get(code)
    return {**EVERYWHERE, **(kind.example if kind else {})}
