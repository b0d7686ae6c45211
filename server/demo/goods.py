"""The goods of the demo marketplace, put together from word lists: the same ones every time."""

import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from functools import cache
from math import exp, log
from pathlib import Path
from random import Random
from typing import Any

from domain.catalog import (
    AttributeDefinition,
    AttributeType,
    CategoryKind,
    ImageContent,
    ProductContent,
    ProductType,
    RegulatedDetails,
    VariantContent,
)
from domain.money import Money

FOLDER = Path(__file__).parent
TRANSLATED = ("ru", "fr")
REGULATED_BRANCH = "wellness"
# GTINs that begin with 2 are for use within a company, so none of these belongs to somebody's real product.
# Source: GS1 General Specifications, section 1.4.4.
IN_HOUSE_GTIN = "20"


@cache
def catalogue() -> dict[str, Any]:
    """Give the tree, the kinds of goods and their brands."""
    return tomllib.loads((FOLDER / "catalogue.toml").read_text(encoding="utf-8"))


@cache
def words() -> dict[str, Any]:
    """Give what names, descriptions and reviews are put together from."""
    return tomllib.loads((FOLDER / "words.toml").read_text(encoding="utf-8"))


@dataclass(frozen=True, kw_only=True)
class Branch:
    """A category by its path of slugs, such as `home/kitchen/knives`."""

    path: str
    name: str
    names: Mapping[str, str]
    kind: CategoryKind
    attributes: tuple[AttributeDefinition, ...]

    @property
    def parent(self) -> str | None:
        return self.path.rpartition("/")[0] or None

    @property
    def slug(self) -> str:
        return self.path.rpartition("/")[2]


@dataclass(frozen=True, kw_only=True)
class Goods:
    """A product to be offered; its content lacks only the id of the category at `path`."""

    path: str
    kind: ProductType
    content: ProductContent
    names: Mapping[str, str]

    @property
    def sku(self) -> str:
        return self.content.sku

    @property
    def branch(self) -> str:
        return self.path.partition("/")[0]

    @property
    def shelved_skus(self) -> list[str]:
        """The SKUs that lie on shelves: those of the variants, where there are some."""
        return [variant.sku for variant in self.content.variants] or [self.sku]


def tree(*, regulated: bool) -> list[Branch]:
    """Give the categories, each parent before its children."""
    source = catalogue()
    own = source["attributes"] | {leaf["path"]: leaf.get("attributes", {}) for leaf in source["leaves"].values()}
    return [
        Branch(
            path=path,
            name=english,
            names=dict(zip(TRANSLATED, others, strict=True)),
            kind=CategoryKind.ACCESSORY if path.startswith(f"{REGULATED_BRANCH}/accessories") else CategoryKind.GENERAL,
            attributes=tuple(_definition(name, given) for name, given in own.get(path, {}).items()),
        )
        for path, (english, *others) in source["categories"].items()
        if regulated or not path.startswith(REGULATED_BRANCH)
    ]


def _definition(name: str, given: Mapping[str, Any]) -> AttributeDefinition:
    if "values" in given:
        values = tuple(given["values"])
        return AttributeDefinition(name=name, type=AttributeType.ENUM, allowed_values=values, facetable=True)
    if "range" in given:
        return AttributeDefinition(name=name, type=AttributeType.NUMBER, unit=given.get("unit"), facetable=True)
    return AttributeDefinition(name=name, type=AttributeType.BOOLEAN, facetable=True)


def goods(count: int, *, prefix: str, currency: str, rate: float, regulated: bool, seed: str) -> Iterator[Goods]:
    """Make `count` products, spread over the leaves of the tree; `rate` turns dollars into the currency."""
    chance = Random(seed)
    leaves = [
        leaf for leaf in catalogue()["leaves"].values() if regulated or not leaf["path"].startswith(REGULATED_BRANCH)
    ]
    used: set[str] = set()
    for number in range(1, count + 1):
        leaf = leaves[number % len(leaves)]
        maker = _Maker(chance, leaf, f"{prefix}-{leaf['code']}-{number:04d}", number, currency, rate)
        yield maker.make(used)


class _Maker:
    """Makes one product of a leaf."""

    def __init__(
        self, chance: Random, leaf: Mapping[str, Any], sku: str, number: int, currency: str, rate: float
    ) -> None:
        self._chance = chance
        self._leaf = leaf
        self._sku = sku
        self._number = number
        self._currency = currency
        self._rate = rate

    def make(self, used: set[str]) -> Goods:
        kind, brand, model = self._unused_name(used)
        english, *others = kind
        name = f"{brand} {model} {english}"
        price = self._price(*self._leaf["price"])
        is_regulated = self._leaf.get("type") == ProductType.REGULATED
        content = ProductContent(
            name=name,
            sku=self._sku,
            description=self._description(english),
            brand=brand,
            gtin=_gtin(self._number, self._currency),
            price=price,
            compare_at_price=self._scaled(price, 1.25) if self._chance.random() < 0.15 else None,
            unit_cost=self._scaled(price, self._chance.uniform(0.5, 0.7)),
            attributes=self._attributes(),
            weight_grams=self._chance.randint(80, 9_000),
            regulated=self._details(english) if is_regulated else None,
            variants=self._variants(price),
            images=self._images(name),
        )
        names = {language: f"{text} {brand} {model}" for language, text in zip(TRANSLATED, others, strict=True)}
        return Goods(
            path=self._leaf["path"], kind=ProductType(self._leaf.get("type", "general")), content=content, names=names
        )

    def _unused_name(self, used: set[str]) -> tuple[list[str], str, str]:
        while True:
            kind = self._chance.choice(self._leaf["kinds"])
            brand = self._chance.choice(catalogue()["brands"][self._leaf["brands"]])
            model = self._chance.choice(words()["models"])
            if self._chance.random() < 0.3:
                model = f"{model} {self._chance.choice(('II', 'Pro', 'Mini', 'Plus'))}"
            whole = f"{brand} {model} {kind[0]}"
            if whole not in used:
                used.add(whole)
                return kind, brand, model

    def _price(self, low: float, high: float) -> Money:
        # Prices of goods spread evenly by their logarithm: many cheap ones, few dear ones.
        amount = exp(self._chance.uniform(log(low), log(high))) * self._rate
        return Money(int(amount) * 100 + self._chance.choice((99, 95, 49, 0)), self._currency)

    def _scaled(self, price: Money, factor: float) -> Money:
        return Money(int(price.amount_minor * factor), self._currency)

    def _description(self, english: str) -> str:
        branch = self._leaf["path"].partition("/")[0]
        features = self._chance.sample(words()["features"][branch], 2)
        return f"{english}. {features[0]} {features[1]} {self._chance.choice(words()['care'])}"

    def _attributes(self) -> dict[str, Any]:
        branch = self._leaf["path"].partition("/")[0]
        given = catalogue()["attributes"].get(branch, {}) | self._leaf.get("attributes", {})
        return {name: self._value(each) for name, each in given.items()}

    def _value(self, given: Mapping[str, Any]) -> Any:
        if "values" in given:
            return self._chance.choice(given["values"])
        if "range" in given:
            return self._chance.randint(*given["range"])
        return self._chance.random() < 0.5

    def _variants(self, price: Money) -> tuple[VariantContent, ...]:
        options = catalogue()["options"].get(self._leaf.get("options"), {})
        return tuple(
            VariantContent(
                name=value,
                sku=f"{self._sku}-{place}",
                # Bigger sizes of some goods cost a little more.
                price=self._scaled(price, 1 + 0.1 * place) if option == "Storage" else None,
                options={option: value},
            )
            for option, values in options.items()
            for place, value in enumerate(values, start=1)
        )

    def _images(self, name: str) -> tuple[ImageContent, ...]:
        # The domain .example is reserved and never answers; a storefront shows the text instead of the picture.
        address = f"https://images.agora.example/{self._sku.lower()}"
        return tuple(
            ImageContent(url=f"{address}-{place}.webp", alt_text=f"{name}, view {place}")
            for place in range(1, self._chance.choice((2, 2, 3, 4)))
        )

    def _details(self, english: str) -> RegulatedDetails:
        lowest, volume = self._chance.randint(5, 20), self._chance.choice((15, 30, 50))
        return RegulatedDetails(
            subcategory="Extracts",
            product_form=english,
            plant_type=self._chance.choice(("Hybrid", "Sativa", "Indica")),
            cbd_min=Decimal(lowest),
            cbd_max=Decimal(lowest + 5),
            thc_min=Decimal(0),
            thc_max=Decimal(self._chance.choice((1, 5, 10))),
            volume_ml=Decimal(volume),
            unit_of_measure="mg/ml",
            ingredients="Medium-chain triglycerides, botanical extract",
        )


def _gtin(number: int, currency: str) -> str:
    digits = f"{IN_HOUSE_GTIN}{sum(map(ord, currency)):04d}{number:06d}"
    weighted = sum(int(digit) * (1, 3)[place % 2] for place, digit in enumerate(digits))
    return f"{digits}{-weighted % 10}"
