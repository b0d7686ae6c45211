"""What inventory holds about people: who changed stock."""

from data.inventory.tables import journal, movement
from data.personal import kept, neutral

_BOOKS = "who changed stock is part of the books"

kept(journal, "performed_by = $1", reason=_BOOKS, years=10)
kept(movement, "performed_by = $1", reason=_BOOKS, years=10)
neutral(journal, "reason")
neutral(movement, "reason")
