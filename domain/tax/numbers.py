"""Tax numbers: whether a business number or VAT number can exist, by its form and check digits."""

from dataclasses import dataclass

from domain.kernel import DomainError, InvalidInput

MAX_LENGTH = 40


@dataclass(eq=False)
class InvalidTaxNumber(DomainError):
    """No authority has given out that number: its form or its check digits are wrong."""

    country: str
    number: str
    reason: str
    template = "{number} is not a tax number of {country}: {reason}"


@dataclass(frozen=True, kw_only=True)
class TaxNumber:
    """A well-formed tax number, written the way registers write it. That it is registered is not said."""

    country: str
    number: str


@dataclass(frozen=True, kw_only=True)
class TaxNumberCheck:
    """Whether a number can be a tax number: how registers write it, or what is wrong with it."""

    is_valid: bool
    number: str | None = None
    reason: str | None = None


def check_tax_number(country: str, number: str) -> TaxNumber:
    """Read a business number (Canada, with or without its RT account) or a VAT number, with or without country prefix.

    Raises: InvalidTaxNumber, InvalidInput for a country whose numbers are not known.
    Source: python-stdnum, after the published rules of each authority.
    """
    # Its countries weigh 6 MB, which a server that nobody asks for tax numbers has better uses for.
    from stdnum import get_cc_module  # noqa: PLC0415
    from stdnum.exceptions import ValidationError  # noqa: PLC0415

    rules = (
        get_cc_module(country.lower(), "vat") if len(country) == 2 and country.isascii() and country.isalpha() else None
    )
    if rules is None:
        raise InvalidInput(field="country", reason=f"the tax numbers of {country[:MAX_LENGTH]!r} are not known")
    try:
        valid = rules.validate(number[:MAX_LENGTH])
    except ValidationError as error:
        raise InvalidTaxNumber(country=country.upper(), number=number[:MAX_LENGTH], reason=str(error)) from error
    return TaxNumber(country=country.upper(), number=valid)


def tax_number_check(country: str, number: str) -> TaxNumberCheck:
    """Say whether a number can be a tax number of a country.

    Raises: InvalidInput for a country whose numbers are not known.
    """
    try:
        return TaxNumberCheck(is_valid=True, number=check_tax_number(country, number).number)
    except InvalidTaxNumber as refusal:
        return TaxNumberCheck(is_valid=False, reason=refusal.reason)
