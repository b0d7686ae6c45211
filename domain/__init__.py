"""Rules of commerce: aggregates, value objects, events, errors, ports and commands, free of I/O and of frameworks."""
