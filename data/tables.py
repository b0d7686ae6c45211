"""Every table of every context, for migrations and for the mapping of aggregates, and what it holds about people."""

from importlib import import_module
from importlib.util import find_spec
from pkgutil import iter_modules

import data

_NOT_TABLES = frozenset(
    {"backup", "database", "embedded", "job_runner", "kernel", "migrations", "statements", "tables", "transactions"}
)

for module in iter_modules(data.__path__):
    if module.name not in _NOT_TABLES:
        import_module(f"data.{module.name}")
        if module.ispkg and find_spec(f"data.{module.name}.personal"):
            import_module(f"data.{module.name}.personal")
