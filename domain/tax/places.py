"""Where goods go, as tax law sees it."""

from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Self

import pycountry

from domain.kernel import InvalidInput

# pycountry annotates its countries, but not these.
_SUBDIVISIONS: Any = pycountry.subdivisions


@lru_cache(maxsize=8192)
def _subdivision(country: str, text: str) -> str | None:
    """Give the ISO 3166-2 code that a person meant by `ON`, `CA-ON` or `Ontario`; None when there is none."""
    code = text if text.startswith(f"{country}-") else f"{country}-{text}"
    if _SUBDIVISIONS.get(code=code.upper()) is not None:
        return code.upper()
    named = (each.code for each in _SUBDIVISIONS.get(country_code=country) or () if _same(each.name, text))
    return next(named, None)


def _same(name: str, text: str) -> bool:
    return name.casefold() == text.casefold()


@dataclass(frozen=True)
class TaxPlace:
    """A country (ISO 3166-1, two letters) and, where taxes differ within it, a province (ISO 3166-2, such as CA-ON).

    Raises: InvalidInput for codes that these standards do not know.
    """

    country: str
    province: str | None = None

    def __post_init__(self) -> None:
        if (
            len(self.country) != 2
            or not self.country.isupper()
            or pycountry.countries.get(alpha_2=self.country) is None
        ):
            raise InvalidInput(field="country", reason=f"{self.country!r} is not an ISO 3166-1 code of two letters")
        if self.province is not None and _subdivision(self.country, self.province) != self.province:
            raise InvalidInput(field="province", reason=f"{self.province!r} is no province of {self.country}")

    @classmethod
    def of(cls, country: str, province: str | None = None) -> Self:
        """Make the place of an address, whose province is `ON`, `CA-ON` or `Ontario`; one that nobody knows is left out.

        Raises: InvalidInput for an unknown country.
        """
        code = country.strip().upper()
        return cls(code, _subdivision(code, province.strip()) if province else None)

    @classmethod
    def named(cls, code: str) -> Self:
        """Read a country or province from one code, such as DE or CA-ON.

        Raises: InvalidInput.
        """
        country = code.partition("-")[0]
        return cls(country, code if code != country else None)
