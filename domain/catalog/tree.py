"""Changes of the category tree."""

from dataclasses import dataclass, fields
from uuid import UUID

from domain.catalog.attributes import AttributeDefinition
from domain.catalog.categories import Category, CategoryKind
from domain.catalog.changes import changes_of
from domain.catalog.ports import MANAGE, Categories, require
from domain.catalog.texts import checked_slug, slug_of
from domain.kernel import UNCHANGED, AlreadyExists, NotFound, Unchanged, Work


@dataclass(frozen=True, kw_only=True)
class CreateCategory:
    """Make a category, at the top or below another; without a slug one is made from the name."""

    name: str
    parent_id: UUID | None = None
    slug: str | None = None
    kind: CategoryKind = CategoryKind.GENERAL
    description: str = ""
    image_url: str | None = None
    sort_order: int = 0
    is_active: bool = True
    attributes: tuple[AttributeDefinition, ...] = ()


@dataclass(frozen=True, kw_only=True)
class UpdateCategory:
    """Change what a category says of itself; `attributes` replaces its own part of the schema."""

    id: UUID
    expected_version: int | None = None
    name: str | Unchanged = UNCHANGED
    slug: str | Unchanged = UNCHANGED
    kind: CategoryKind | Unchanged = UNCHANGED
    description: str | Unchanged = UNCHANGED
    image_url: str | Unchanged | None = UNCHANGED
    sort_order: int | Unchanged = UNCHANGED
    is_active: bool | Unchanged = UNCHANGED
    attributes: tuple[AttributeDefinition, ...] | Unchanged = UNCHANGED


@dataclass(frozen=True, kw_only=True)
class MoveCategory:
    """Hang a category, with all below it, under another; without a parent it goes to the top."""

    id: UUID
    parent_id: UUID | None = None
    sort_order: int | None = None
    expected_version: int | None = None


@dataclass(frozen=True, kw_only=True)
class DeleteCategory:
    """Remove a category that has neither subcategories nor products."""

    id: UUID
    expected_version: int | None = None


async def create_category(command: CreateCategory, work: Work, categories: Categories) -> Category:
    """Raises: Forbidden, NotFound, CategoryTooDeep, AlreadyExists, InvalidInput."""
    require(work.actor, MANAGE)
    await categories.lock_tree()
    parent = await _parent(command.parent_id, categories)
    values = {each.name: getattr(command, each.name) for each in fields(command) if each.name != "parent_id"}
    values["slug"] = await _slug(command, categories)
    category = Category.below(parent, tenant_id=work.tenant_id, **values)
    await categories.add(category)
    return category


async def _slug(command: CreateCategory, categories: Categories) -> str:
    if command.slug is None:
        return await categories.free_slug(slug_of(command.name, "category"))
    return await _chosen(command.slug, categories)


async def _chosen(slug: str, categories: Categories) -> str:
    if await categories.free_slug(checked_slug("slug", slug)) != slug:
        raise AlreadyExists(kind="Slug", value=slug)
    return slug


async def update_category(command: UpdateCategory, work: Work, categories: Categories) -> Category:
    """Raises: Forbidden, NotFound, ConcurrentModification, AlreadyExists, InvalidInput."""
    category = await _own(command.id, command.expected_version, work, categories)
    changes = changes_of(command)
    if changes.get("slug", category.slug) != category.slug:
        await _chosen(changes["slug"], categories)
    category.update(**changes)
    return category


async def move_category(command: MoveCategory, work: Work, categories: Categories) -> Category:
    """Raises: Forbidden, NotFound, ConcurrentModification, CategoryCycle, CategoryTooDeep."""
    await categories.lock_tree()
    category = await _own(command.id, command.expected_version, work, categories)
    parent = await _parent(command.parent_id, categories)
    old_path = category.path
    category.move(parent, deepest=await categories.deepest_level(category), sort_order=command.sort_order)
    await categories.rebase(old_path, category)
    return category


async def delete_category(command: DeleteCategory, work: Work, categories: Categories) -> Category:
    """Raises: Forbidden, NotFound, ConcurrentModification, CategoryInUse."""
    await categories.lock_tree()
    category = await _own(command.id, command.expected_version, work, categories)
    category.delete(is_empty=await categories.is_empty(category))
    await categories.remove(category)
    return category


async def _own(category_id: UUID, expected_version: int | None, work: Work, categories: Categories) -> Category:
    require(work.actor, MANAGE)
    category = await categories.get(category_id)
    if category is None:
        raise NotFound(kind="Category", id=str(category_id))
    category.expect_version(expected_version)
    return category


async def _parent(parent_id: UUID | None, categories: Categories) -> Category | None:
    parent = await categories.get(parent_id) if parent_id else None
    if parent_id is not None and parent is None:
        raise NotFound(kind="Category", id=str(parent_id))
    return parent
