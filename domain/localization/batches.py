"""Many texts translated at once, with words that no translation may touch."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Protocol
from uuid import UUID

from domain.kernel import Aggregate, AlreadyExists, Event, InvalidInput, Transitions, Work, event, uuid7
from domain.localization.languages import parse_language, tag_of
from domain.localization.translations import FIELDS, TranslatableType

MAX_ENTITIES = 1_000
ITEMS_AT_ONCE = 100
LONGEST_WORD = 100


class TranslationBatchStatus(StrEnum):
    """How far a batch has come."""

    PENDING = "pending"
    PROCESSING = "processing"
    COMPLETED = "completed"
    FAILED = "failed"


class TranslationOutcome(StrEnum):
    """What became of one text; `unmatched` ones the translator could not translate."""

    PENDING = "pending"
    TRANSLATED = "translated"
    UNMATCHED = "unmatched"
    NOT_FOUND = "not_found"


BATCH_STATES = Transitions(
    "TranslationBatch",
    TranslationBatchStatus.PENDING,
    {
        TranslationBatchStatus.PENDING: {TranslationBatchStatus.PROCESSING},
        TranslationBatchStatus.PROCESSING: {TranslationBatchStatus.COMPLETED, TranslationBatchStatus.FAILED},
        TranslationBatchStatus.COMPLETED: set(),
        TranslationBatchStatus.FAILED: set(),
    },
)


@event("localization.batch_requested")
@dataclass(frozen=True, kw_only=True)
class BatchRequested(Event):
    entity_type: str
    language: str
    texts: int


@event("localization.batch_advanced")
@dataclass(frozen=True, kw_only=True)
class BatchAdvanced(Event):
    translated: int
    remaining: int


@event("localization.batch_processed")
@dataclass(frozen=True, kw_only=True)
class BatchProcessed(Event):
    texts: int
    translated: int


@event("localization.batch_failed")
@dataclass(frozen=True, kw_only=True)
class BatchFailed(Event):
    reason: str


@event("localization.skip_word_added")
@dataclass(frozen=True, kw_only=True)
class SkipWordAdded(Event):
    word: str
    language: str | None


@dataclass(eq=False, kw_only=True)
class SkipWord(Aggregate):
    """A word that every translation keeps as it is, such as a brand; without a language, in all of them."""

    word: str
    language: str | None


@dataclass(eq=False, kw_only=True)
class TranslationBatch(Aggregate):
    """An order to translate texts of many entities; a part of them at a time."""

    entity_type: TranslatableType
    language: str
    total: int
    translated: int = 0
    remaining: int
    status: TranslationBatchStatus = TranslationBatchStatus.PENDING
    failure: str | None = None
    requested_at: datetime
    finished_at: datetime | None = None

    def start(self) -> None:
        """Begin, unless it has begun already."""
        if self.status is TranslationBatchStatus.PENDING:
            self.status = BATCH_STATES.check(self.status, TranslationBatchStatus.PROCESSING)

    def advance(self, settled: int, translated: int, now: datetime) -> None:
        """Note what became of a part, and finish after the last one.

        Raises: InvalidStateTransition.
        """
        self.remaining -= settled
        self.translated += translated
        if self.remaining > 0 and settled:
            self.record(BatchAdvanced(translated=self.translated, remaining=self.remaining))
            return
        self.status, self.finished_at = BATCH_STATES.check(self.status, TranslationBatchStatus.COMPLETED), now
        self.record(BatchProcessed(texts=self.total, translated=self.translated))

    def fail(self, reason: str, now: datetime) -> None:
        """Give up.

        Raises: InvalidStateTransition.
        """
        self.status, self.finished_at = BATCH_STATES.check(self.status, TranslationBatchStatus.FAILED), now
        self.failure = reason
        self.record(BatchFailed(reason=reason))


@dataclass(kw_only=True)
class BatchItem:
    """One text of a batch."""

    id: UUID = field(default_factory=uuid7)
    tenant_id: UUID
    batch_id: UUID
    entity_id: UUID
    field: str
    outcome: TranslationOutcome = TranslationOutcome.PENDING


@dataclass(frozen=True)
class Segment:
    """A text to translate, and the words in it that must survive unchanged."""

    text: str
    kept: tuple[str, ...] = ()


class Translator(Protocol):
    """Translates texts; None for one that it cannot translate.

    Raises: Unavailable when it cannot be reached, for the batch to be tried again.
    """

    @property
    def provider(self) -> str: ...

    async def translate(self, segments: Sequence[Segment], source: str, target: str) -> Sequence[str | None]: ...


def segment(text: str, words: Sequence[str]) -> Segment:
    """Find the skip words that stand in a text, as whole words."""
    return Segment(text, tuple(word for word in words if _standing(word).search(text)))


def is_untranslatable(part: Segment) -> bool:
    """Say whether nothing of a text is left to translate once its skip words, figures and signs are taken out."""
    rest = part.text
    for word in part.kept:
        rest = _standing(word).sub(" ", rest)
    return not any(character.isalpha() for character in rest)


def faithful(part: Segment, translation: str | None) -> str | None:
    """Give a translation, or None where it lost a word that it had to keep."""
    if translation is None or not all(_standing(word).search(translation) for word in part.kept):
        return None
    return translation


def _standing(word: str) -> re.Pattern[str]:
    return re.compile(rf"(?<!\w){re.escape(word)}(?!\w)")


class TranslationBatches(Protocol):
    """Batches for change."""

    async def lock(self, batch_id: UUID) -> TranslationBatch | None: ...

    async def add(self, batch: TranslationBatch, items: Sequence[BatchItem]) -> None: ...

    async def pending(self, batch_id: UUID, limit: int) -> Sequence[BatchItem]: ...

    async def settle(self, outcome: TranslationOutcome, item_ids: Sequence[UUID]) -> None: ...


class SkipWords(Protocol):
    """Words that no translation may touch."""

    async def of_language(self, language: str) -> Sequence[str]: ...

    async def exists(self, word: str, language: str | None) -> bool: ...

    async def add(self, word: SkipWord) -> None: ...


class BatchReads(Protocol):
    """Batch reads, each in the order of its keys."""

    async def by_id(self, ids: Sequence[UUID]) -> list[Any | None]: ...

    async def items(self, batch_ids: Sequence[UUID]) -> list[list[Any]]: ...

    async def skip_words(self) -> list[Any]: ...


@dataclass(frozen=True, kw_only=True)
class BatchTranslate:
    """Translate texts of up to 1,000 entities into a language, in the background; human translations stay."""

    entity_type: TranslatableType
    language: str
    entity_ids: tuple[UUID, ...]
    fields: tuple[str, ...] = ("name",)


@dataclass(frozen=True, kw_only=True)
class AddSkipWord:
    """Name a word that every translation keeps as it is; without a language, in all of them."""

    word: str
    language: str | None = None


def new_batch(command: BatchTranslate, language: str, work: Work) -> tuple[TranslationBatch, list[BatchItem]]:
    """Make a batch and its items.

    Raises: InvalidInput.
    """
    entities, names = tuple(dict.fromkeys(command.entity_ids)), tuple(dict.fromkeys(command.fields))
    if not 0 < len(entities) <= MAX_ENTITIES:
        raise InvalidInput(field="entityIds", reason=f"a batch has between 1 and {MAX_ENTITIES:,} entities")
    if not names or set(names) - FIELDS.keys():
        raise InvalidInput(field="fields", reason=f"{' and '.join(FIELDS)} are translated, and nothing else")
    total = len(entities) * len(names)
    batch = TranslationBatch(
        tenant_id=work.tenant_id,
        entity_type=command.entity_type,
        language=language,
        total=total,
        remaining=total,
        requested_at=work.now,
    )
    batch.record(BatchRequested(entity_type=command.entity_type, language=language, texts=total))
    items = [
        BatchItem(tenant_id=work.tenant_id, batch_id=batch.id, entity_id=entity, field=name)
        for entity in entities
        for name in names
    ]
    return batch, items


async def add_skip_word(command: AddSkipWord, work: Work, words: SkipWords) -> SkipWord:
    word = " ".join(command.word.split())
    if not 0 < len(word) <= LONGEST_WORD or "\x00" in word:
        raise InvalidInput(field="word", reason=f"it has between 1 and {LONGEST_WORD} letters")
    language = None if command.language is None else tag_of(parse_language(command.language))
    if await words.exists(word, language):
        raise AlreadyExists(kind="SkipWord", value=word)
    skipped = SkipWord(tenant_id=work.tenant_id, word=word, language=language)
    skipped.record(SkipWordAdded(word=word, language=language))
    await words.add(skipped)
    return skipped
