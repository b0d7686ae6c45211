"""Storage: tables, mappings, repositories, batch reads and migrations, one module per context."""
