"""Where a parcel goes: postal addresses as their countries write them, and what is wrong with those that are not."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from domain.kernel import DomainError


class AddressField(StrEnum):
    """The parts of an address, under the names that clients know them by."""

    COUNTRY = "country"
    REGION = "region"
    CITY = "city"
    DISTRICT = "district"
    POSTAL_CODE = "postalCode"
    SORTING_CODE = "sortingCode"
    STREET = "street"


class AddressProblemKind(StrEnum):
    """What can be wrong with one part."""

    REQUIRED = "required"
    UNKNOWN = "unknown"
    MALFORMED = "malformed"
    MISMATCH = "mismatch"


@dataclass(frozen=True, kw_only=True)
class AddressProblem:
    """One part that is wrong; the suggestions are values that would be right, the likeliest first."""

    field: AddressField
    kind: AddressProblemKind
    suggestions: Sequence[str] = ()


@dataclass(frozen=True, kw_only=True)
class DeliveryAddress:
    """A postal address; `country` is an ISO 3166-1 alpha-2 code, `region` a province, state or prefecture."""

    country: str
    street: Sequence[str]
    city: str = ""
    region: str = ""
    district: str = ""
    postal_code: str = ""
    sorting_code: str = ""
    recipient: str = ""
    company: str = ""


@dataclass(frozen=True, kw_only=True)
class AddressCheck:
    """The address as its country writes it, what is still wrong with it, and the label for the parcel."""

    address: DeliveryAddress
    problems: Sequence[AddressProblem]
    label: str

    @property
    def is_deliverable(self) -> bool:
        return not self.problems


@dataclass(eq=False)
class UndeliverableAddress(DomainError):
    """An address that its country's post would not deliver to."""

    fields: Sequence[str]
    problems: Sequence[AddressProblem]
    template = "The address cannot be delivered to; wrong or missing: {fields}."

    @property
    def message(self) -> str:
        return self.template.format(fields=", ".join(self.fields))


class AddressValidator(Protocol):
    """Knows how each country writes addresses; pure computation, so nothing is awaited."""

    def check(self, address: DeliveryAddress) -> AddressCheck:
        """Normalise an address and list all that is wrong with it; never refuses."""
        ...


def require_deliverable(check: AddressCheck) -> DeliveryAddress:
    """Give the normalised address.

    Raises: UndeliverableAddress.
    """
    if check.problems:
        raise UndeliverableAddress(sorted({each.field.value for each in check.problems}), check.problems)
    return check.address
