"""Reads of the category tree."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import Text, Uuid, and_, bindparam, cast, column, func, literal_column, or_, select, true
from sqlalchemy.dialects.postgresql import ARRAY

from data.catalog.paths import below, by_text
from data.catalog.tables import category, product
from data.database import Reads
from data.kernel import implements
from data.statements import Statement
from domain.catalog.attributes import AttributeDefinition, Schema, inherited
from domain.catalog.ports import Viewer
from domain.catalog.reads import CategoryReads
from domain.codec import from_json

_DEFINITIONS = tuple[AttributeDefinition, ...]
_IDS = bindparam("keys", type_=ARRAY(Uuid))
_TEXTS = bindparam("keys", type_=ARRAY(Text))
_SEEN = or_(category.c.is_active, bindparam("sees_inactive", type_=true().type))
_SIBLINGS = (category.c.sort_order, category.c.name, category.c.id)

_BY_ID = Statement(select(category).where(category.c.id == func.any(_IDS), _SEEN))
_BY_SLUG = Statement(select(category).where(category.c.slug == func.any(_TEXTS), _SEEN))
_CHILDREN = Statement(select(category).where(category.c.parent_id == func.any(_IDS), _SEEN).order_by(*_SIBLINGS))


def _steps(path: Any, name: str) -> Any:
    """Unnest a path into the ids that it is made of."""
    ids = cast(func.string_to_array(func.btrim(path, "/"), "/"), ARRAY(Uuid))
    return func.unnest(ids).table_valued(column("id", Uuid)).render_derived(name=name)


_leaf = category.alias("leaf")
_step = _steps(_leaf.c.path, "step")
_LINES = Statement(
    select(_leaf.c.id.label("leaf_id"), category)
    .select_from(_leaf.join(_step, true()).join(category, category.c.id == _step.c.id))
    .where(_leaf.c.id == func.any(_IDS), _SEEN)
    .order_by(category.c.depth)
)

_parent = bindparam("parent_id", type_=Uuid)
_levels = bindparam("levels", type_=category.c.depth.type)
_root = category.alias("root")
_parent_path = select(_root.c.path).where(_root.c.id == _parent).scalar_subquery()
_parent_depth = select(_root.c.depth).where(_root.c.id == _parent).scalar_subquery()
_ALL = Statement(select(category).where(category.c.depth <= _levels, _SEEN).order_by(*_SIBLINGS))
_BELOW = Statement(
    select(category)
    .where(
        below(category.c.path, _parent_path),
        category.c.depth > _parent_depth,
        category.c.depth <= _parent_depth + _levels,
        _SEEN,
    )
    .order_by(*_SIBLINGS)
)

_shown = and_(product.c.deleted_at.is_(None), product.c.state == literal_column("'active'"))
_own = (
    select(product.c.category_id, func.count().label("products"))
    .where(_shown)
    .group_by(product.c.category_id)
    .subquery("own")
)
_holder = category.alias("holder")
_above = _steps(_holder.c.path, "above")
_COUNTS = Statement(
    select(_above.c.id, func.sum(_own.c.products).label("products"))
    .select_from(_own.join(_holder, _holder.c.id == _own.c.category_id).join(_above, true()))
    .where(_above.c.id == func.any(_IDS))
    .group_by(_above.c.id)
)


def _eyes(viewer: Viewer) -> dict[str, Any]:
    return {"sees_inactive": viewer.sees_inactive}


def _in_tree_order(rows: Sequence[Any], top: UUID | None) -> list[Any]:
    """Put each parent before its children; what hangs below a category that is not seen is not seen either."""
    children: dict[UUID | None, list[Any]] = {}
    for row in rows:
        children.setdefault(row.parent_id, []).append(row)
    ordered: list[Any] = []
    waiting = children.get(top, [])[::-1]
    while waiting:
        row = waiting.pop()
        ordered.append(row)
        waiting.extend(reversed(children.get(row.id, [])))
    return ordered


@implements(CategoryReads)
class SqlCategoryReads:
    def __init__(self, reads: Reads) -> None:
        self._reads = reads

    async def by_id(self, ids: Sequence[UUID], viewer: Viewer) -> list[Any | None]:
        return await self._reads.by_key(_BY_ID, ids, **_eyes(viewer))

    async def by_slug(self, slugs: Sequence[str], viewer: Viewer) -> list[Any | None]:
        return await by_text(self._reads, _BY_SLUG, slugs, "slug", **_eyes(viewer))

    async def children(self, parent_ids: Sequence[UUID], viewer: Viewer) -> list[list[Any]]:
        return await self._reads.grouped(_CHILDREN, parent_ids, "parent_id", **_eyes(viewer))

    async def lines(self, ids: Sequence[UUID], viewer: Viewer) -> list[list[Any]]:
        return await self._reads.grouped(_LINES, ids, "leaf_id", **_eyes(viewer))

    async def below(self, parent_id: UUID | None, levels: int, viewer: Viewer) -> list[Any]:
        more = _eyes(viewer) | ({"parent_id": parent_id} if parent_id else {})
        rows = await self._reads.rows(_BELOW if parent_id else _ALL, levels=levels, **more)
        return _in_tree_order(rows, parent_id)

    async def schemas(self, ids: Sequence[UUID]) -> list[Schema]:
        lines = await self._reads.grouped(_LINES, ids, "leaf_id", sees_inactive=True)
        return [inherited(from_json(each.attributes, _DEFINITIONS) for each in line) for line in lines]

    async def product_counts(self, ids: Sequence[UUID]) -> list[int]:
        rows = await self._reads.by_key(_COUNTS, ids)
        return [int(row.products) if row else 0 for row in rows]
