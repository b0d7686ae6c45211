"""Many things of one kind in one transaction: the demo's handlers, made of the domain's aggregates and handlers.

Each gives back what it made, for a session holds what it has flushed only weakly, and events go with their aggregate.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any, Protocol
from uuid import UUID

from sqlalchemy import insert
from sqlalchemy.ext.asyncio import AsyncSession

from data.inventory import journal
from data.kernel import implements
from domain.catalog import (
    AttributeDefinition,
    Categories,
    Category,
    CreateCategory,
    Product,
    ProductHistory,
    Products,
    Skus,
    create_category,
)
from domain.catalog.revising import first_version
from domain.catalog.texts import slug_of
from domain.identity.administration import AssignRole
from domain.identity.profile import Profile
from domain.identity.roles import Role, Roles
from domain.identity.users import User, Users
from domain.inventory import JournalEntry, StockChange, StockLevel
from domain.kernel import Aggregate, Work
from domain.live import CreateStudio, LiveSessions, Studios, create_studio
from domain.localization import HUMAN, TranslatableType, Translation, Translations
from domain.processes import access, staffing
from domain.processes.staging import ScheduleLiveSession, schedule_live_session
from domain.reviews import ItemWishlisted, ProductRating, Review, Reviews, WishlistItem, Wishlists
from domain.tenancy import Assignments, AssignUser, StaffRole, Stores
from server.demo.goods import Branch, Goods
from server.demo.markets import Opinion, Person

NAME = "name"
# Nobody is put to work in these; the platform is above the tenants, and buyers are guests.
NO_STAFF = frozenset({Role.BUYER, Role.SUPER_ADMIN})


class NewShelves(Protocol):
    """Takes stock levels and ratings that nobody else can know yet, so that none has to be locked or looked for."""

    def add(self, fresh: Iterable[Aggregate]) -> None: ...

    async def note(self, entries: Sequence[JournalEntry]) -> None: ...


@implements(NewShelves)
class SqlNewShelves:
    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    def add(self, fresh: Iterable[Aggregate]) -> None:
        self._session.add_all(fresh)

    async def note(self, entries: Sequence[JournalEntry]) -> None:
        rows = [{column.name: getattr(entry, column.name) for column in journal.c} for entry in entries]
        if rows:
            await self._session.execute(insert(journal), rows)


@dataclass(frozen=True, kw_only=True)
class Enrol:
    """Make accounts for people; passwords come hashed, by e-mail address."""

    people: Sequence[Person]
    password_hashes: Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class Employ:
    """Give somebody their role, in their store or in the whole tenant."""

    user_id: UUID
    role: Role
    store_id: UUID | None


@dataclass(frozen=True, kw_only=True)
class PlantTree:
    """Make the category tree."""

    branches: Sequence[Branch]


@dataclass(frozen=True, kw_only=True)
class Shelf:
    """Where a SKU lies, and how many units of it."""

    store_id: UUID
    sku: str
    units: int
    reorder_point: int


@dataclass(frozen=True, kw_only=True)
class Offer:
    """One product with its place in the catalogue, its seller and its shelves."""

    goods: Goods
    category_id: UUID
    schema: Sequence[AttributeDefinition]
    seller_id: UUID
    store_id: UUID
    shelves: Sequence[Shelf]
    is_translated: bool


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """All opinions of one product, oldest first."""

    product_id: UUID
    store_id: UUID | None
    opinions: Sequence[tuple[UUID, Opinion]]


async def enrol(command: Enrol, work: Work, users: Users) -> dict[str, UUID]:
    """Make the accounts that are missing, and give everybody's id by e-mail address."""
    ids = {each.email: await users.claim_email(each.email) for each in command.people}
    for person in command.people:
        if ids[person.email] is None:
            user = User.register(person.email, command.password_hashes[person.email], _profile(person), work)
            users.add(user)
            ids[person.email] = user.id
    return {email: user_id for email, user_id in ids.items() if user_id is not None}


async def employ(
    command: Employ, work: Work, users: Users, roles: Roles, stores: Stores, assignments: Assignments
) -> list[Aggregate]:
    """Give the role at once; the event of the assignment then finds it given."""
    wanted = AssignRole(user_id=command.user_id, role=command.role, store_id=command.store_id)
    await access.assign_role(wanted, work, stores, users, roles)
    if command.role in NO_STAFF:
        return []
    duty = AssignUser(store_id=command.store_id, user_id=command.user_id, role=StaffRole(str(command.role)))
    return [await staffing.assign_user(duty, work, users, stores, assignments)]


async def plant_tree(
    command: PlantTree, work: Work, categories: Categories, translations: Translations
) -> list[Aggregate]:
    """Make the categories, each below its parent, with their names in all languages."""
    planted: dict[str | None, Category] = {}
    texts: list[Aggregate] = []
    for order, branch in enumerate(command.branches):
        parent = planted.get(branch.parent)
        wanted = CreateCategory(
            name=branch.name,
            slug=branch.slug,
            parent_id=parent.id if parent else None,
            kind=branch.kind,
            sort_order=order,
            attributes=branch.attributes,
        )
        planted[branch.path] = await create_category(wanted, work, categories)
        texts += await _translate(planted[branch.path], branch.names, work, translations)
    return [*planted.values(), *texts]


async def offer_goods(
    command: Sequence[Offer],
    work: Work,
    products: Products,
    history: ProductHistory,
    translations: Translations,
    shelves: NewShelves,
) -> list[Aggregate]:
    """Put new products into the catalogue and on the shelves.

    Nothing else uses their SKUs and slugs, so the database's own constraints are check enough.
    """
    made: list[Aggregate] = []
    entries: list[JournalEntry] = []
    for offer in command:
        product = _drafted(offer, work)
        product.publish(work.now)
        texts = offer.goods.names if offer.is_translated else {}
        made += [product, *await _translate(product, texts, work, translations)]
        await products.add(product)
        for shelf in offer.shelves:
            level, filled = _filled(shelf, product, work)
            made.append(level)
            entries += filled
    shelves.add(each for each in made if isinstance(each, StockLevel))
    await history.add([first_version(each, work) for each in made if isinstance(each, Product)])
    await shelves.note(entries)
    return made


async def publish_opinions(
    command: Sequence[Verdict], work: Work, reviews: Reviews, shelves: NewShelves
) -> list[Aggregate]:
    """Hand in all reviews of some products that had none, and count them."""
    made: list[Aggregate] = []
    for verdict in command:
        handed_in = [_handed_in(verdict, author_id, opinion, work) for author_id, opinion in verdict.opinions]
        for review in handed_in:
            reviews.add(review)
        made += [*handed_in, _counted(verdict, work)]
    shelves.add(each for each in made if isinstance(each, ProductRating))
    return made


async def remember_wishes(command: Sequence[tuple[UUID, UUID]], work: Work, wishlists: Wishlists) -> list[Aggregate]:
    """Put products on wishlists that are empty: pairs of user and product."""
    made: list[Aggregate] = []
    for user_id, product_id in command:
        item = WishlistItem(tenant_id=work.tenant_id, user_id=user_id, product_id=product_id, added_at=work.now)
        item.record(ItemWishlisted(product_id=product_id, user_id=user_id))
        wishlists.add(item)
        made.append(item)
    return made


@dataclass(frozen=True, kw_only=True)
class Announce:
    """A studio, and a live session in it that shows some goods of its host."""

    market: str
    host_id: UUID
    skus: Sequence[str]


async def announce_session(
    command: Announce, work: Work, studios: Studios, skus: Skus, users: Users, sessions: LiveSessions
) -> list[Aggregate]:
    """Build the studio and announce the session for tomorrow; it can be prepared at any time."""
    studio = await create_studio(
        CreateStudio(name="Lantern room", location=command.market, equipment=["two cameras", "ring light", "table"]),
        work,
        studios,
    )
    session = await schedule_live_session(
        ScheduleLiveSession(
            title="Friday finds, live",
            description="Six things from our shelves, shown one by one.",
            studio_id=studio.id,
            scheduled_for=work.now + timedelta(days=1),
            skus=command.skus,
            host_id=command.host_id,
        ),
        work,
        studios,
        skus,
        users,
        sessions,
    )
    return [studio, session]


def _profile(person: Person) -> Profile:
    return Profile(
        first_name=person.first_name,
        last_name=person.last_name,
        display_name=f"{person.first_name} {person.last_name[0]}.",
    )


def _drafted(offer: Offer, work: Work) -> Product:
    content = replace(offer.goods.content, category_id=offer.category_id)
    return Product.draft(
        content,
        offer.schema,
        tenant_id=work.tenant_id,
        seller_id=offer.seller_id,
        store_id=offer.store_id,
        product_type=offer.goods.kind,
        slug=slug_of(content.name, "product"),
    )


def _filled(shelf: Shelf, product: Product, work: Work) -> tuple[StockLevel, list[JournalEntry]]:
    variant_id = next((each.id for each in product.variants if each.sku == shelf.sku), None)
    level = StockLevel(
        tenant_id=work.tenant_id,
        store_id=shelf.store_id,
        sku=shelf.sku,
        product_id=product.id,
        variant_id=variant_id,
        reorder_point=shelf.reorder_point,
        reorder_quantity=shelf.reorder_point * 4,
    )
    if not shelf.units:
        return level, []
    return level, [level.adjust(shelf.units, StockChange.PURCHASE, "opening stock", work)]


def _handed_in(verdict: Verdict, author_id: UUID, opinion: Opinion, work: Work) -> Review:
    written_at = work.now - timedelta(days=opinion.days_ago)
    review = Review(
        tenant_id=work.tenant_id,
        product_id=verdict.product_id,
        author_id=author_id,
        store_id=verdict.store_id,
        rating=opinion.stars,
        title=opinion.title,
        content=opinion.text,
        created_at=written_at,
    )
    review.submit()
    if opinion.answer:
        review.answer(opinion.answer, written_at + timedelta(hours=20))
    return review


def _counted(verdict: Verdict, work: Work) -> ProductRating:
    """Count all stars but the last, and then the last: one event tells the whole rating."""
    *stars, last = [opinion.stars for _, opinion in verdict.opinions]
    counts: dict[str, Any] = {name: stars.count(number) for number, name in enumerate(ProductRating.NAMES, start=1)}
    rating = ProductRating(tenant_id=work.tenant_id, product_id=verdict.product_id, **counts)
    rating.recount(None, last)
    return rating


async def _translate(
    owner: Product | Category, names: Mapping[str, str], work: Work, translations: Translations
) -> list[Any]:
    """Keep the names where translations are kept, and in the row of their owner at once."""
    texts = []
    for language, name in names.items():
        text = Translation(
            tenant_id=work.tenant_id,
            entity_type=TranslatableType(type(owner).__name__.lower()),
            entity_id=owner.id,
            field=NAME,
            language=language,
        )
        text.write(name, owner.name, HUMAN, overridden=False)
        await translations.add(text)
        owner.translate(language, NAME, name)
        texts.append(text)
    return texts
