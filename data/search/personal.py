"""What search holds about people."""

from data.personal import Category, erased
from data.search.tables import click, performed_search

erased(click, product_id=Category.BEHAVIOUR)
erased(performed_search, query=Category.WORDS)
