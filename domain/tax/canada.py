"""Canada's sales taxes, province by province.

The table is complete from 1 April 2013, when Prince Edward Island harmonised and British Columbia went back to a tax of
its own; Quebec's tax is no longer levied on top of the federal one since January of that year.

Categories: `zero_rated` are goods of Schedule VI to the Excise Tax Act, such as basic groceries, which the provinces free
as well; `books` are printed books, whose provincial part the harmonised provinces give back at the point of sale, and
which the others exempt.

Source: Excise Tax Act (R.S.C. 1985, c. E-15) s. 165 and Schedules VI, VIII; Canada Revenue Agency, "GST/HST calculator
(and rates)" and GST/HST Info Sheet GI-065 on printed books; Act respecting the Québec sales tax (CQLR c. T-0.1) ss. 16,
198.1; Provincial Sales Tax Act (SBC 2012, c. 35) s. 34; Retail Sales Tax Act of Manitoba (C.C.S.M. c. R130);
Provincial Sales Tax Act of Saskatchewan (SS 1937 c. P-34.1).
"""

from collections.abc import Iterator

from domain.tax.histories import history
from domain.tax.rates import TaxKind, TaxRate

ZERO_RATED = "zero_rated"
BOOKS = "books"

_GST, _HST, _PST, _QST = TaxKind.GST, TaxKind.HST, TaxKind.PST, TaxKind.QST
_FEDERAL = "2008-01-01 5"

_STANDARD: dict[str, dict[TaxKind, str]] = {
    "CA-AB": {_GST: _FEDERAL},
    "CA-BC": {_GST: "2013-04-01 5", _PST: "2013-04-01 7"},
    "CA-MB": {_GST: _FEDERAL, _PST: "2008-01-01 7, 2013-07-01 8, 2019-07-01 7"},
    "CA-NB": {_HST: "2008-01-01 13, 2016-07-01 15"},
    "CA-NL": {_HST: "2008-01-01 13, 2016-07-01 15"},
    "CA-NS": {_HST: "2008-01-01 13, 2010-07-01 15, 2025-04-01 14"},
    "CA-NT": {_GST: _FEDERAL},
    "CA-NU": {_GST: _FEDERAL},
    "CA-ON": {_HST: "2010-07-01 13"},
    "CA-PE": {_HST: "2013-04-01 14, 2016-10-01 15"},
    "CA-QC": {_GST: _FEDERAL, _QST: "2013-01-01 9.975"},
    "CA-SK": {_GST: _FEDERAL, _PST: "2008-01-01 5, 2017-03-23 6"},
    "CA-YT": {_GST: _FEDERAL},
}

_BOOKS: dict[str, dict[TaxKind, str]] = {
    "CA-BC": {_PST: "2013-04-01 0"},
    "CA-MB": {_PST: "2008-01-01 0"},
    "CA-NB": {_HST: "2008-01-01 5"},
    # Newfoundland and Labrador took the rebate away for the year 2017.
    "CA-NL": {_HST: "2008-01-01 5, 2017-01-01 -, 2018-01-01 5"},
    "CA-NS": {_HST: "2008-01-01 5"},
    "CA-ON": {_HST: "2010-07-01 5"},
    "CA-PE": {_HST: "2013-04-01 5"},
    "CA-QC": {_QST: "2013-01-01 0"},
    "CA-SK": {_PST: "2008-01-01 0"},
}

_SOURCES = {
    _GST: "Excise Tax Act, s. 165(1)",
    _HST: "Excise Tax Act, s. 165(2) and Schedule VIII",
    _PST: "the province's retail sales tax act",
    _QST: "Act respecting the Québec sales tax, s. 16",
}


def _rates() -> Iterator[TaxRate]:
    for code, taxes in _STANDARD.items():
        for kind, steps in taxes.items():
            source = _SOURCES[kind]
            yield from history(code, kind, steps, source)
            yield from history(code, kind, f"{steps.split()[0]} 0", "Excise Tax Act, Schedule VI", ZERO_RATED)
    for code, taxes in _BOOKS.items():
        for kind, steps in taxes.items():
            yield from history(code, kind, steps, _SOURCES[kind], BOOKS)


CANADA: tuple[TaxRate, ...] = tuple(_rates())
