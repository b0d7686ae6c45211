"""Categories: the tree that goods are found in, and what each branch wants to know about them."""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Self
from uuid import UUID

from domain.catalog.attributes import AttributeDefinition, check_schema
from domain.catalog.events import CategoryCreated, CategoryDeleted, CategoryMoved, CategoryUpdated
from domain.catalog.texts import DESCRIPTION_LETTERS, NAME_LETTERS, checked_slug, checked_text, checked_url
from domain.catalog.translations import with_text
from domain.kernel import Aggregate, DomainError, InvalidInput

MAX_DEPTH = 10
MAX_SORT_ORDER = 10**6
# A path is "/", then the hexadecimal id of each category from the root down, each followed by "/".
_STEP_LETTERS = 33


@dataclass(eq=False)
class CategoryCycle(DomainError):
    """A category was to be put below itself."""

    category_id: str
    parent_id: str
    template = "Category {category_id} cannot be put below {parent_id}, which is part of it."


@dataclass(eq=False)
class CategoryTooDeep(DomainError):
    """The tree would have more levels than a shopper can follow."""

    depth: int
    maximum: int = MAX_DEPTH
    template = "The tree would have {depth} levels; at most {maximum} are allowed."


@dataclass(eq=False)
class CategoryInUse(DomainError):
    """A category that still holds something cannot be deleted."""

    category_id: str
    template = "Category {category_id} still has subcategories or products."


class CategoryKind(StrEnum):
    """What hangs in a branch: accessories are kept apart."""

    GENERAL = "general"
    ACCESSORY = "accessory"


def path_below(parent_path: str, category_id: UUID) -> str:
    """Give the materialised path of a category below another (`/` for the top)."""
    return f"{parent_path}{category_id.hex}/"


def path_ids(path: str) -> list[UUID]:
    """Give the ids that a path is made of, from the root down to the category itself."""
    return [UUID(step) for step in path.split("/") if step]


@dataclass(eq=False, kw_only=True)
class Category(Aggregate):
    """One branch of the tree; `path` holds the ids from the root down to itself."""

    name: str
    slug: str
    parent_id: UUID | None = None
    path: str = ""
    kind: CategoryKind = CategoryKind.GENERAL
    description: str = ""
    image_url: str | None = None
    sort_order: int = 0
    is_active: bool = True
    attributes: tuple[AttributeDefinition, ...] = ()
    translations: dict[str, dict[str, str]] = field(default_factory=dict)

    @classmethod
    def below(cls, parent: "Category | None", **values: Any) -> Self:
        """Make a category at the top, or below another.

        Raises: InvalidInput, CategoryTooDeep.
        """
        category = cls(**{name: _RULES[name](value) if name in _RULES else value for name, value in values.items()})
        category._hang(parent, levels=1)
        category.record(
            CategoryCreated(
                category_id=category.id, parent_id=category.parent_id, title=category.name, slug=category.slug
            )
        )
        return category

    @property
    def depth(self) -> int:
        """The level in the tree; a category at the top has 1."""
        return len(self.path) // _STEP_LETTERS

    def update(self, **changes: Any) -> None:
        """Change what the category says of itself.

        Raises: InvalidInput.
        """
        changed = []
        for name, value in changes.items():
            checked = _RULES[name](value)
            if checked != getattr(self, name):
                setattr(self, name, checked)
                changed.append(name)
        if changed:
            self.record(CategoryUpdated(category_id=self.id, changed=tuple(changed)))

    def move(self, parent: "Category | None", *, deepest: int, sort_order: int | None = None) -> None:
        """Hang the category, with all below it, elsewhere; `deepest` is the lowest level that it now reaches.

        Raises: CategoryCycle, CategoryTooDeep, InvalidInput.
        """
        if parent is not None and parent.path.startswith(self.path):
            raise CategoryCycle(category_id=str(self.id), parent_id=str(parent.id))
        old_path = self.path
        self._hang(parent, levels=deepest - self.depth + 1)
        if sort_order is not None:
            self.sort_order = _check_order(sort_order)
        self.record(CategoryMoved(category_id=self.id, parent_id=self.parent_id, old_path=old_path, path=self.path))

    def delete(self, *, is_empty: bool) -> None:
        """Remove a category that holds nothing.

        Raises: CategoryInUse.
        """
        if not is_empty:
            raise CategoryInUse(category_id=str(self.id))
        self.record(CategoryDeleted(category_id=self.id))

    def translate(self, language: str, name: str, text: str | None) -> None:
        """Keep a field's text in a language; None drops it.

        Raises: InvalidInput for a field that is not translated.
        """
        translations = with_text(self.translations, language, name, text)
        if translations == self.translations:
            return
        self.translations = translations
        self.record(CategoryUpdated(category_id=self.id, changed=("translations",)))

    def _hang(self, parent: "Category | None", *, levels: int) -> None:
        depth = (parent.depth if parent else 0) + levels
        if depth > MAX_DEPTH:
            raise CategoryTooDeep(depth=depth)
        self.parent_id = parent.id if parent else None
        self.path = path_below(parent.path if parent else "/", self.id)


def _check_order(value: int) -> int:
    if abs(value) > MAX_SORT_ORDER:
        raise InvalidInput(field="sortOrder", reason=f"it lies between -{MAX_SORT_ORDER:,} and {MAX_SORT_ORDER:,}")
    return value


def _check_attributes(value: tuple[AttributeDefinition, ...]) -> tuple[AttributeDefinition, ...]:
    check_schema(value)
    return tuple(value)


_RULES: dict[str, Any] = {
    "name": lambda value: checked_text("name", value, NAME_LETTERS, required=True),
    "slug": lambda value: checked_slug("slug", value),
    "kind": CategoryKind,
    "description": lambda value: checked_text("description", value, DESCRIPTION_LETTERS),
    "image_url": lambda value: checked_url("imageUrl", value),
    "sort_order": _check_order,
    "is_active": bool,
    "attributes": _check_attributes,
}
