import pytest

from domain.kernel import AlreadyExists, DomainError, InvalidInput, NotFound, Principal, Work, uuid7
from domain.localization import (
    AddSkipWord,
    BatchTranslate,
    DefaultLanguageRequired,
    Segment,
    SetSupportedLanguage,
    SupportedLanguage,
    TranslatableType,
    Translation,
    TranslationBatchStatus,
    TranslationKey,
    TranslationLevel,
    TranslationOverride,
    TranslationStatus,
    add_skip_word,
    faithful,
    fallbacks,
    is_untranslatable,
    negotiate,
    new_batch,
    preferences,
    put_override,
    require_translatable,
    segment,
    set_supported_language,
    shown_text,
    withdraw_override,
    write_translation,
)
from tests.conftest import NOW

TENANT = uuid7()
WORK = Work(tenant_id=TENANT, actor=Principal(user_id=uuid7()), now=NOW, correlation_id="test")
LANGUAGES = ("en", "fr-CA", "ru", "zh-Hant")


class TestNegotiate:
    @pytest.mark.parametrize(
        ("header", "chosen"),
        [
            (None, "en"),
            ("", "en"),
            ("ru", "ru"),
            ("RU-ru", "ru"),
            ("fr-CA,fr;q=0.9,en;q=0.8", "fr-CA"),
            ("fr", "fr-CA"),
            ("fr-FR", "en"),
            ("de, ru;q=0.3, en;q=0.4", "en"),
            ("ru;q=0.5, fr-ca;q=0.6", "fr-CA"),
            ("zh-Hant-TW", "zh-Hant"),
            ("zh-Hans", "en"),
            ("*", "en"),
            ("de, *;q=0.1", "en"),
            ("en;q=0, *", "fr-CA"),
            ("ru;q=0", "en"),
            ("ru;q=0.1, ru;q=0", "en"),
            ("ru;q=2", "en"),
            ("ru;q=0.1234", "en"),
            ("ru; q = 0.8", "ru"),
            (";;;,,,ru", "ru"),
            ("../../etc/passwd", "en"),
            ("ru" + "," * 5_000, "ru"),
            ("de," * 5_000 + "ru", "en"),
            ("\x00ru", "en"),
            ("русский", "en"),
        ],
    )
    def test_meets_a_header(self, header, chosen):
        assert negotiate(header, LANGUAGES, "en") == chosen

    def test_gives_the_default_where_nothing_is_supported(self):
        assert negotiate("ru", (), "en") == "en"

    def test_keeps_the_order_of_equal_weights(self):
        assert preferences("ru, en;q=0.5, fr, de;q=0.5") == [("ru", 1.0), ("fr", 1.0), ("en", 0.5), ("de", 0.5)]

    def test_falls_back_from_special_to_general(self):
        assert fallbacks("zh-Hant-TW") == ["zh-Hant-TW", "zh-Hant", "zh"]
        assert fallbacks("de-x-private") == ["de-x-private", "de"]


class FakeLanguages:
    def __init__(self, *codes: str) -> None:
        self.kept = {}
        for code in codes:
            language = SupportedLanguage.of(TENANT, code)
            language.is_default = not self.kept
            self.kept[code] = language

    async def find(self, code):
        return self.kept.get(code)

    async def default(self):
        return next((each for each in self.kept.values() if each.is_default), None)

    async def add(self, language):
        self.kept[language.code] = language

    async def settle(self):
        assert sum(each.is_default for each in self.kept.values()) <= 1


class TestSupportedLanguages:
    async def test_names_come_from_the_locale_data(self):
        arabic = await set_supported_language(SetSupportedLanguage(code="ar"), WORK, FakeLanguages("en"))
        assert (arabic.name, arabic.native_name, arabic.rtl) == ("Arabic", "العربية", True)

    async def test_first_one_is_the_default(self):
        languages = FakeLanguages()
        await set_supported_language(SetSupportedLanguage(code="en-ca"), WORK, languages)
        assert [(each.code, each.is_default) for each in languages.kept.values()] == [("en-CA", True)]

    async def test_default_moves_to_another(self):
        languages = FakeLanguages("en", "ru")
        await set_supported_language(SetSupportedLanguage(code="ru", is_default=True), WORK, languages)
        assert {code: each.is_default for code, each in languages.kept.items()} == {"en": False, "ru": True}

    @pytest.mark.parametrize("change", [{"is_active": False}, {"is_default": False}])
    async def test_default_cannot_be_taken_away(self, change):
        languages = FakeLanguages("en", "ru")
        with pytest.raises(DefaultLanguageRequired) as refusal:
            await set_supported_language(SetSupportedLanguage(code="en", **change), WORK, languages)
        english = languages.kept["en"]
        assert (refusal.value.language, english.is_default, english.is_active) == ("en", True, True)

    async def test_other_ones_can_be_switched_off(self):
        languages = FakeLanguages("en", "ru")
        await set_supported_language(SetSupportedLanguage(code="ru", is_active=False), WORK, languages)
        assert not languages.kept["ru"].is_active
        with pytest.raises(InvalidInput):
            await require_translatable(languages, "ru")

    @pytest.mark.parametrize("code", ["", "klingon", "en_CA_x", "e", "\x00", "en-XXXX-YY-ZZ", "русский"])
    async def test_unknown_ones_are_refused(self, code):
        languages = FakeLanguages("en")
        with pytest.raises(InvalidInput):
            await set_supported_language(SetSupportedLanguage(code=code), WORK, languages)
        assert list(languages.kept) == ["en"]

    async def test_texts_are_not_translated_into_the_default(self):
        with pytest.raises(InvalidInput):
            await require_translatable(FakeLanguages("en", "ru"), "en")


class FakeTranslations:
    def __init__(self) -> None:
        self.kept, self.overrides = {}, {}

    async def find(self, key):
        return self.kept.get(key)

    async def add(self, new):
        self.kept[key_of(new)] = new

    async def find_override(self, key, store_id):
        return self.overrides.get((key, store_id))

    async def add_override(self, new):
        self.overrides[key_of(new), new.store_id] = new

    async def remove_override(self, old):
        del self.overrides[key_of(old), old.store_id]


def key_of(aggregate: Translation | TranslationOverride) -> TranslationKey:
    return TranslationKey(
        entity_type=aggregate.entity_type,
        entity_id=aggregate.entity_id,
        field=aggregate.field,
        language=aggregate.language,
    )


def a_key(field: str = "name") -> TranslationKey:
    return TranslationKey(entity_type=TranslatableType.PRODUCT, entity_id=uuid7(), field=field, language="ru")


def told(aggregate) -> list[tuple[str, str | None]]:
    return [
        (each.event.name.partition(".")[2], getattr(each.event, "text", None)) for each in aggregate.release_events()
    ]


class TestTranslation:
    async def test_tells_its_text(self):
        made = await write_translation(a_key(), " Лампа ", "Lamp", "human", WORK, FakeTranslations())
        assert (made.text, made.status) == ("Лампа", TranslationStatus.FRESH)
        assert told(made) == [("translation_created", None), ("translation_changed", "Лампа")]

    async def test_says_nothing_while_the_tenant_overrides_it(self):
        translations, key = FakeTranslations(), a_key()
        await put_override(key, None, "Светильник", WORK, translations)
        made = await write_translation(key, "Лампа", "Lamp", "human", WORK, translations)
        assert told(made) == [("translation_created", None)]

    async def test_is_told_though_a_store_overrides_it(self):
        translations, key = FakeTranslations(), a_key()
        override = await put_override(key, uuid7(), "Светильник", WORK, translations)
        made = await write_translation(key, "Лампа", "Lamp", "human", WORK, translations)
        assert told(override) == [("override_applied", "Светильник")]
        assert told(made)[-1] == ("translation_changed", "Лампа")

    async def test_goes_stale_when_the_source_changes_and_fresh_when_written_anew(self):
        made = await write_translation(a_key(), "Лампа", "Lamp", "human", WORK, FakeTranslations())
        made.compare("  Lamp ")
        assert made.status is TranslationStatus.FRESH
        made.compare("Desk lamp")
        made.compare("Desk lamp")
        assert [name for name, _ in told(made)][2:] == ["translation_outdated"]
        made.write("Настольная лампа", "Desk lamp", "human", overridden=False)
        assert made.status is TranslationStatus.FRESH

    async def test_of_a_machine_says_so(self):
        made = await write_translation(a_key(), "Лампа", "Lamp", "dictionary", WORK, FakeTranslations())
        assert (made.status, made.provider) == (TranslationStatus.MACHINE, "dictionary")

    @pytest.mark.parametrize(
        ("field", "text", "wrong"),
        [("name", " ", "text"), ("name", "x" * 256, "text"), ("name", "a\x00", "text"), ("sku", "x", "field")],
    )
    async def test_refuses_what_cannot_be_kept(self, field, text, wrong):
        translations = FakeTranslations()
        with pytest.raises(InvalidInput) as refusal:
            await put_override(a_key(field), None, text, WORK, translations)
        assert refusal.value.field == wrong


class TestOverride:
    async def test_of_the_tenant_gives_way_to_the_translation(self):
        translations, key = FakeTranslations(), a_key()
        await write_translation(key, "Лампа", "Lamp", "human", WORK, translations)
        override = await put_override(key, None, "Светильник", WORK, translations)
        await withdraw_override(key, None, translations)
        assert told(override) == [
            ("override_applied", "Светильник"),
            ("translation_changed", "Светильник"),
            ("override_applied", None),
            ("translation_changed", "Лампа"),
        ]
        assert translations.overrides == {}

    async def test_that_is_not_there_cannot_be_withdrawn(self):
        with pytest.raises(NotFound):
            await withdraw_override(a_key(), None, FakeTranslations())

    def test_of_the_store_comes_first_then_the_tenants_then_the_translation(self):
        store_id, key = uuid7(), a_key()
        translation = Translation(tenant_id=TENANT, text="translation", **vars(key))
        tenants = TranslationOverride(tenant_id=TENANT, text="tenant", store_id=None, **vars(key))
        stores = TranslationOverride(tenant_id=TENANT, text="store", store_id=store_id, **vars(key))
        assert shown_text(translation, [tenants, stores], store_id) == ("store", TranslationLevel.STORE_OVERRIDE)
        assert shown_text(translation, [tenants, stores], None) == ("tenant", TranslationLevel.TENANT_OVERRIDE)
        assert shown_text(translation, [stores], uuid7()) == ("translation", TranslationLevel.TRANSLATION)
        assert shown_text(None, [stores], None) is None


class FakeWords:
    def __init__(self) -> None:
        self.kept = []

    async def exists(self, word, language):
        return any((each.word, each.language) == (word, language) for each in self.kept)

    async def add(self, word):
        self.kept.append(word)


class TestSkipWords:
    def test_stand_in_a_text_as_whole_words(self):
        assert segment("Nokia phone, Nokian tyre", ["Nokia", "Nokian", "Sony"]) == Segment(
            "Nokia phone, Nokian tyre", ("Nokia", "Nokian")
        )

    def test_leave_nothing_to_translate(self):
        assert is_untranslatable(segment("Nokia 3310", ["Nokia"]))
        assert not is_untranslatable(segment("Nokia phone", ["Nokia"]))

    def test_must_survive(self):
        part = segment("Nokia phone", ["Nokia"])
        assert faithful(part, "Телефон Nokia") == "Телефон Nokia"
        assert faithful(part, "Телефон Нокиа") is None
        assert faithful(part, None) is None

    async def test_are_added_once(self):
        words = FakeWords()
        await add_skip_word(AddSkipWord(word="  Tim   Hortons "), WORK, words)
        with pytest.raises(AlreadyExists):
            await add_skip_word(AddSkipWord(word="Tim Hortons"), WORK, words)
        assert [each.word for each in words.kept] == ["Tim Hortons"]
        for wrong in ("", "x" * 101, "a\x00b"):
            with pytest.raises(DomainError):
                await add_skip_word(AddSkipWord(word=wrong), WORK, words)


class TestBatch:
    def order(self, **changes):
        given = {"entity_type": TranslatableType.PRODUCT, "language": "ru", "entity_ids": (uuid7(), uuid7())}
        return BatchTranslate(**{**given, **changes})

    def test_has_an_item_for_every_text(self):
        batch, items = new_batch(self.order(fields=("name", "description")), "ru", WORK)
        assert (batch.total, batch.remaining, len(items), batch.status) == (4, 4, 4, TranslationBatchStatus.PENDING)

    def test_names_each_text_once(self):
        same = uuid7()
        _, items = new_batch(self.order(entity_ids=(same, same), fields=("name", "name")), "ru", WORK)
        assert len(items) == 1

    def test_goes_on_until_nothing_remains(self):
        batch, _ = new_batch(self.order(), "ru", WORK)
        batch.start()
        batch.advance(1, 1, NOW)
        assert (batch.status, batch.remaining) == (TranslationBatchStatus.PROCESSING, 1)
        batch.advance(1, 0, NOW)
        assert (batch.status, batch.translated, batch.finished_at) == (TranslationBatchStatus.COMPLETED, 1, NOW)
        names = [each.event.name for each in batch.release_events()]
        assert names == ["localization.batch_requested", "localization.batch_advanced", "localization.batch_processed"]

    @pytest.mark.parametrize("changes", [{"entity_ids": ()}, {"fields": ()}, {"fields": ("sku",)}])
    def test_refuses_what_it_cannot_translate(self, changes):
        with pytest.raises(InvalidInput):
            new_batch(self.order(**changes), "ru", WORK)

    def test_has_a_limit(self):
        with pytest.raises(InvalidInput):
            new_batch(self.order(entity_ids=tuple(uuid7() for _ in range(1_001))), "ru", WORK)
