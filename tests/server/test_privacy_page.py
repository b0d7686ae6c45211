"""The page on privacy says what the contexts declare."""

from server.privacy_page import PAGE, page


def test_the_page_says_what_the_code_says() -> None:
    written = PAGE.read_text(encoding="utf-8")
    assert written == page(written), "run `python -m server.privacy_page`"
