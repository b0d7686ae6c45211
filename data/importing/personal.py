"""What imports hold about people: in whose name goods were imported."""

from data.importing.jobs import import_error, import_job
from data.personal import kept, neutral

kept(import_job, "seller_id = $1", reason="what goods came from is part of the books", years=10)
neutral(import_error, "reason")
