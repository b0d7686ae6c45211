"""Category paths of an import: found by the names along them, and made where they are missing."""

from collections.abc import Iterable
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from data.catalog import SqlCategories, category
from domain.catalog.categories import MAX_DEPTH, Category
from domain.catalog.texts import slug_of

Path = tuple[str, ...]


class CategoryPaths:
    """Which category a path of names stands for, in one tenant."""

    def __init__(self, session: AsyncSession, tenant_id: UUID) -> None:
        self._session = session
        self._tenant_id = tenant_id

    async def resolve(self, paths: Iterable[Path]) -> dict[Path, UUID]:
        """Give each path's category; the tree is locked before anything is added to it."""
        wanted = {path[:MAX_DEPTH] for path in paths if path}
        if not wanted:
            return {}
        known = await self._known()
        missing = sorted({path[:end] for path in wanted for end in range(1, len(path) + 1)} - known.keys(), key=len)
        if missing:
            await SqlCategories(self._session).lock_tree()
            known = await self._known()
            for path in missing:
                if path not in known:
                    known[path] = await self._make(path, known)
            await self._session.flush()
        return {path: known[path[:MAX_DEPTH]] for path in paths if path}

    async def _known(self) -> dict[Path, UUID]:
        columns = select(category.c.id, category.c.parent_id, category.c.name).order_by(category.c.path)
        by_id: dict[UUID, Path] = {}
        for row in await self._session.execute(columns):
            by_id[row.id] = (*by_id.get(row.parent_id, ()), row.name)
        return {path: category_id for category_id, path in by_id.items()}

    async def _make(self, path: Path, known: dict[Path, UUID]) -> UUID:
        categories = SqlCategories(self._session)
        parent = await categories.get(known[path[:-1]]) if path[:-1] else None
        slug = await categories.free_slug(slug_of(" ".join(path), "category"))
        made = Category.below(parent, tenant_id=self._tenant_id, name=path[-1], slug=slug)
        await categories.add(made)
        return made.id
