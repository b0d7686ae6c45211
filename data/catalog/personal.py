"""What the catalogue holds about people: who sells and who wrote what; the goods themselves are nobody's person."""

from data.catalog.tables import category, product, product_image, product_variant, product_version
from data.personal import kept, neutral

kept(product, "seller_id = $1", reason="goods that were sold are part of the books", years=10)
kept(product_version, "author_id = $1", reason="who wrote what about goods is evidence", years=10)
neutral(category, "name", "description")
neutral(product, "name", "name_key", "description", "state_reason")
neutral(product_image, "alt_text")
neutral(product_variant, "name")
neutral(product_version, "content")
