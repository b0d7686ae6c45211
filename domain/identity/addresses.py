"""Postal addresses, held to what their country asks for."""

import re
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from uuid import UUID

import pycountry

from domain.identity.text import clean, clean_optional
from domain.kernel import InvalidInput, uuid7


class AddressType(StrEnum):
    """What an address is used for."""

    BILLING = "billing"
    SHIPPING = "shipping"


@dataclass(frozen=True)
class CountryRule:
    """How a country writes addresses: the shape of its postal code, and whether a province must be named."""

    postal_code: str
    province_required: bool = False


# Source: Universal Postal Union, postal addressing systems. Countries not listed here need nothing but street and city.
RULES = {
    "AT": CountryRule(r"\d{4}"),
    "AU": CountryRule(r"\d{4}", province_required=True),
    "BE": CountryRule(r"\d{4}"),
    "BR": CountryRule(r"\d{5}-?\d{3}", province_required=True),
    "CA": CountryRule(r"[ABCEGHJ-NPRSTVXY]\d[ABCEGHJ-NPRSTV-Z] ?\d[ABCEGHJ-NPRSTV-Z]\d", province_required=True),
    "CH": CountryRule(r"\d{4}"),
    "CZ": CountryRule(r"\d{3} ?\d{2}"),
    "DE": CountryRule(r"\d{5}"),
    "DK": CountryRule(r"\d{4}"),
    "ES": CountryRule(r"\d{5}"),
    "FI": CountryRule(r"\d{5}"),
    "FR": CountryRule(r"\d{5}"),
    "GB": CountryRule(r"[A-Z]{1,2}\d[A-Z\d]? ?\d[A-Z]{2}"),
    "IN": CountryRule(r"\d{6}", province_required=True),
    "IT": CountryRule(r"\d{5}"),
    "JP": CountryRule(r"\d{3}-?\d{4}", province_required=True),
    "KZ": CountryRule(r"\d{6}|[A-Z]\d{2}[A-Z]\d[A-Z]\d"),
    "MX": CountryRule(r"\d{5}", province_required=True),
    "NL": CountryRule(r"\d{4} ?[A-Z]{2}"),
    "NO": CountryRule(r"\d{4}"),
    "PL": CountryRule(r"\d{2}-\d{3}"),
    "PT": CountryRule(r"\d{4}-\d{3}"),
    "RU": CountryRule(r"\d{6}"),
    "SE": CountryRule(r"\d{3} ?\d{2}"),
    "UA": CountryRule(r"\d{5}"),
    "US": CountryRule(r"\d{5}(-\d{4})?", province_required=True),
}
_NOTHING_ASKED = CountryRule(r".*")


@dataclass(frozen=True, kw_only=True)
class PostalAddress:
    """Where something is sent, or a bill goes; `country` is an ISO 3166-1 alpha-2 code."""

    street_line1: str
    street_line2: str | None = None
    city: str
    province: str | None = None
    postal_code: str | None = None
    country: str = "CA"

    def normalised(self) -> "PostalAddress":
        """Give the address as the country writes it.

        Raises: InvalidInput.
        """
        country = _country(self.country)
        rule = RULES.get(country, _NOTHING_ASKED)
        province = clean_optional("province", self.province)
        if rule.province_required and province is None:
            raise InvalidInput(field="province", reason=f"addresses in {country} need one")
        return PostalAddress(
            street_line1=clean("streetLine1", self.street_line1, longest=200),
            street_line2=clean_optional("streetLine2", self.street_line2, longest=200),
            city=clean("city", self.city),
            province=province,
            postal_code=_postal_code(self.postal_code, country, rule),
            country=country,
        )


def _country(value: str) -> str:
    code = (value or "").strip().upper()
    if len(code) != 2 or pycountry.countries.get(alpha_2=code) is None:
        raise InvalidInput(field="country", reason="it is not an ISO 3166-1 code of two letters")
    return code


def _postal_code(value: str | None, country: str, rule: CountryRule) -> str | None:
    code = (clean_optional("postalCode", value, longest=16) or "").upper()
    if not re.fullmatch(rule.postal_code, code):
        raise InvalidInput(field="postalCode", reason=f"no postal code of {country} looks like that")
    return code or None


@dataclass(eq=False, kw_only=True)
class UserAddress:
    """One entry of a user's address book."""

    id: UUID = field(default_factory=uuid7)
    tenant_id: UUID
    user_id: UUID
    address_type: AddressType
    is_default: bool = False
    street_line1: str
    street_line2: str | None
    city: str
    province: str | None
    postal_code: str | None
    country: str
    created_at: datetime

    def move(self, where: PostalAddress) -> None:
        """Take over the lines of another address."""
        self.street_line1 = where.street_line1
        self.street_line2 = where.street_line2
        self.city = where.city
        self.province = where.province
        self.postal_code = where.postal_code
        self.country = where.country
