"""The languages that a tenant speaks."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol, Self
from uuid import UUID

from babel import Locale, UnknownLocaleError

from domain.kernel import Aggregate, DomainError, Envelope, Event, InvalidInput, Subscriptions, Work, event

subscriptions = Subscriptions("localization")

LONGEST_NAME = 100


@dataclass(eq=False)
class DefaultLanguageRequired(DomainError):
    """The default language can be replaced by another, not switched off."""

    language: str
    template = "{language} is the default language: make another one the default first."


@event("localization.language_changed")
@dataclass(frozen=True, kw_only=True)
class LanguageChanged(Event):
    language: str
    is_active: bool
    is_default: bool


@dataclass(eq=False, kw_only=True)
class SupportedLanguage(Aggregate):
    """A language, by its tag: `en`, `fr-CA`, `zh-Hant`. A tenant has one default, in which its texts are written."""

    code: str
    name: str
    native_name: str
    rtl: bool
    is_active: bool = True
    is_default: bool = False

    @classmethod
    def of(cls, tenant_id: UUID, code: str) -> Self:
        """Make a language with its names.

        Raises: InvalidInput.
        Source: Unicode CLDR.
        """
        locale = parse_language(code)
        english, native = locale.get_display_name("en"), locale.get_display_name()
        return cls(
            tenant_id=tenant_id,
            code=tag_of(locale),
            name=english or code,
            native_name=native or english or code,
            rtl=locale.text_direction == "rtl",
        )

    def set(self, *, active: bool, default: bool) -> None:
        """Switch the language on or off, and make it the default.

        Raises: DefaultLanguageRequired.
        """
        if self.is_default and not (active and default):
            raise DefaultLanguageRequired(language=self.code)
        if default and not active:
            raise InvalidInput(field="isDefault", reason="only an active language can be the default")
        self.is_active, self.is_default = active, default
        self._tell()

    def step_down(self) -> None:
        """Make room for another default."""
        self.is_default = False
        self._tell()

    def _tell(self) -> None:
        self.record(LanguageChanged(language=self.code, is_active=self.is_active, is_default=self.is_default))


def parse_language(code: str) -> Locale:
    """Read a language tag.

    Raises: InvalidInput for one that the Unicode CLDR does not know.
    """
    try:
        return Locale.parse(code, sep="-")
    except (ValueError, TypeError, UnknownLocaleError) as error:
        raise InvalidInput(field="language", reason=f"{code!r} is not a language tag such as en or fr-CA") from error


def tag_of(locale: Locale) -> str:
    """Write a locale as a language tag."""
    return "-".join(part for part in (locale.language, locale.script, locale.territory) if part)


class Languages(Protocol):
    """Languages for change."""

    async def find(self, code: str) -> SupportedLanguage | None: ...

    async def default(self) -> SupportedLanguage | None:
        """Give the default language, locked until the transaction ends."""
        ...

    async def add(self, language: SupportedLanguage) -> None: ...

    async def settle(self) -> None:
        """Send what has changed so far, for the next default must not meet the last one."""
        ...


class LanguageReads(Protocol):
    """The languages of tenants, the default first."""

    async def all(self, *, active_only: bool) -> Sequence[Any]: ...

    async def of_tenants(self, tenant_ids: Sequence[UUID]) -> list[list[Any]]: ...


@dataclass(frozen=True, kw_only=True)
class SetSupportedLanguage:
    """Add a language, switch it on or off, or make it the default; the first one is the default by itself."""

    code: str
    is_active: bool = True
    is_default: bool | None = None


async def set_supported_language(command: SetSupportedLanguage, work: Work, languages: Languages) -> SupportedLanguage:
    blank = SupportedLanguage.of(work.tenant_id, command.code)
    previous = await languages.default()
    language = await languages.find(blank.code)
    if language is None:
        language = blank
        await languages.add(language)
    default = language.is_default if command.is_default is None else command.is_default
    if previous is not None and previous is not language and default:
        previous.step_down()
        await languages.settle()
    language.set(active=command.is_active, default=default or previous is None)
    return language


@subscriptions.on("tenancy.tenant_created")
async def greet_tenant(envelope: Envelope, work: Work, languages: Languages) -> None:
    """Let a new tenant speak the language that it was taken on with; a second greeting changes nothing."""
    if await languages.default() is None:
        command = SetSupportedLanguage(code=str(envelope.data["locale"]))
        await set_supported_language(command, work, languages)


async def require_translatable(languages: Languages, code: str) -> str:
    """Give the tag of an active language that is not the default, for in that one the texts are written.

    Raises: InvalidInput.
    """
    language = await languages.find(tag_of(parse_language(code)))
    if language is None or not language.is_active:
        raise InvalidInput(field="language", reason=f"{code} is none of the tenant's languages")
    if language.is_default:
        raise InvalidInput(field="language", reason=f"texts are written in {code}: change them where they stand")
    return language.code
