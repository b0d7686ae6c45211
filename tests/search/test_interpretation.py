from search.analysis import attribute_key, fold, measures, sounds, words
from search.embedded.vocabulary import allowed_typos, edit_distance
from search.interpretation import interpret
from search.settings import DEFAULTS, dump, load


class TestWords:
    def test_lose_case_and_accents(self):
        assert words("Crème BRÛLÉE, Wi-Fi_6") == ["creme", "brulee", "wi", "fi", "6"]

    def test_keep_cyrillic_letters_but_for_yo(self):
        assert words("Ёлка Чайник") == ["елка", "чайник"]

    def test_are_cut_when_overlong(self):
        assert words("x" * 100) == ["x" * 40]

    def test_fold_what_looks_alike(self):
        assert fold("ﬁne ®™ Ǆ") == "fine ®tm dz"


class TestMeasures:
    def test_have_one_spelling(self):
        assert measures('15.6" or 15,6 inch, 256 GB, 256gb, 1 TB, 20000mAh, 0,5 л') == {
            "15.6in",
            "256gb",
            "1tb",
            "20000mah",
            "0.5l",
        }

    def test_are_not_model_numbers(self):
        assert measures("WH-1000XM4 X1500G M.2 USB 3.0 iPhone 11") == set()


class TestSounds:
    def test_are_of_cyrillic_words_only(self):
        assert sounds("Sony наушники") == {"nausniki"}


class TestAttributeKeys:
    def test_are_safe_in_a_path_and_distinct(self):
        names = ["a.b", "a b", 'a"b', "a-2e-b", "ширина", "", "a\\b", "plain_1"]
        keys = [attribute_key(name) for name in names]
        assert len(set(keys)) == len(names)
        assert all(letter.isascii() and (letter.isalnum() or letter in "_-") for key in keys for letter in key)


class TestInterpretation:
    def test_drops_stop_words_unless_there_is_nothing_else(self):
        assert interpret("the case for a phone", DEFAULTS).typed == ("case", "phone")
        assert interpret("the of", DEFAULTS).typed == ("the", "of")

    def test_knows_synonyms_of_phrases_and_plurals(self):
        stick, red = interpret("usb sticks red", DEFAULTS).concepts
        assert ("usb", "flash", "drive") in stick.alternatives
        assert red.alternatives == ()

    def test_keeps_quantities_together(self):
        laptop, size = interpret('laptop 15.6"', DEFAULTS).concepts
        assert (laptop.typed, size.typed, size.measure) == (("laptop",), ("15", "6"), "15.6in")

    def test_lets_only_an_unfinished_last_word_go_on(self):
        assert [each.may_go_on for each in interpret("red lam", DEFAULTS).concepts] == [False, True]
        assert [each.may_go_on for each in interpret("red lamp ", DEFAULTS).concepts] == [False, False]

    def test_takes_a_dozen_concepts_at_most(self):
        assert len(interpret(" ".join(f"w{number}" for number in range(500)), DEFAULTS).concepts) == 12


class TestTypos:
    def test_are_allowed_by_length(self):
        assert [allowed_typos(word, DEFAULTS) for word in ("tea", "teas", "teapots", "teapotss", "x1carbon")] == [
            0,
            1,
            1,
            2,
            0,
        ]

    def test_are_counted_with_swaps_as_one(self):
        pairs = [
            ("same", "same"),
            ("ipda", "ipad"),
            ("hedphones", "headphones"),
            ("monitr", "monitors"),
            ("abc", "xyz"),
            ("ab", "ba"),
        ]
        assert [edit_distance(left, right, 2) for left, right in pairs] == [0, 1, 1, 2, 3, 1]


class TestSettings:
    def test_survive_being_stored(self):
        assert load(dump(DEFAULTS)) == DEFAULTS
