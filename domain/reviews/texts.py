"""What may be written."""

from domain.kernel import InvalidInput


def check_text(name: str, text: str | None, limit: int, *, required: bool = False) -> None:
    """Accept a text that can be kept.

    Raises: InvalidInput.
    """
    if text is None:
        return
    storable = "\x00" not in text and not any("\ud800" <= letter <= "\udfff" for letter in text)
    if len(text) > limit or not storable or (required and not text.strip()):
        raise InvalidInput(field=name, reason=f"it must be text of at most {limit:,} characters")
