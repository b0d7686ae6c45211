"""Value added tax in the European Union: each member state's standard rate and its reduced ones.

The table is complete from 1 July 2021, when sales at a distance became taxable where the goods arrive.

A directive says which goods may bear a reduced rate, every state which do; categories are therefore classes of rates:
`reduced` is the higher and `second_reduced` the lower of the reduced rates, and `super_reduced` the one of those states
that kept a still lower one from before 1991. Rates of services alone and temporary rates of single goods are left out.

Source: Council Directive 2006/112/EC, articles 5, 6, 96 to 99 and 110; European Commission, "VAT rates applied in the
Member States of the European Union" and its Taxes in Europe Database; for changes since, the acts of the states: Estonia
(Käibemaksuseadus § 15), Finland (Arvonlisäverolaki 84–85 a §), Lithuania (PVM įstatymas 19 str.), Romania (Legea
141/2025), Slovakia (zákon 278/2024 Z. z.).
"""

from collections.abc import Iterator

from domain.tax.histories import history
from domain.tax.rates import TaxKind, TaxRate

REDUCED, SECOND_REDUCED, SUPER_REDUCED = "reduced", "second_reduced", "super_reduced"
_CLASSES = (None, REDUCED, SECOND_REDUCED, SUPER_REDUCED)
_SOURCE = "VAT rates applied in the Member States of the European Union"
_SINCE = "2021-07-01"

# From a day on: the standard rate, the two reduced ones and the super-reduced one; a dash where there is none.
_RATES: dict[str, tuple[str, ...]] = {
    "AT": ("2021-07-01 20 13 10 -",),
    "BE": ("2021-07-01 21 12 6 -",),
    "BG": ("2021-07-01 20 9 - -",),
    "CY": ("2021-07-01 19 9 5 -", "2023-07-21 19 9 5 3"),
    "CZ": ("2021-07-01 21 15 10 -", "2024-01-01 21 12 - -"),
    "DE": ("2021-07-01 19 7 - -",),
    "DK": ("2021-07-01 25 - - -",),
    "EE": (
        "2021-07-01 20 9 - -",
        "2022-08-01 20 9 5 -",
        "2024-01-01 22 9 5 -",
        "2025-01-01 22 13 9 -",
        "2025-07-01 24 13 9 -",
    ),
    "ES": ("2021-07-01 21 10 - 4",),
    "FI": ("2021-07-01 24 14 10 -", "2024-09-01 25.5 14 10 -", "2026-01-01 25.5 13.5 10 -"),
    "FR": ("2021-07-01 20 10 5.5 2.1",),
    "GR": ("2021-07-01 24 13 6 -",),
    "HR": ("2021-07-01 25 13 5 -",),
    "HU": ("2021-07-01 27 18 5 -",),
    "IE": ("2021-07-01 23 13.5 9 4.8",),
    "IT": ("2021-07-01 22 10 5 4",),
    "LT": ("2021-07-01 21 9 5 -", "2026-01-01 21 12 5 -"),
    "LU": ("2021-07-01 17 14 8 3", "2023-01-01 16 13 7 3", "2024-01-01 17 14 8 3"),
    "LV": ("2021-07-01 21 12 5 -",),
    "MT": ("2021-07-01 18 7 5 -",),
    "NL": ("2021-07-01 21 9 - -",),
    "PL": ("2021-07-01 23 8 5 -",),
    "PT": ("2021-07-01 23 13 6 -",),
    "PT-20": ("2021-07-01 16 9 4 -",),
    "PT-30": ("2021-07-01 22 12 5 -", "2024-10-01 22 12 4 -"),
    "RO": ("2021-07-01 19 9 5 -", "2025-08-01 21 11 - -"),
    "SE": ("2021-07-01 25 12 6 -",),
    "SI": ("2021-07-01 22 9.5 5 -",),
    "SK": ("2021-07-01 20 10 - -", "2023-01-01 20 10 5 -", "2025-01-01 23 19 5 -"),
}

# Parts of Spain to which the directive does not extend.
_OUTSIDE = ("ES-CE", "ES-CN", "ES-ML")


def _rates() -> Iterator[TaxRate]:
    for code, periods in _RATES.items():
        for position, category in enumerate(_CLASSES, start=1):
            steps = ", ".join(f"{period.split()[0]} {period.split()[position]}" for period in periods)
            yield from history(code, TaxKind.VAT, steps, _SOURCE, category)
    for code in _OUTSIDE:
        for category in _CLASSES:
            yield from history(code, TaxKind.VAT, f"{_SINCE} 0", "Directive 2006/112/EC, article 6", category)


EUROPE: tuple[TaxRate, ...] = tuple(_rates())
