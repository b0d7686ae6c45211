"""What a partial update asks for."""

from dataclasses import fields
from functools import cache
from types import NoneType
from typing import Any, get_args, get_type_hints

from domain.kernel import UNCHANGED, InvalidInput, Unchanged


@cache
def _changeable(kind: type) -> dict[str, bool]:
    """Name the fields of a command that may be left out, and say which of them may be cleared."""
    hints = get_type_hints(kind)
    options = {each.name: get_args(hints[each.name]) for each in fields(kind)}
    return {name: NoneType in kinds for name, kinds in options.items() if Unchanged in kinds}


def changes_of(command: Any) -> dict[str, Any]:
    """Give the fields that an update mentions, with their values.

    Raises: InvalidInput when one is to be cleared that has to be there.
    """
    kind: type = type(command)
    changes = {}
    for name, clearable in _changeable(kind).items():
        value = getattr(command, name)
        if value is None and not clearable:
            head, *tail = name.split("_")
            raise InvalidInput(field=head + "".join(map(str.capitalize, tail)), reason="it cannot be cleared")
        if value is not UNCHANGED:
            changes[name] = value
    return changes
