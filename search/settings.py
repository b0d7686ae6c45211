"""Search as configuration: weights of fields, synonyms, stop words and tolerance, the same for every engine."""

import orjson

from domain.search import SearchSettings

WEIGHTS = {
    "name": 3.0,
    "brand": 2.0,
    "category": 2.0,
    "translations": 2.0,
    "description": 1.0,
    "attributes": 0.5,
}

SYNONYMS = (
    ("tv", "television", "телевизор"),
    ("laptop", "notebook", "ноутбук"),
    ("cell phone", "mobile phone", "smartphone", "смартфон"),
    ("usb stick", "usb flash drive", "thumb drive", "pen drive", "флешка"),
    ("power bank", "powerbank", "portable charger"),
    ("headphones", "headset", "earphones", "наушники"),
    ("fridge", "refrigerator", "холодильник"),
    ("sofa", "couch", "диван"),
    ("sneakers", "trainers", "кроссовки"),
    ("trousers", "pants", "брюки"),
    ("backpack", "rucksack", "рюкзак"),
    ("flashlight", "torch", "фонарик"),
    ("monitor", "монитор"),
    ("printer", "принтер"),
    ("keyboard", "клавиатура"),
    ("mouse", "мышь", "мышка"),
    ("camera", "камера", "фотоаппарат"),
    ("speaker", "loudspeaker", "колонка"),
    ("tablet", "планшет"),
    ("charger", "зарядка"),
    ("phone", "телефон"),
    ("coffee", "кофе"),
    ("ssd", "solid state drive"),
    ("hdd", "hard drive", "hard disk"),
    ("wifi", "wi fi", "wlan"),
)

STOP_WORDS = frozenset(
    {"a", "an", "and", "for", "in", "of", "on", "or", "the", "to", "with", "и", "в", "на", "для", "с", "от"}
)

ACCESSORIES = frozenset({
    "accessory", "accessories", "adapter", "adapters", "arm", "bag", "bags", "battery", "batteries", "bracket", "cable", "cables",
    "cartridge", "cartridges", "case", "cases", "charger", "chargers", "cover", "covers", "cradle", "dock", "docking", "drum", "filter",
    "filters", "holder", "holders", "kit", "lamp", "lens", "memory", "mount", "mounting", "mounts", "pad", "pads", "paper", "pillow",
    "protector", "remote", "replacement", "rest", "ribbon", "screw", "screws", "shell", "skin", "sleeve", "spare", "stand", "stands",
    "strap", "support", "tip", "tips", "toner", "tray",
})  # fmt: skip
"""Words that make a product a part of, or a help for, what its name also mentions: a camera bag is no camera."""

PRICE_BOUNDS = tuple(digit * 10**power for power in range(2, 10) for digit in (1, 2, 5))
"""Where price bands begin, in minor units: 1, 2, 5, 10, 20, 50 … of the currency."""

LONGEST_FACET_VALUE = 100
"""Attribute texts above so many letters are searched, but neither counted nor filtered."""

COMMON_ATTRIBUTES = 10
"""How many attributes are counted when a request names none."""

DEFAULTS = SearchSettings(weights=WEIGHTS, synonyms=SYNONYMS, stop_words=STOP_WORDS)


def dump(settings: SearchSettings) -> bytes:
    return orjson.dumps(
        {
            "weights": dict(settings.weights),
            "synonyms": settings.synonyms,
            "stop_words": sorted(settings.stop_words),
            "one_typo_letters": settings.one_typo_letters,
            "two_typos_letters": settings.two_typos_letters,
        }
    )


def load(encoded: bytes) -> SearchSettings:
    values = orjson.loads(encoded)
    values["synonyms"] = tuple(tuple(group) for group in values["synonyms"])
    values["stop_words"] = frozenset(values["stop_words"])
    return SearchSettings(**values)
