"""The two marketplaces of the demo: their tenants, stores and people."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from random import Random
from typing import Any

from domain.identity.roles import Role
from domain.tenancy import CreateStore, CreateTenant, GeoLocation, OpeningSpan, SubscriptionTier
from server.demo.goods import Goods, goods, words

WEEK = tuple(OpeningSpan.parse(day, "09:30", "19:00") for day in range(1, 6))
WEEKEND = (OpeningSpan.parse(6, "10:00", "18:00"), OpeningSpan.parse(7, "12:00", "17:00"))
STAFF = (
    Role.SUPER_ADMIN,
    Role.ADMIN,
    Role.STORE_MANAGER,
    Role.WAREHOUSE_OPERATOR,
    Role.MODERATOR,
    Role.SUPPORT_AGENT,
    Role.FINANCE,
    Role.HOST,
    Role.DISPATCHER,
    Role.DRIVER,
    Role.PHOTOGRAPHER,
    Role.EXPERT,
    Role.TECHNICIAN,
    Role.CURATOR,
)
TENANT_WIDE = frozenset({Role.SUPER_ADMIN, Role.ADMIN, Role.MODERATOR, Role.SUPPORT_AGENT, Role.FINANCE})
LONGEST_AGO_DAYS = 400


@dataclass(frozen=True, kw_only=True)
class Person:
    """Somebody with an account; `store` is the code of the store that a role is for, none for the whole tenant."""

    email: str
    first_name: str
    last_name: str
    role: Role = Role.BUYER
    store: str | None = None
    can_log_in: bool = False


@dataclass(frozen=True, kw_only=True)
class Opinion:
    """What a reviewer thinks of a product; `days_ago` is when they wrote it."""

    sku: str
    reviewer: int
    stars: int
    title: str | None
    text: str | None
    answer: str | None
    days_ago: float


@dataclass(frozen=True, kw_only=True)
class Market:
    """One tenant and everything in it. Its goods cost `rate` times what they would in dollars."""

    tenant: CreateTenant
    stores: tuple[CreateStore, ...]
    prefix: str
    rate: float
    products: int
    reviews: int
    reviewers: int
    roles: tuple[Role, ...]
    regulated: bool = False

    @property
    def code(self) -> str:
        return self.tenant.code

    def goods(self) -> list[Goods]:
        """Give all goods, the same ones every time."""
        made = goods(
            self.products,
            prefix=self.prefix,
            currency=str(self.tenant.currency),
            rate=self.rate,
            regulated=self.regulated,
            seed=f"goods of {self.prefix}",
        )
        return list(made)

    def staff(self) -> list[Person]:
        """Give those with credentials: one seller a store, one buyer, and somebody for every role of the market."""
        first = self.stores[0].code
        named: list[tuple[str, Role, str | None]] = [
            (f"seller{number}", Role.SELLER, store.code) for number, store in enumerate(self.stores, start=1)
        ]
        named += [(str(role).replace("_", "."), role, None if role in TENANT_WIDE else first) for role in self.roles]
        named.append(("buyer", Role.BUYER, None))
        people = self._people(Random(f"staff of {self.prefix}"), [name for name, _, _ in named])
        return [
            replace(person, role=role, store=store, can_log_in=True)
            for person, (_, role, store) in zip(people, named, strict=True)
        ]

    def crowd(self) -> list[Person]:
        """Give those who only wrote reviews."""
        names = [f"customer{number:03d}" for number in range(1, self.reviewers + 1)]
        return list(self._people(Random(f"crowd of {self.prefix}"), names))

    def opinions(self, offered: Sequence[Goods]) -> list[Opinion]:
        """Give the reviews, oldest first: few products have many, many have few, and most are content."""
        chance = Random(f"reviews of {self.prefix}")
        ranked = chance.sample(offered, len(offered))
        weights = [1 / (rank + 8) ** 0.5 for rank in range(len(ranked))]
        quality = {each.sku: chance.gauss(4.4, 0.5) for each in ranked}
        pairs: dict[tuple[str, int], None] = {}
        while len(pairs) < self.reviews:
            chosen = chance.choices(ranked, weights)[0]
            pairs[chosen.sku, chance.randrange(self.reviewers)] = None
        made = [_opinion(chance, sku, reviewer, quality[sku]) for sku, reviewer in pairs]
        return sorted(made, key=lambda each: -each.days_ago)

    def _people(self, chance: Random, names: list[str]) -> Iterator[Person]:
        first, last = words()["people"]["first"], words()["people"]["last"]
        for name in names:
            email = f"{name}@{self.code}.example"
            yield Person(email=email, first_name=chance.choice(first), last_name=chance.choice(last))


def _opinion(chance: Random, sku: str, reviewer: int, quality: float) -> Opinion:
    stars = min(5, max(1, round(chance.gauss(quality, 0.9))))
    phrases = words()["reviews"]
    wordy = chance.random() < 0.7
    return Opinion(
        sku=sku,
        reviewer=reviewer,
        stars=stars,
        title=chance.choice(phrases[f"titles_{stars}"]) if wordy else None,
        text=chance.choice(phrases[f"texts_{stars}"]) if wordy else None,
        answer=chance.choice(phrases["answers"][:2]) if wordy and stars < 3 and chance.random() < 0.5 else None,
        days_ago=chance.uniform(0.5, LONGEST_AGO_DAYS),
    )


def _store(name: str, code: str, street: str, postal_code: str, at: tuple[float, float], **more: Any) -> CreateStore:
    return CreateStore(
        code=code,
        name=f"{name} {more['city']}",
        street=street,
        postal_code=postal_code,
        location=GeoLocation(*at),
        hours=(*WEEK, *WEEKEND),
        delivery_enabled=True,
        delivery_radius_km=25,
        pickup_enabled=True,
        **more,
    )


_LANTERNFOLD = partial(_store, "Lanternfold", pos_enabled=True)
_BRACKENMOOR = partial(_store, "Brackenmoor", timezone="Europe/Dublin")

MARKETS = (
    Market(
        tenant=CreateTenant(
            code="lanternfold",
            name="Lanternfold Market",
            company_name="Lanternfold Market Inc.",
            contact_email="hello@lanternfold.example",
            website="https://lanternfold.example",
            currency="CAD",
            locale="en",
            timezone="America/Toronto",
            tier=SubscriptionTier.STANDARD,
            hosts=("127.0.0.1", "localhost", "lanternfold.example"),
        ),
        stores=(
            _LANTERNFOLD(
                "LF-TOR",
                "214 Quillfeather Street",
                "M5V 2T6",
                (43.6447, -79.3957),
                city="Toronto",
                province_code="CA-ON",
                licence_number="DEMO-TOR",
            ),
            _LANTERNFOLD(
                "LF-MTL",
                "88 rue des Lanternes",
                "H2Y 1C6",
                (45.5075, -73.5540),
                city="Montréal",
                province_code="CA-QC",
                licence_number="DEMO-MTL",
            ),
            _LANTERNFOLD(
                "LF-VAN",
                "1510 Saltwind Avenue",
                "V6B 1A1",
                (49.2810, -123.1190),
                city="Vancouver",
                province_code="CA-BC",
                licence_number="DEMO-VAN",
            ),
        ),
        prefix="LF",
        rate=1.0,
        products=1_400,
        reviews=2_200,
        reviewers=140,
        roles=STAFF,
        regulated=True,
    ),
    Market(
        tenant=CreateTenant(
            code="brackenmoor",
            name="Brackenmoor Trading",
            company_name="Brackenmoor Trading Ltd.",
            contact_email="hello@brackenmoor.example",
            website="https://brackenmoor.example",
            currency="EUR",
            locale="en",
            timezone="Europe/Dublin",
            tier=SubscriptionTier.STANDARD,
            hosts=("brackenmoor.example",),
        ),
        stores=(
            _BRACKENMOOR("BM-DUB", "7 Bracken Quay", "D02 X285", (53.3462, -6.2586), city="Dublin"),
            _BRACKENMOOR("BM-COR", "31 Moor Lane", "T12 W8KX", (51.8985, -8.4756), city="Cork"),
        ),
        prefix="BM",
        rate=0.68,
        products=600,
        reviews=800,
        reviewers=60,
        roles=(Role.ADMIN, Role.STORE_MANAGER),
    ),
)
