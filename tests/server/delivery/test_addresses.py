import subprocess
import sys

import pytest

from domain.delivery.addresses import (
    AddressCheck,
    AddressField,
    AddressProblem,
    AddressProblemKind,
    DeliveryAddress,
    UndeliverableAddress,
    require_deliverable,
)
from server.delivery.addresses import PostalRules

REQUIRED, UNKNOWN = AddressProblemKind.REQUIRED, AddressProblemKind.UNKNOWN
MALFORMED, MISMATCH = AddressProblemKind.MALFORMED, AddressProblemKind.MISMATCH
PARLIAMENT = {
    "country": "CA",
    "street": ["111 Wellington St"],
    "city": "Ottawa",
    "region": "ON",
    "postal_code": "K1A 0A9",
}


def check(**values) -> AddressCheck:
    return PostalRules().check(DeliveryAddress(**{"street": ["1 Main St"]} | values))


def problems(result: AddressCheck) -> dict[AddressField, AddressProblemKind]:
    return {each.field: each.kind for each in result.problems}


def suggestions(result: AddressCheck, field: AddressField) -> list[str]:
    return next(list(each.suggestions) for each in result.problems if each.field is field)


class TestNormalisation:
    @pytest.mark.parametrize(
        ("written", "normal"),
        [
            (
                {"country": "ca", "city": "Ottawa", "region": "Ontario", "postal_code": "k1a0a9"},
                ("CA", "ON", "K1A 0A9"),
            ),
            (
                {"country": "CA", "city": "Québec", "region": "québec", "postal_code": "G1R-4S9"},
                ("CA", "QC", "G1R 4S9"),
            ),
            (
                {"country": "US", "city": "Reno", "region": "nevada", "postal_code": "895011234"},
                ("US", "NV", "89501-1234"),
            ),
            ({"country": "DE", "city": "Berlin", "postal_code": "1 0117"}, ("DE", "", "10117")),
            ({"country": "FR", "city": "Paris", "postal_code": "75 001"}, ("FR", "", "75001")),
            ({"country": "JP", "region": "Tokyo", "postal_code": "1000005"}, ("JP", "東京都", "100-0005")),
            ({"country": "GB", "city": "London", "postal_code": "sw1a2aa"}, ("GB", "", "SW1A 2AA")),
            ({"country": "UK", "city": "Leeds", "postal_code": "m25bq"}, ("GB", "", "M2 5BQ")),
            ({"country": "PL", "city": "Warszawa", "postal_code": "00950"}, ("PL", "", "00-950")),
        ],
    )
    def test_writes_as_the_country_does(self, written, normal):
        result = check(**written)
        assert result.problems == []
        assert (result.address.country, result.address.region, result.address.postal_code) == normal

    def test_cleans_blanks_and_controls_and_keeps_capitals(self):
        result = check(**PARLIAMENT | {"city": " Otta\u0000wa\t", "street": ["111  Wellington St\n", "", "Floor 2"]})
        assert result.address.street == ["111 Wellington St", "Floor 2"]
        assert check(**PARLIAMENT).address.city == "Ottawa"

    def test_composes_letters_and_their_accents(self):
        assert check(country="DE", city="Mu\u0308nchen", postal_code="80331").address.city == "München"

    def test_keeps_a_city_that_the_country_writes_among_the_streets_lines(self):
        result = check(country="JP", city="千代田区", region="東京都", postal_code="100-0005", street=["丸の内1-1"])
        assert (result.address.city, result.address.street) == ("", ["千代田区", "丸の内1-1"])

    def test_says_the_city_that_is_the_country_once(self):
        result = check(country="SG", city="Singapore", postal_code="048616", street=["1 Raffles Pl"])
        assert result.address.street == ["1 Raffles Pl"]

    def test_is_its_own_normal_form(self):
        once = check(**PARLIAMENT)
        assert PostalRules().check(once.address) == once


class TestProblems:
    def test_names_all_that_is_missing(self):
        result = check(country="CA", street=[])
        assert problems(result) == {
            AddressField.REGION: REQUIRED,
            AddressField.CITY: REQUIRED,
            AddressField.POSTAL_CODE: REQUIRED,
            AddressField.STREET: REQUIRED,
        }
        assert not result.is_deliverable

    def test_suggests_the_region_that_was_meant(self):
        result = check(**PARLIAMENT | {"region": "Ontarioo"})
        assert problems(result) == {AddressField.REGION: UNKNOWN}
        assert suggestions(result, AddressField.REGION)[0] == "ON"

    def test_suggests_a_missing_region_by_the_postal_code(self):
        result = check(country="US", city="Mountain View", postal_code="94043")
        assert result.problems == [AddressProblem(field=AddressField.REGION, kind=REQUIRED, suggestions=["CA"])]

    def test_tells_a_code_of_another_region_from_one_of_no_region(self):
        elsewhere = check(**PARLIAMENT | {"region": "BC"})
        assert elsewhere.problems == [
            AddressProblem(field=AddressField.POSTAL_CODE, kind=MISMATCH, suggestions=["V8X 3X4"]),
            AddressProblem(field=AddressField.REGION, kind=MISMATCH, suggestions=["ON", "QC"]),
        ]
        assert problems(check(**PARLIAMENT | {"postal_code": "K1A 0A"})) == {AddressField.POSTAL_CODE: MALFORMED}

    @pytest.mark.parametrize(
        ("country", "code"),
        [("US", "1234"), ("DE", "1011"), ("FR", "7500A"), ("GB", "LONDON"), ("CA", "D1A 0A9"), ("JP", "100-00")],
    )
    def test_gives_examples_for_a_malformed_code(self, country, code):
        result = check(country=country, city="Town", postal_code=code)
        assert problems(result)[AddressField.POSTAL_CODE] is MALFORMED
        assert suggestions(result, AddressField.POSTAL_CODE)

    @pytest.mark.parametrize(
        ("country", "kind", "suggested"),
        [
            ("", REQUIRED, []),
            ("Canada", UNKNOWN, ["CA"]),
            ("USA", UNKNOWN, ["US"]),
            ("ZZ", UNKNOWN, []),
            ("XX", UNKNOWN, []),
            ("../ca", UNKNOWN, []),
            ("Ca\u0000", UNKNOWN, None),
        ],
    )
    def test_knows_no_other_countries(self, country, kind, suggested):
        result = check(country=country)
        if suggested is None:
            assert result.address.country == "CA"
        else:
            assert result.problems == [AddressProblem(field=AddressField.COUNTRY, kind=kind, suggestions=suggested)]

    def test_refuses_nonsense_in_every_field(self):
        result = check(country="CA", street=["???"], city="12345", region="\x00", postal_code="'; DROP TABLE")
        assert problems(result) == {
            AddressField.STREET: MALFORMED,
            AddressField.CITY: MALFORMED,
            AddressField.REGION: REQUIRED,
            AddressField.POSTAL_CODE: MALFORMED,
        }

    @pytest.mark.parametrize(
        ("field", "values"),
        [
            (AddressField.STREET, {"street": ["x" * 201]}),
            (AddressField.STREET, {"street": ["a", "b", "c", "d", "e", "f"]}),
            (AddressField.CITY, {"city": "x" * 201}),
        ],
    )
    def test_refuses_what_fits_on_no_label(self, field, values):
        assert problems(check(**PARLIAMENT | values)) == {field: MALFORMED}


class TestLabel:
    @pytest.mark.parametrize(
        ("values", "label"),
        [
            (
                PARLIAMENT | {"recipient": "Ann Lee", "company": "Post"},
                "ANN LEE\nPOST\n111 WELLINGTON ST\nOTTAWA ON K1A 0A9\nCANADA",
            ),
            (
                {"country": "DE", "recipient": "A. Lee", "city": "Berlin", "postal_code": "10117"},
                "A. Lee\n1 Main St\n10117 BERLIN\nGERMANY",
            ),
            (
                {"country": "JP", "region": "Tokyo", "postal_code": "1000005", "city": "千代田区"},
                "〒100-0005\n東京都\n千代田区\n1 Main St\nJAPAN",
            ),
        ],
    )
    def test_is_written_as_the_countrys_post_reads_it(self, values, label):
        assert check(**values).label == label

    def test_leaves_no_gap_for_what_is_missing(self):
        assert check(**PARLIAMENT | {"region": ""}).label == "111 WELLINGTON ST\nOTTAWA K1A 0A9\nCANADA"


class TestRequireDeliverable:
    def test_gives_the_normal_form(self):
        assert require_deliverable(check(**PARLIAMENT | {"postal_code": "k1a0a9"})).postal_code == "K1A 0A9"

    def test_names_the_fields_that_are_wrong(self):
        with pytest.raises(UndeliverableAddress) as refusal:
            require_deliverable(check(**PARLIAMENT | {"region": "", "postal_code": "1"}))
        assert refusal.value.fields == ["postalCode", "region"]
        assert refusal.value.code == "UNDELIVERABLE_ADDRESS"
        assert str(refusal.value) == "The address cannot be delivered to; wrong or missing: postalCode, region."


def test_importing_the_adapters_loads_nothing_heavy():
    program = (
        "import sys, server.delivery.addresses, server.delivery.geometry, server.delivery.routing;"
        "sys.exit(' '.join({'numpy', 'shapely', 'pyvrp'} & set(sys.modules)) or 0)"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
